"""The page behind a link of open.pay.h5: who is sent where, what is offered, and what never is (protocol 4.3)."""

import asyncio
import re
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest

from opentill.services.access import OpenAccount
from opentill.services.links import PAGE_LIFE_MS, STATE_LIFE_MS, open_trade
from opentill.web.pages import LANGUAGES, read_texts
from tests.clients import Reply
from tests.databases import on_both_engines
from tests.phones import AGENTS, ALIPAY, BROWSER, WECHAT, link, look, open_in, pay_in, visit
from tests.world import MERCHANT_ID, World, world

WALLETS = pytest.mark.parametrize("wallet", ["wechat", "alipay"])
GRANTS = {"wechat": "code", "alipay": "auth_code"}


async def authorised(w: World, wallet: str, url: str, *, payer: str = "") -> str:
    """Where the wallet sends the browser back to, with its code and our state; not opened yet."""
    start = await visit(w, url, agent=AGENTS[wallet], follows=False)
    assert start.status == 302, start.html
    back = await visit(w, start.headers["location"], agent=AGENTS[wallet], payer=payer, follows=False)
    assert back.status == 302, back.html
    return back.headers["location"]


def changed(url: str, **query: str) -> str:
    parts = urlsplit(url)
    return parts._replace(query=urlencode({**dict(parse_qsl(parts.query)), **query})).geturl()


@on_both_engines
@WALLETS
async def test_a_link_opened_in_a_wallet_offers_a_trade_of_that_wallet(engine: str, wallet: str) -> None:
    async with world(engine) as w:
        order = await link(w, amount=1234, subject="两杯<咖啡>")

        page = await open_in(w, wallet, order.data["url"])

        assert (page.status, page.view, page.config["wallet"]) == (200, "pay", wallet)
        assert "￥12.34" in page.text.replace(" ", "")
        assert "两杯<咖啡>" in page.text
        (trade,) = await w.wallet_trades(order.order_no + "01")
        assert (trade["wallet"], trade["total_fen"], trade["payer"]) == (wallet, 1234, "payer")


@WALLETS
async def test_the_wallet_is_asked_silently_and_comes_back_to_the_link(wallet: str) -> None:
    async with world() as w:
        url = (await link(w)).data["url"]

        start = await visit(w, url + "?lang=en", agent=AGENTS[wallet], follows=False)

        assert start.status == 302
        target = urlsplit(start.headers["location"])
        query = parse_qs(target.query)
        assert target.path.startswith(f"/twin/{wallet}/")
        assert query["redirect_uri"] == [url + "?lang=en"]
        assert re.fullmatch(r"[0-9a-z]{1,100}", query["state"][0])
        assert await w.wallet_trades() == []


async def test_any_other_browser_shows_the_link_as_a_qr_code_and_opens_no_trade() -> None:
    async with world() as w:
        order = await link(w)

        page = await visit(w, order.data["url"], agent=BROWSER)

        assert (page.status, page.view) == (200, "scan")
        assert "<svg" in page.html
        assert read_texts("link.zh")["link"]["scan_both"] in page.text
        assert "values" not in page.config
        assert await w.rows("SELECT * FROM trades") == []


@WALLETS
async def test_the_same_payer_gets_the_same_trade_again(wallet: str) -> None:
    async with world() as w:
        order = await link(w)
        first = await open_in(w, wallet, order.data["url"], payer="Wang")

        again = await open_in(w, wallet, order.data["url"], payer="Wang")

        assert again.values == first.values
        assert [trade["out_trade_no"] for trade in await w.wallet_trades()] == [order.order_no + "01"]


@WALLETS
async def test_another_payer_gets_a_further_attempt(wallet: str) -> None:
    async with world() as w:
        order = await link(w)
        await open_in(w, wallet, order.data["url"], payer="Wang")

        await open_in(w, wallet, order.data["url"], payer="Li")

        found = {trade["out_trade_no"]: trade["payer"] for trade in await w.wallet_trades()}
        assert found == {order.order_no + "01": "Wang", order.order_no + "02": "Li"}


@on_both_engines
async def test_people_who_open_a_link_at_once_get_a_trade_each(engine: str) -> None:
    people = [f"payer{number}" for number in range(12)]
    async with world(engine) as w:
        order = await link(w)

        pages = await asyncio.gather(
            *(open_in(w, "wechat" if number % 2 else "alipay", order.data["url"], payer=payer)
              for number, payer in enumerate(people * 2))
        )  # fmt: skip

        assert {page.view for page in pages} == {"pay"}
        trades = await w.wallet_trades()
        # Somebody who opened it in two tabs still has one trade.
        assert sorted(trade["payer"] for trade in trades) == sorted(people)
        assert sorted(trade["out_trade_no"][-2:] for trade in trades) == [f"{n:02d}" for n in range(1, 13)]


async def test_what_a_page_pays_with_is_asked_for_anew_once_it_is_old() -> None:
    async with world() as w:
        order = await link(w)
        old = await open_in(w, "wechat", order.data["url"])

        await w.advance(91 * 60)
        new = await open_in(w, "wechat", order.data["url"])

        assert new.values["package"] != old.values["package"]
        assert [trade["out_trade_no"] for trade in await w.wallet_trades()] == [order.order_no + "01"]


@WALLETS
async def test_a_trade_closed_at_the_wallet_is_followed_by_a_further_attempt(wallet: str) -> None:
    async with world() as w:
        order = await link(w)
        await open_in(w, wallet, order.data["url"])
        await close_at_wallet(w, order.order_no)
        await w.advance(91 * 60)

        page = await open_in(w, wallet, order.data["url"])

        assert page.view == "pay"
        assert [trade["out_trade_no"][-2:] for trade in await w.wallet_trades()] == ["02", "01"]


async def close_at_wallet(w: World, order_no: str) -> None:
    """As a person does in the wallet's own console."""
    (row,) = await w.rows("SELECT channel, account_id FROM trades WHERE order_no = $1", order_no)
    account = await w.deployment.parties.account(row["account_id"])
    assert account is not None
    await w.deployment.channels[row["channel"]].close(account.opened, order_no + "01")


async def test_an_order_that_ended_meanwhile_gets_no_further_trade() -> None:
    async with world() as w:
        reply = await link(w)
        seen = await w.order(reply.order_no)
        await w.till.call("open.pay.reverse", order_no=reply.order_no)

        trade = await open_trade(w.deployment, seen, await account_of(w, "wechat"), "somebody")

        assert trade is None
        assert await w.rows("SELECT * FROM trades") == []


@WALLETS
async def test_a_trade_whose_order_ended_while_the_wallet_opened_it_is_closed_again(wallet: str) -> None:
    async with world(works=False) as w:
        reply = await link(w)
        await open_in(w, wallet, reply.data["url"])
        seen = await w.order(reply.order_no)
        (row,) = await w.rows("SELECT payer FROM trades")
        w.clock.advance(PAGE_LIFE_MS)
        await w.change("UPDATE orders SET state = 'CLOSED' WHERE order_no = $1", reply.order_no)

        trade = await open_trade(w.deployment, seen, await account_of(w, wallet), row["payer"])

        assert trade is None
        assert [found["status"] for found in await w.wallet_trades()] in (["CLOSED"], ["TRADE_CLOSED"])


async def account_of(w: World, wallet: str) -> OpenAccount:
    account = await w.deployment.parties.account((await account_ids(w))[wallet])
    assert account is not None
    return account


# --- state: only what we sent comes back


FORGERIES = {
    "missing": {"state": ""},
    "garbage": {"state": "x"},
    "not ours": {"state": "0" * 76},
    "a longer life": {"state": "f" * 12},
    "beyond ASCII": {"state": "状态" * 38},
}


@WALLETS
@pytest.mark.parametrize("forged", FORGERIES.values(), ids=FORGERIES)
async def test_a_forged_state_opens_nothing(wallet: str, forged: dict[str, str]) -> None:
    async with world() as w:
        order = await link(w)
        back = await authorised(w, wallet, order.data["url"])

        page = await visit(w, changed(back, **forged), agent=AGENTS[wallet])

        assert (page.status, page.view) == (400, "problem")
        assert await w.rows("SELECT * FROM trades") == []


@WALLETS
async def test_a_state_lives_ten_minutes(wallet: str) -> None:
    async with world() as w:
        url = (await link(w)).data["url"]
        early, late = await authorised(w, wallet, url), await authorised(w, wallet, url)

        w.clock.advance(STATE_LIFE_MS - 1)
        in_time = await visit(w, early, agent=AGENTS[wallet])
        w.clock.advance(1)
        too_late = await visit(w, late, agent=AGENTS[wallet])

        assert (in_time.status, in_time.view) == (200, "pay")
        assert (too_late.status, too_late.view) == (400, "problem")
        assert read_texts("link.zh")["link"]["stale"] in too_late.text


async def test_a_state_belongs_to_one_order_and_one_wallet() -> None:
    async with world() as w:
        one, other = await link(w), await link(w)
        back = await authorised(w, "wechat", one.data["url"])
        state = dict(parse_qsl(urlsplit(back).query))["state"]

        elsewhere = await visit(w, back.replace(one.order_no, other.order_no), agent=WECHAT)
        in_alipay = await visit(w, f"{one.data['url']}?auth_code=x&state={state}", agent=ALIPAY)

        assert (elsewhere.status, in_alipay.status) == (400, 400)
        assert await w.rows("SELECT * FROM trades") == []


@WALLETS
async def test_a_code_that_was_used_leads_back_to_the_link(wallet: str) -> None:
    async with world() as w:
        url = (await link(w)).data["url"]
        back = await authorised(w, wallet, url)
        await visit(w, back, agent=AGENTS[wallet])

        reloaded = await visit(w, back, agent=AGENTS[wallet])

        assert (reloaded.status, reloaded.view) == (503, "problem")
        assert f'href="{urlsplit(url).path}"' in reloaded.html
        assert dict(parse_qsl(urlsplit(back).query))[GRANTS[wallet]] not in reloaded.html


async def test_a_state_made_by_one_process_is_accepted_by_another() -> None:
    async with world() as w:
        url = (await link(w)).data["url"]
        back = await authorised(w, "wechat", url)

        async with w.another_gateway() as other:
            page = await visit(w, back.replace(w.base_url, other.url.removesuffix("/gatewayOpen.htm")), agent=WECHAT)

        assert (page.status, page.view) == (200, "pay")


# --- which links there are


async def test_only_an_h5_order_has_a_link() -> None:
    async with world() as w:
        scan = await w.scan()
        order = await link(w)
        numbers = [scan.order_no, order.order_no[:-1], order.order_no[:-1] + "x", order.order_no + "01", "1" * 30]

        pages = [await visit(w, f"{w.base_url}/pay/{number}") for number in numbers]
        statuses = [(await w.get(f"/pay/{number}/status"))[0] for number in numbers]

        assert [page.status for page in pages] == [404] * 5
        assert statuses == [404] * 5
        assert all(page.view == "problem" for page in pages)


async def test_a_page_holds_no_secret_and_cannot_be_framed() -> None:
    async with world() as w:
        page = await open_in(w, "wechat", (await link(w)).data["url"])

        merchant = w.twin.wechat_merchant()
        for secret in (merchant.app_secret, merchant.api_v3_key, merchant.mchid):
            assert secret not in page.html
        policy = page.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["cache-control"] == "no-store"
        assert not re.search(r"<[^>]+ (on\w+|style)=", page.html)
        assert not re.search(r'(src|href)="(https?:)?//', page.html)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_page_speaks_the_readers_language(language: str) -> None:
    texts = read_texts(f"link.{language}")["link"]
    async with world() as w:
        page = await open_in(w, "alipay", f"{(await link(w)).data['url']}?lang={language}")

        assert texts["pay_alipay"] in page.text
        assert page.headers["content-language"] == read_texts(language)["site"]["language"]


def test_both_languages_have_the_same_texts() -> None:
    chinese, english = read_texts("link.zh"), read_texts("link.en")

    assert chinese["link"].keys() == english["link"].keys()
    assert all(text.strip() for texts in (chinese, english) for text in texts["link"].values())


# --- accounts


async def account_ids(w: World) -> dict[str, int]:
    found = await w.administration.accounts_of_operator(w.till.operator_id)
    assert found is not None
    return {w.deployment.channels[number].name: account_id for number, account_id in found.items()}


async def disable(w: World, kind: str, key: int | str) -> None:
    await w.administration.set_disabled(kind, key, is_disabled=True)
    w.deployment.parties.forget()


@WALLETS
async def test_a_disabled_account_is_not_offered_and_the_other_wallet_is(wallet: str) -> None:
    other = {"wechat": "alipay", "alipay": "wechat"}[wallet]
    texts = read_texts("link.zh")["link"]
    async with world() as w:
        url = (await link(w)).data["url"]
        await disable(w, "account", (await account_ids(w))[wallet])

        here = await open_in(w, wallet, url)
        there = await open_in(w, other, url)
        elsewhere = await visit(w, url)

        assert here.view == "scan"
        assert texts["other_wallet"] in here.text
        assert texts[f"scan_{other}"] in here.text
        assert there.view == "pay"
        assert texts[f"scan_{other}"] in elsewhere.text
        assert texts["other_wallet"] not in elsewhere.text


@pytest.mark.parametrize("kind", ["operator", "merchant"])
async def test_nobody_can_pay_a_disabled_cashier_or_merchant(kind: str) -> None:
    async with world() as w:
        url = (await link(w)).data["url"]
        await disable(w, kind, w.till.operator_id if kind == "operator" else MERCHANT_ID)

        page = await open_in(w, "wechat", url)

        assert page.view == "problem"
        assert read_texts("link.zh")["link"]["unavailable"] in page.text
        assert await w.wallet_trades() == []


async def test_a_wechat_account_without_app_secret_is_not_offered() -> None:
    async with world() as w:
        url = (await link(w)).data["url"]
        account_id = (await account_ids(w))["wechat"]
        settings = await w.administration.account_settings(account_id)
        await w.administration.replace_account_settings(account_id, settings | {"app_secret": ""})
        w.deployment.parties.forget()

        page = await open_in(w, "wechat", url)

        assert page.view == "scan"


# --- what is never offered


async def paid(w: World, order: Reply) -> None:
    await pay_in(w, "wechat", order.data["url"], payer="Wang")


async def refunded(w: World, order: Reply) -> None:
    await paid(w, order)
    reply = await w.meanwhile(w.till.call("open.pay.refund", order_no=order.order_no))
    assert reply.data["refundStatus"] == "5"


async def reversed_(w: World, order: Reply) -> None:
    await w.till.call("open.pay.reverse", order_no=order.order_no)


async def overdue(w: World, order: Reply) -> None:
    w.clock.advance(2 * 3_600_000)


async def closed(w: World, order: Reply) -> None:
    await w.advance(2 * 3600)
    assert await w.state(order.order_no) == "CLOSED"


ENDS = {
    "paid": (paid, "paid", True),
    "refunded": (refunded, "refunded", True),
    "reversed": (reversed_, "cancelled", True),
    "overdue": (overdue, "expired", False),
    "closed": (closed, "expired", True),
}


@pytest.mark.parametrize(("end", "view", "is_final"), ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("agent", [WECHAT, ALIPAY, BROWSER], ids=["wechat", "alipay", "browser"])
async def test_an_order_that_is_over_is_never_offered(end: object, view: str, is_final: bool, agent: str) -> None:
    # The one that is only overdue is still open: no worker has closed it yet.
    async with world(works=view != "expired" or is_final) as w:
        order = await link(w)
        assert callable(end)
        await end(w, order)
        trades = await w.wallet_trades()

        page = await visit(w, order.data["url"], agent=agent, payer="Li")

        assert (page.status, page.view) == (200, view)
        assert "values" not in page.config
        assert 'id="pay"' not in page.html
        assert "link-qr" not in page.html
        assert await w.wallet_trades() == trades
        told = await look(w, order.order_no)
        assert (told["status"], told["is_final"]) == (view, is_final)


async def test_only_a_paid_order_tells_where_to_go() -> None:
    async with world() as w:
        order = await link(w, redirect_url="https://shop.example/done?a=1&b=2")
        before = await look(w, order.order_no)

        page = await pay_in(w, "alipay", order.data["url"])

        assert before == {"status": "waiting", "is_final": False, "redirect_url": ""}
        after = {"status": "paid", "is_final": True, "redirect_url": "https://shop.example/done?a=1&b=2"}
        assert await look(w, order.order_no) == after
        assert "shop.example" not in page.html
        ended = await visit(w, order.data["url"])
        assert 'href="https://shop.example/done?a=1&amp;b=2"' in ended.html


# --- the script's questions


async def test_the_wallet_is_asked_only_when_the_payer_says_to_have_paid() -> None:
    async with world(works=False) as w:
        order = await link(w)
        page = await open_in(w, "wechat", order.data["url"])
        asked = await w.metric("opentill_wallet_calls_total", channel="wechat", operation="query", outcome="accepted")

        await look(w, order.order_no)
        quiet = await w.metric("opentill_wallet_calls_total", channel="wechat", operation="query", outcome="accepted")
        await look(w, order.order_no, ask=True)
        await look(w, order.order_no, ask=True)
        loud = await w.metric("opentill_wallet_calls_total", channel="wechat", operation="query", outcome="accepted")

        assert page.view == "pay"
        # At most once in two seconds, whoever asks.
        assert (asked, quiet, loud) == (0, 0, 1)


async def test_once_somebody_paid_the_trades_of_the_others_are_closed() -> None:
    async with world() as w:
        order = await link(w)
        await open_in(w, "wechat", order.data["url"], payer="Li")
        await open_in(w, "alipay", order.data["url"], payer="Zhao")
        await pay_in(w, "wechat", order.data["url"], payer="Wang")

        await look(w, order.order_no)

        states = {trade["payer"]: trade["status"] for trade in await w.wallet_trades()}
        assert states == {"Li": "CLOSED", "Zhao": "TRADE_CLOSED", "Wang": "SUCCESS"}
        calls = [("wechat", "closed"), ("alipay", "closed")]
        counted = [
            await w.metric("opentill_wallet_calls_total", channel=name, operation="close", outcome=outcome)
            for name, outcome in calls
        ]
        await look(w, order.order_no)
        assert (
            counted
            == [1, 1]
            == [
                await w.metric("opentill_wallet_calls_total", channel=name, operation="close", outcome=outcome)
                for name, outcome in calls
            ]
        )


async def test_outside_the_sandbox_no_browser_can_play_a_wallet() -> None:
    async with world(is_sandbox=False) as w:
        till = await w.add_till()
        order = await till.call("open.pay.h5", amount=1)

        page = await visit(w, order.data["url"] + "?as=wechat")

        assert page.view == "scan"
        assert "as=" not in page.html.replace("class=", "")
        assert "/twin/" not in page.html


async def test_in_the_sandbox_any_browser_can_play_a_wallet() -> None:
    async with world() as w:
        order = await link(w)

        page = await visit(w, order.data["url"] + "?as=alipay")

        assert (page.view, page.config["wallet"]) == ("pay", "alipay")
        assert '<script src="/twin/bridge.js" defer></script>' in page.html


async def test_without_a_database_customers_still_see_a_page() -> None:
    async with world(works=False) as w:
        order = await link(w)
        await w.database.close()

        page = await visit(w, order.data["url"], agent=WECHAT)
        status, _ = await w.get(f"/pay/{order.order_no}/status")

        assert (page.status, page.view, status) == (503, "problem", 503)
        assert read_texts("link.zh")["link"]["busy"] in page.text
