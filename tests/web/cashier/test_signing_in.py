"""Cashiers sign in with a PIN at a till of their store; wrong ones cost time, and sessions end when they should."""

from opentill.services import shifts
from opentill.services.devices import TillProblem
from tests.clients import TEST_OPERATOR
from tests.databases import on_both_engines
from tests.web.cashier.kit import ACTOR, PIN, store


@on_both_engines
async def test_a_pin_opens_the_cashiers_shift(engine: str) -> None:
    async with store(engine) as s:
        till = await s.paired()

        answer = await till.sign_in()

        assert answer.document == {"go": "/cashier/"}
        assert (await till.get("/")).screen == "amount"
        (row,) = await s.world.rows("SELECT operator_id, device_id, store_id, closed_at_ms FROM shifts")
        assert dict(row) == {"operator_id": TEST_OPERATOR, "device_id": 1, "store_id": 1, "closed_at_ms": 0}


async def test_a_pin_is_of_no_use_without_a_registered_device() -> None:
    async with store() as s:
        stranger = s.browser()
        await stranger.get("/pair")

        answer = await stranger.post("/sign-in", operator_id=TEST_OPERATOR, pin=PIN)

        assert (answer.status, answer.document) == (401, {"go": "/cashier/pair"})
        assert await s.world.number("SELECT count(*) FROM shifts") == 0


async def test_a_cashier_of_another_store_is_not_offered_and_not_let_in() -> None:
    async with store() as s:
        other_store = await s.world.administration.add_store(1, "分店")
        elsewhere = await s.cashier("分店收银员", store_id=other_store)
        till = await s.paired()

        page = await till.get("/sign-in")
        answer = await till.post("/sign-in", operator_id=elsewhere, pin=PIN)

        assert "分店收银员" not in page.words
        assert answer.document["name"] == "pin_wrong"


async def test_wrong_pins_cost_a_cashier_ever_more_time() -> None:
    async with store() as s:
        till = await s.paired()
        for _ in range(4):
            assert (await till.sign_in("0000")).document["name"] == "pin_wrong"

        blocked = await till.sign_in(PIN)

        assert blocked.document == {"name": "wait", "problem": "错误次数太多，请在 30 秒后再试。"}
        await s.world.advance(29)
        assert (await till.sign_in(PIN)).document["name"] == "wait"
        await s.world.advance(1)
        assert (await till.sign_in("0000")).document["name"] == "pin_wrong"
        await s.world.advance(59)
        assert (await till.sign_in(PIN)).document["name"] == "wait"
        await s.world.advance(1)
        assert (await till.sign_in(PIN)).status == 200


async def test_the_wait_of_one_cashier_follows_to_every_device_and_holds_up_nobody_else() -> None:
    async with store() as s:
        second = await s.cashier("小李")
        till, other_till = await s.paired(), await s.paired()
        for _ in range(4):
            await till.sign_in("0000")

        assert (await other_till.sign_in(PIN)).document["name"] == "wait"
        assert (await till.sign_in(PIN, operator_id=second)).status == 200


async def test_a_device_that_tries_many_cashiers_has_to_wait_too() -> None:
    async with store() as s:
        cashiers = [await s.cashier(f"收银员{number}") for number in range(4)]
        till = await s.paired()
        for number in range(11):
            assert (await till.sign_in("0000", operator_id=cashiers[number % 4])).document["name"] == "pin_wrong"

        assert (await till.sign_in(PIN)).document["name"] == "wait"


async def test_a_right_pin_forgets_the_wrong_ones() -> None:
    async with store() as s:
        till = await s.paired()
        for _ in range(2):
            for _ in range(3):
                await till.sign_in("0000")

            assert (await till.sign_in(PIN)).status == 200


async def test_a_session_ends_when_its_cashier_is_disabled() -> None:
    async with store() as s:
        till = await s.signed_in()

        await s.world.administration.set_disabled("operator", TEST_OPERATOR, is_disabled=True)

        assert (await till.post("/sales", number="0" * 32, amount="1", channel=1)).status in (401, 403)
        assert (await till.get("/")).path == "/sign-in"
        assert await s.orders() == 0


async def test_a_new_pin_ends_the_session_and_the_shift_goes_on_with_it() -> None:
    async with store() as s:
        till = await s.signed_in()

        await shifts.set_pin(s.world.deployment, TEST_OPERATOR, "97531", actor=ACTOR)

        assert (await till.get("/")).path == "/sign-in"
        assert (await till.sign_in(PIN)).document["name"] == "pin_wrong"
        assert (await till.sign_in("97531")).status == 200
        assert await s.world.number("SELECT count(*) FROM shifts") == 1


async def test_a_locked_till_asks_for_the_pin_and_shows_the_open_shift() -> None:
    async with store() as s:
        till = await s.signed_in()

        answer = await till.post("/lock")

        assert answer.document == {"go": "/cashier/sign-in"}
        assert (await till.get("/")).path == "/sign-in"
        assert "班次进行中" in (await till.get("/sign-in")).words


async def test_two_cashiers_take_turns_at_one_till_in_shifts_of_their_own() -> None:
    async with store() as s:
        second = await s.cashier("小李")
        till = await s.signed_in()

        await till.post("/lock")
        await till.sign_in(operator_id=second)
        await till.post("/lock")
        await till.sign_in()

        rows = await s.world.rows("SELECT operator_id, closed_at_ms FROM shifts ORDER BY shift_id")
        assert [row["operator_id"] for row in rows] == [TEST_OPERATOR, second]
        assert [row["closed_at_ms"] for row in rows] == [0, 0]


async def test_a_till_that_nobody_touched_for_twelve_hours_asks_for_the_pin() -> None:
    async with store() as s:
        till = await s.signed_in()
        await s.world.advance(11 * 3600)
        assert (await till.get("/")).screen == "amount", "seen: the hours begin anew"
        await s.world.advance(12 * 3600)

        assert (await till.get("/")).path == "/sign-in"


PINS = {
    "123": "pin_form", "123456789": "pin_form", "12a4": "pin_form", "１２３５": "pin_form",
    "0000": "pin_weak", "1234": "pin_weak", "87654321": "pin_weak",
    "2580": "", "12345679": "", "1122": "",
}  # fmt: skip


async def test_a_pin_has_four_to_eight_digits_that_are_not_the_first_to_be_guessed() -> None:
    async with store() as s:
        for pin, problem in PINS.items():
            refused = ""
            try:
                await shifts.set_pin(s.world.deployment, TEST_OPERATOR, pin, actor=ACTOR)
            except TillProblem as error:
                refused = error.name

            assert refused == problem, pin


async def test_a_pin_is_stored_as_argon2id_and_named_in_no_log() -> None:
    async with store() as s:
        await (await s.paired()).sign_in("86420")

        (row,) = await s.world.rows("SELECT pin_hash FROM operators WHERE operator_id = $1", TEST_OPERATOR)
        assert row["pin_hash"].startswith("$argon2id$")
        details = [row["detail"] for row in await s.world.rows("SELECT detail FROM audit_events")]
        for text in (*details, s.world.ground.log.getvalue()):
            assert PIN not in text
            assert "86420" not in text
