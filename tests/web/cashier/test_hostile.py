"""What no till's script sends: it is refused, and never an error of ours."""

import pytest

from tests.databases import on_both_engines
from tests.web.cashier.kit import store

DEEP = '{"number":' + "[" * 30_000


@on_both_engines
async def test_a_character_that_no_database_holds_as_text_is_refused_wherever_it_stands(engine: str) -> None:
    async with store(engine) as s:
        till = await s.signed_in()

        pages = [await till.get("/sale/a%00b"), await till.get("/orders?q=%00"), await till.get("/sale/%00/live")]
        posts = [
            await till.post("/sale/%00/ask"),
            await till.post("/sign-in", operator_id="\0", pin="1"),
            await till.post("/sales", number="\0", amount="1", channel=1),
        ]

        assert [page.status for page in pages] == [404, 404, 422]
        assert [post.status for post in posts] == [422, 400, 400]


@on_both_engines
async def test_a_shift_of_a_number_that_nothing_can_have_is_missing(engine: str) -> None:
    async with store(engine) as s:
        till = await s.signed_in()

        assert [(await till.get(f"/shift/{number}")).status for number in (2**63, "9" * 5_000)] == [404, 404]


@pytest.mark.parametrize(
    "body", [DEEP, "[]", "null", "{", '{"number":"\\ud800"}', '{"number":{}}', '{"a":1' + "0" * 6_000]
)
async def test_what_is_no_flat_object_is_refused(body: str) -> None:
    async with store() as s:
        till = await s.signed_in()
        url, headers = f"{s.world.base_url}/cashier/sales", {"X-Till-Token": till.token}

        async with till.http.post(url, data=body, headers=headers) as reply:
            assert reply.status == 400
