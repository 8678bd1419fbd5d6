"""People: adding, roles, disabling, resetting; nobody manages more than the own merchants, and an owner remains."""

import asyncio
import re

import pytest

from opentill.domain.people import EVERY_MERCHANT, Grant, Role
from opentill.services import totp
from opentill.services.users import INITIAL_LIFE_MS
from opentill.storage import people as rows
from tests.databases import on_both_engines
from tests.web.console.kit import OTHER_MERCHANT_ID, PASSWORD, Answer, Console, at, console
from tests.world import MERCHANT_ID

FINE, REFUSED, HIDDEN, WRONG = 303, 403, 404, 422
MERCHANT_OWNER = at(Role.OWNER, MERCHANT_ID)


def grant_fields(*grants: tuple[int, str]) -> dict[str, list[str]]:
    return {"grant_merchant": [str(place) for place, _ in grants], "grant_role": [role for _, role in grants]}


def initial_password(answer: Answer) -> str:
    found = re.search(r'class="secret">([a-z2-7-]+)<', answer.text)
    assert found, answer.text
    return found[1]


async def grants(c: Console, user_id: int) -> tuple[Grant, ...]:
    return await rows.grants_of(c.world.database, user_id)


async def can_sign_in(c: Console, login: str, password: str) -> bool:
    return (await c.post("/sign-in", {"login": login, "password": password}, as_=None)).status == FINE


@on_both_engines
async def test_somebody_new_comes_in_with_a_password_that_was_shown_once(engine: str) -> None:
    async with console(engine) as c:
        form = {"login": "Li", "name": "李店长", **grant_fields((MERCHANT_ID, "manager"), (0, ""))}

        shown = await c.post("/users", form)

        user = await rows.user_by_login(c.world.database, "li")
        assert user is not None
        assert await grants(c, user.user_id) == (Grant(MERCHANT_ID, Role.MANAGER),)
        password = initial_password(shown)
        assert "no-store" in shown.headers["Cache-Control"]
        assert password not in (await c.get(f"/users/{user.user_id}")).text + c.world.ground.log.getvalue()
        assert await can_sign_in(c, "li", password)


async def test_an_initial_password_is_good_for_seven_days() -> None:
    async with console(works=False) as c:
        password = initial_password(await c.post("/users", {"login": "li", "name": "Li"}))

        c.world.clock.advance(INITIAL_LIFE_MS - 1)
        assert await can_sign_in(c, "li", password)
        c.world.clock.advance(1)

        assert not await can_sign_in(c, "li", password)


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({"login": "", "name": "x"}, "login"),
        ({"login": "x" * 65, "name": "x"}, "login"),
        ({"login": "own\u200ber", "name": "x"}, "login"),
        ({"login": "Shell", "name": "x"}, "login"),
        ({"login": "x", "name": " "}, "name"),
        ({"login": "x", "name": "x\u202e"}, "name"),
        ({"login": "x", "name": "x" * 65}, "name"),
        ({"login": "OWNER", "name": "x"}, "taken"),
        ({"login": "x", "name": "x", **grant_fields((1, "king"))}, "roles"),
        ({"login": "x", "name": "x", **grant_fields((1, "manager"), (1, "finance"))}, "roles"),
        ({"login": "x", "name": "x", "grant_merchant": "one", "grant_role": "manager"}, "roles"),
    ],
)
async def test_what_is_no_person_is_not_added(form: dict[str, str], problem: str) -> None:
    async with console() as c:
        await c.user_of(Role.OWNER)

        answer = await c.post("/users", form)

        assert (answer.status, c.texts["users"][f"problem_{problem}"] in answer.text) == (WRONG, True)
        assert await c.world.number("SELECT count(*) FROM users") == 1


@on_both_engines
async def test_roles_are_given_and_taken_and_felt_at_once(engine: str) -> None:
    async with console(engine) as c:
        user_id = await c.user_of(Role.READER)
        assert (await c.get("/devices", as_=Role.READER)).status == REFUSED

        form = {"name": "Reader", **grant_fields((MERCHANT_ID, "manager"), (OTHER_MERCHANT_ID, "finance"))}
        assert (await c.post(f"/users/{user_id}", form)).status == FINE

        assert (await c.get("/devices", as_=Role.READER)).status == 200
        assert await grants(c, user_id) == (Grant(MERCHANT_ID, Role.MANAGER), Grant(OTHER_MERCHANT_ID, Role.FINANCE))
        assert (await c.post(f"/users/{user_id}", {"name": "Reader", **grant_fields((1, ""))})).status == FINE
        assert (await grants(c, user_id), (await c.get("/devices", as_=Role.READER)).status) == ((), REFUSED)


@pytest.mark.parametrize(
    "given", [(EVERY_MERCHANT, "read-only"), (OTHER_MERCHANT_ID, "read-only"), (EVERY_MERCHANT, "owner")]
)
async def test_a_merchants_owner_gives_roles_at_that_merchant_alone(given: tuple[int, str]) -> None:
    async with console() as c:
        user_id = await c.user_of(Role.READER)
        for path in ("/users", f"/users/{user_id}"):
            form = {"login": "x", "name": "x", **grant_fields(given)}

            answer = await c.post(path, form, as_=MERCHANT_OWNER)

            assert (answer.status, c.texts["users"]["problem_roles"] in answer.text) == (WRONG, True)
        assert await grants(c, user_id) == at(Role.READER, MERCHANT_ID)
        assert await rows.user_by_login(c.world.database, "x") is None


@pytest.mark.parametrize("theirs", [at(Role.READER, MERCHANT_ID, OTHER_MERCHANT_ID), at(Role.CASHIER, 0), ()])
async def test_a_merchants_owner_does_not_know_people_of_elsewhere(theirs: tuple[Grant, ...]) -> None:
    async with console() as c:
        user_id = await c.user_of(theirs, login="elsewhere")

        listed = await c.get("/users", as_=MERCHANT_OWNER)
        answers = [
            await c.get(f"/users/{user_id}", as_=MERCHANT_OWNER),
            await c.post(f"/users/{user_id}", {"name": "x"}, as_=MERCHANT_OWNER),
            await c.post(f"/users/{user_id}/state", {"state": "disabled"}, as_=MERCHANT_OWNER),
            await c.post(f"/users/{user_id}/reset", as_=MERCHANT_OWNER),
        ]

        assert "elsewhere" not in listed.text
        assert [answer.status for answer in answers] == [HIDDEN] * 4


async def test_nobody_changes_the_own_roles_or_disables_or_resets_oneself() -> None:
    async with console() as c:
        user_id = await c.user_of(Role.OWNER)
        await c.user_of(at(Role.OWNER, EVERY_MERCHANT))

        answers = [
            await c.post(f"/users/{user_id}", {"name": "Owner", **grant_fields((0, "cashier"))}),
            await c.post(f"/users/{user_id}/state", {"state": "disabled"}),
            await c.post(f"/users/{user_id}/reset"),
        ]

        assert [answer.status for answer in answers] == [WRONG] * 3
        assert await grants(c, user_id) == at(Role.OWNER, EVERY_MERCHANT)
        assert (await c.get("/users")).status == 200


@on_both_engines
async def test_two_owners_who_disable_each_other_leave_one(engine: str) -> None:
    async with console(engine) as c:
        one, two = Role.OWNER, at(Role.OWNER, EVERY_MERCHANT)
        ids = {one: await c.user_of(one), two: await c.user_of(two)}
        for as_ in (one, two):
            await c.token_of(as_)

        await asyncio.gather(
            c.post(f"/users/{ids[two]}/state", {"state": "disabled"}, as_=one),
            c.post(f"/users/{ids[one]}", {"name": "x", **grant_fields((0, "cashier"))}, as_=two),
        )

        left = [user_id for user_id in ids.values() if await owns_all(c, user_id)]
        assert len(left) == 1


async def owns_all(c: Console, user_id: int) -> bool:
    user = await rows.user(c.world.database, user_id)
    assert user
    return not user.is_disabled and await grants(c, user_id) == at(Role.OWNER, EVERY_MERCHANT)


@on_both_engines
async def test_who_is_disabled_is_out_at_once_and_may_come_back(engine: str) -> None:
    async with console(engine) as c:
        user_id = await c.user_of(Role.MANAGER)
        assert (await c.get("/devices", as_=Role.MANAGER)).status == 200

        assert (await c.post(f"/users/{user_id}/state", {"state": "disabled"})).status == FINE

        assert (await c.get("/devices", as_=Role.MANAGER)).status == FINE
        assert not await can_sign_in(c, "manager", PASSWORD)
        await c.post(f"/users/{user_id}/state", {"state": "active"})
        assert (await c.get("/devices", as_=Role.MANAGER)).status == FINE, "the session of before is gone"
        assert await can_sign_in(c, "manager", PASSWORD)


async def test_a_reset_takes_password_second_factor_and_sessions() -> None:
    async with console() as c:
        user_id = await c.user_of(Role.READER)
        sealed = c.world.deployment.sealer.seal(totp.new_secret(), place=totp.place(user_id))
        await c.world.database.write([rows.replace_totp(user_id, sealed=sealed, last_step=7)])
        assert (await c.get("/profile", as_=Role.READER)).status == 200

        password = initial_password(await c.post(f"/users/{user_id}/reset"))

        assert (await c.get("/profile", as_=Role.READER)).status == FINE
        assert not await can_sign_in(c, "read-only", PASSWORD)
        assert await can_sign_in(c, "read-only", password)


@on_both_engines
async def test_roles_given_several_times_at_once_are_those_of_one_of_them(engine: str) -> None:
    async with console(engine) as c:
        user_id = await c.user_of(Role.READER)
        await c.csrf_token(Role.OWNER)
        wanted = [(Grant(1, Role.MANAGER),), (Grant(2, Role.FINANCE),)]

        answers = await asyncio.gather(
            *(
                c.post(f"/users/{user_id}", {"name": "X", **grant_fields((grant.merchant_id, grant.role.value))})
                for (grant,) in wanted * 5
            )
        )

        assert {answer.status for answer in answers} == {FINE}
        assert await grants(c, user_id) in wanted
