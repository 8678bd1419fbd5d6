"""The audit log: every change once, in words, with no secret; its chain shows what was changed afterwards."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from opentill.domain.parties import AppRules
from opentill.domain.people import Role
from opentill.services import audit
from opentill.storage import audit as rows
from opentill.storage.database import Step, StepFailed
from opentill.web.console.formats import iso_time
from opentill.web.pages import LANGUAGES, all_texts
from tests.databases import on_both_engines
from tests.twin.world import NOON_MS
from tests.web.console.kit import PASSWORD, Console, console
from tests.world import World, world

DAY_S = 86_400


async def changed(w: World, subject: str = "x", *, steps: tuple[Step, ...] = (), actor: str = "test") -> None:
    await audit.change(
        w.database,
        steps,
        actor=actor,
        source_ip="192.0.2.7",
        action="thing.change",
        subject=subject,
        before={"name": "old"},
        after={"name": "new"},
        now_ms=w.clock.now_ms(),
    )


async def broken_at(w: World) -> int | None:
    link = await audit.verify_chain(w.database)
    return link.link_no if link else None


# --- the chain


@on_both_engines
async def test_changes_at_once_are_links_of_one_chain(engine: str) -> None:
    async with world(engine) as w:
        await asyncio.gather(*(changed(w, f"thing {number}") for number in range(20)))

        links = await rows.links_after(w.database, 0, limit=100)
        assert [link.link_no for link in links] == list(range(1, 21))
        assert {link.subject for link in links} == {f"thing {number}" for number in range(20)}
        assert [link.previous_hash for link in links] == ["", *(link.hash for link in links[:-1])]
        assert await broken_at(w) is None


@on_both_engines
async def test_a_change_and_its_link_are_done_together_or_not_at_all(engine: str) -> None:
    async with world(engine) as w:
        rename = Step("UPDATE merchants SET name = $1 WHERE merchant_id = 1", ("renamed",), rows=1)
        fails = Step("UPDATE merchants SET name = $1 WHERE merchant_id = 77", ("x",), rows=1)

        with pytest.raises(StepFailed):
            await changed(w, steps=(rename, fails))
        assert await rows.last_link(w.database) is None
        await changed(w, steps=(rename,))

        last = await rows.last_link(w.database)
        assert last
        assert (last.actor, last.source_ip, last.action, last.subject) == ("test", "192.0.2.7", "thing.change", "x")
        assert msgspec.json.decode(last.detail) == {"before": {"name": "old"}, "after": {"name": "new"}}
        assert await w.number("SELECT count(*) FROM merchants WHERE name = 'renamed'") == 1


def sql(text: str) -> Callable[[World], Awaitable[None]]:
    return lambda w: w.change(text)


@pytest.mark.parametrize(
    ("tamper", "link_no"),
    [
        (sql("UPDATE audit_events SET actor = 'somebody else' WHERE link_no = 3"), 3),
        (sql("UPDATE audit_events SET at_ms = at_ms + 1 WHERE link_no = 3"), 3),
        (sql("UPDATE audit_events SET source_ip = '' WHERE link_no = 3"), 3),
        (sql("UPDATE audit_events SET action = 'x' WHERE link_no = 3"), 3),
        (sql("UPDATE audit_events SET subject = 'x' WHERE link_no = 3"), 3),
        (sql("UPDATE audit_events SET detail = '{}' WHERE link_no = 3"), 3),
        (sql("UPDATE audit_events SET event_id = event_id + 1000000 WHERE link_no = 3"), 3),
        (sql("UPDATE audit_events SET hash = 'x' WHERE link_no = 3"), 3),
        (sql("UPDATE audit_events SET previous_hash = 'x' WHERE link_no = 3"), 3),
        (sql("DELETE FROM audit_events WHERE link_no = 3"), 4),
        (sql("DELETE FROM audit_events WHERE link_no = 1"), 2),
        (sql("UPDATE audit_events SET link_no = NULL WHERE link_no = 3"), 4),
        (sql("UPDATE audit_events SET link_no = 9 WHERE link_no = 5"), 9),
    ],
)
async def test_what_is_changed_afterwards_breaks_the_chain_there(
    tamper: Callable[[World], Awaitable[None]], link_no: int
) -> None:
    async with world() as w:
        for number in range(5):
            await changed(w, str(number))
        assert await broken_at(w) is None

        await tamper(w)

        assert await broken_at(w) == link_no


async def test_a_link_whose_hash_was_computed_anew_breaks_the_one_after_it() -> None:
    async with world() as w:
        for number in range(5):
            await changed(w, str(number))
        third = (await rows.links_after(w.database, 2, limit=1))[0]
        forged = audit.sealed(msgspec.structs.replace(third, actor="somebody else"))

        await w.change("UPDATE audit_events SET actor = $1, hash = $2 WHERE link_no = 3", forged.actor, forged.hash)

        assert await broken_at(w) == 4


async def test_what_left_with_the_logs_shows_a_chain_that_was_cut() -> None:
    async with world() as w:
        await changed(w, "a")
        await changed(w, "b")
        last = await rows.last_link(w.database)

        logged = [line for line in w.log_lines() if line["event"] == "changed"][-1]

        assert last
        assert (logged["link"], logged["hash"]) == (2, last.hash)


async def test_every_page_of_a_long_chain_is_followed() -> None:
    async with world() as w:
        for number in range(7):
            await changed(w, str(number))
        await w.change("UPDATE audit_events SET actor = 'x' WHERE link_no = 6")

        found = await audit.verify_chain(w.database, at_once=2)

        assert found
        assert found.link_no == 6


# --- what is written down


@on_both_engines
async def test_the_administrations_changes_are_links_with_actor_before_and_after(engine: str) -> None:
    async with console(engine) as c:
        await c.world.administration.set_app_rules("A00305710000067", {"tolerance_ms": 0})

        last = await rows.last_link(c.world.database)

        assert last
        assert (last.actor, last.action, last.subject) == ("test", "app.rules", "A00305710000067")
        told = {"before": {"tolerance_ms": "600000"}, "after": {"tolerance_ms": "0"}}
        assert msgspec.json.decode(last.detail) == told
        assert await audit.verify_chain(c.world.database) is None


async def test_a_change_of_somebody_says_who_when_from_where_what_before_and_after() -> None:
    async with console() as c:
        user_id = await c.user_of(Role.READER)

        await c.post(f"/users/{user_id}", {"name": "Reader", "grant_merchant": "2", "grant_role": "finance"})

        page = await c.get("/audit")
        for text in ("修改角色", "owner", "127.0.0.1", "read-only@1", "finance@2"):
            assert text in page.text


async def test_no_secret_is_in_the_log() -> None:
    async with console() as c:
        user_id = await c.user_of(Role.READER)
        shown = await c.post(f"/users/{user_id}/reset")
        made = await c.world.administration.add_app("shop", [1], rules=AppRules())
        key = await c.world.administration.rotate_app_key(made.app, overlap_ms=0)
        settings = await c.world.administration.account_settings(1)
        await c.world.administration.replace_account_settings(1, {**settings, "seller_id": "2088000000000001"})
        await c.post(
            "/profile/password", {"current": PASSWORD, "password": "planted secret", "again": "planted secret"}
        )

        stored = str([dict(row) for row in await c.world.rows("SELECT * FROM audit_events")])
        page = (await c.get("/audit")).text

        assert "seller_id" in stored
        secrets = [made.key, key, PASSWORD, "planted secret", settings["app_private_key"][60:100]]
        secrets.append(shown.text.split('class="secret">')[1].split("<")[0])
        assert [secret for secret in secrets if secret in stored + page + c.world.ground.log.getvalue()] == []


def test_every_kind_of_change_has_words_in_both_languages() -> None:
    kinds = "account|app|device|export|merchant|notification|operator|order|refund|session|shift|store|user"
    named = re.compile(rf'"((?:{kinds})\.[a-z_]+)"')
    folder = Path(audit.__file__).parents[1]
    sources = [path.read_text("utf-8") for area in ("services", "web", "cli") for path in (folder / area).rglob("*.py")]

    actions = {action for source in sources for action in named.findall(source)}

    assert "user.add" in actions
    for language in LANGUAGES:
        assert actions - all_texts(language)["audit_action"].keys() == set()


# --- the page


async def planted(c: Console) -> None:
    for day in range(3):
        for actor in ("ann", "bob"):
            await changed(c.world, f"Thing_{day}%", actor=actor)
        await c.world.advance(DAY_S)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 6),
        ("actor=ann", 3),
        ("actor=an", 0),
        ("subject=thing_1", 2),
        ("subject=thing%251", 0),
        ("subject=%25", 6),
        ("action=thing.change", 6),
        ("action=user.add", 0),
        ("source=192.0.2.7", 6),
        ("source=192.0.2.8", 0),
        ("actor=bob&subject=2", 1),
        ("from={1}", 4),
        ("to={1}", 4),
        ("from={1}&to={1}", 2),
        ("from=nonsense&to=2026-13-45", 6),
    ],
)
async def test_filters_are_in_the_address(query: str, count: int) -> None:
    async with console() as c:
        await planted(c)

        second_day = iso_time(NOON_MS + DAY_S * 1000)[:10]

        page = await c.get("/audit?" + query.replace("{1}", second_day))

        assert page.text.count("Thing_") - page.text.count('value="Thing_') == count


@on_both_engines
async def test_the_log_is_read_page_by_page(engine: str) -> None:
    async with console(engine) as c:
        for number in range(120):
            await changed(c.world, f"number-{number:03d}.")
        seen: list[str] = []
        path = "/audit?subject=number"

        while path:
            page = await c.get(path)
            seen += [part[:3] for part in page.text.split('class="subject">number-')[1:]]
            older = page.text.partition('class="pager"')[2].partition("before=")[2].partition('"')[0]
            path = f"/audit?subject=number&before={older}" if older else ""

        assert seen == [f"{number:03d}" for number in reversed(range(120))]


async def test_the_page_follows_the_chain_when_asked() -> None:
    async with console() as c:
        await changed(c.world)
        whole = await c.post("/audit/chain")
        last = await rows.last_link(c.world.database)
        assert last
        await c.world.change("UPDATE audit_events SET actor = 'x' WHERE link_no = 1")
        broken = await c.post("/audit/chain", hx_request="true")

        assert c.texts["audit"]["whole"].format(number=last.link_no) in whole.text
        assert c.texts["audit"]["broken"].format(number=1) in broken.text
        assert ("<html" in whole.text, "<html" in broken.text) == (True, False)


async def test_what_people_wrote_is_shown_as_text() -> None:
    async with console() as c:
        await changed(c.world, "<script>alert(1)</script>", actor='"><b>')

        page = await c.get("/audit")

        assert "<script>alert" not in page.text
        assert "&lt;script&gt;alert(1)" in page.text


@pytest.mark.parametrize("before", ["abc", "9" * 30, "-1", ""])
async def test_a_page_that_cannot_be_is_the_newest(before: str) -> None:
    async with console() as c:
        await changed(c.world, "thing-1.")

        assert "thing-1." in (await c.get(f"/audit?before={before}")).text
