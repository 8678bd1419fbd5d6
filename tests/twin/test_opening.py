"""Pages opened inside a wallet: who opened them, and trades for that person (channels B.9, B.13)."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.twin.clients import WechatAnswer, sign
from tests.twin.test_wechat_trades import order
from tests.twin.world import World, world

PAGE = "http://shop.example/pay?x=1"


async def redirected(w: World, path: str, payer: str = "") -> dict[str, str]:
    """What the page gets when the wallet's browser comes back."""
    cookies = {"Cookie": f"twin_payer={payer}"} if payer else {}
    async with w.http.get(w.base_url + path, allow_redirects=False, headers=cookies) as reply:
        assert reply.status == 302, await reply.text()
        found = urlsplit(reply.headers["Location"])
        assert f"{found.scheme}://{found.netloc}{found.path}" == "http://shop.example/pay"
        return {name: values[0] for name, values in parse_qs(found.query).items()}


async def wechat_code(w: World, payer: str = "") -> str:
    appid = w.twin.wechat_merchant().appid
    path = f"/wechat/connect/oauth2/authorize?appid={appid}&redirect_uri={quote(PAGE, safe='')}"
    found = await redirected(w, path + "&response_type=code&scope=snsapi_base&state=s1", payer)
    assert (found["x"], found["state"]) == ("1", "s1")
    return found["code"]


async def wechat_token(w: World, granted: str, **more: str) -> dict[str, Any]:
    merchant = w.twin.wechat_merchant()
    values = {
        "appid": merchant.appid,
        "secret": merchant.app_secret,
        "code": granted,
        "grant_type": "authorization_code",
    } | more
    async with w.http.get(w.base_url + "/wechat/sns/oauth2/access_token", params=values) as reply:
        assert reply.status == 200
        document: dict[str, Any] = await reply.json(content_type="text/plain")
        return document


async def prepay(w: World, openid: str) -> WechatAnswer:
    return await w.wechat().call("POST", "/v3/pay/transactions/jsapi", order(w, payer={"openid": openid}))


def bridge_call(w: World, prepay_id: str) -> dict[str, str]:
    merchant = w.twin.wechat_merchant()
    values = {"appId": merchant.appid, "timeStamp": "1795406400", "nonceStr": "n", "package": f"prepay_id={prepay_id}"}
    message = "".join(f"{value}\n" for value in values.values())
    return values | {"signType": "RSA", "paySign": sign(merchant.merchant_private_key_pem, message.encode())}


async def alipay_user(w: World, payer: str = "") -> dict[str, Any]:
    app_id = w.twin.alipay_merchant().app_id
    path = f"/alipay/oauth2/publicAppAuthorize.htm?app_id={app_id}&scope=auth_base&redirect_uri={quote(PAGE, safe='')}"
    found = await redirected(w, path, payer)
    client = w.alipay(grant_type="authorization_code", code=found["auth_code"])
    return (await client.call("alipay.system.oauth.token")).node


async def test_wechat_tells_the_openid_of_who_opened_the_page(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        token = await wechat_token(w, await wechat_code(w))

        other = await wechat_token(w, await wechat_code(w, payer="Wang"))

        assert len(token["openid"]) == 28
        assert token["scope"] == "snsapi_base"
        assert token["expires_in"] == 7200
        assert other["openid"] != token["openid"]


@pytest.mark.parametrize(
    ("more", "passed_ms", "errcode"),
    [
        ({}, 599_999, None),
        ({}, 600_000, 40029),
        ({"code": "nosuch"}, 0, 40029),
        ({"secret": "x"}, 0, 40125),
        ({"appid": "wx0"}, 0, 40013),
    ],
)
async def test_a_code_of_wechat_lives_ten_minutes(
    tmp_path: Path, more: dict[str, str], passed_ms: int, errcode: int | None
) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        code = await wechat_code(w)
        w.clock.advance(passed_ms)

        token = await wechat_token(w, code, **more)

        assert token.get("errcode") == errcode


async def test_a_code_of_wechat_works_once(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        code = await wechat_code(w)
        await wechat_token(w, code)

        token = await wechat_token(w, code)

        assert token["errcode"] == 40163


async def test_an_order_for_an_openid_is_paid_over_the_bridge(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        openid = (await wechat_token(w, await wechat_code(w, payer="Li")))["openid"]
        prepay_id = (await prepay(w, openid)).document["prepay_id"]

        status, payment = await w.post("/api/bridge", wallet="wechat", **bridge_call(w, prepay_id))

        paid = await w.pay(payment["code"], payer="Li")
        target = f"/v3/pay/transactions/out-trade-no/T00001?mchid={w.twin.wechat_merchant().mchid}"
        asked = (await w.wechat().call("GET", target)).document
        assert (status, payment["total_fen"]) == (200, 1230)
        assert paid["status"] == "SUCCESS"
        assert (asked["trade_type"], asked["payer"]) == ("JSAPI", {"openid": openid})
        assert len(w.shop.received) == 1


async def test_nobody_else_can_pay_an_order_for_an_openid(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        openid = (await wechat_token(w, await wechat_code(w, payer="Li")))["openid"]
        prepay_id = (await prepay(w, openid)).document["prepay_id"]

        status, answer = await w.post("/api/pay", qr_code=prepay_id, payer="Wang")

        assert (status, answer["error"]["code"]) == (409, "OTHER_PAYER")


async def test_the_bridge_refuses_a_wrong_signature(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        openid = (await wechat_token(w, await wechat_code(w)))["openid"]
        call = bridge_call(w, (await prepay(w, openid)).document["prepay_id"])

        status, answer = await w.post("/api/bridge", wallet="wechat", **(call | {"nonceStr": "other"}))

        assert (status, answer["error"]["code"]) == (400, "BAD_CALL")


async def test_an_openid_nobody_was_told_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await prepay(w, "o" + "x" * 27)

        assert (answer.status, answer.code) == (400, "PARAM_ERROR")


async def test_alipay_tells_the_user_and_makes_a_trade_for_that_buyer_alone(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        user = await alipay_user(w, payer="Li")
        biz = {"out_trade_no": "T1", "total_amount": "12.30", "subject": "茶", "buyer_id": user["user_id"]}
        created = await w.alipay(notify_url=w.shop.url).call("create", biz)
        trade_no = created.node["trade_no"]
        before = (await w.alipay().call("query", {"out_trade_no": "T1"})).node["trade_status"]
        _, payment = await w.post("/api/bridge", wallet="alipay", tradeNO=trade_no)

        refused, _ = await w.post("/api/pay", qr_code=payment["code"], payer="Wang")
        paid = await w.pay(payment["code"], payer="Li")

        assert user["code"] == "10000"
        assert user["user_id"].startswith("2088")
        assert before == "WAIT_BUYER_PAY"
        assert refused == 409
        assert (paid["trade_no"], paid["status"]) == (trade_no, "TRADE_SUCCESS")
        assert len(w.shop.received) == 1


async def test_alipay_knows_neither_strange_codes_nor_strange_buyers(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        token = await w.alipay(grant_type="authorization_code", code="nosuch").call("alipay.system.oauth.token")
        biz = {"out_trade_no": "T1", "total_amount": "12.30", "subject": "茶", "buyer_id": "2088000000000000"}

        created = await w.alipay().call("create", biz)

        assert token.code == "isv.code-invalid"
        assert created.code == "ACQ.BUYER_NOT_EXIST"


@pytest.mark.parametrize(
    "path",
    [
        "/wechat/connect/oauth2/authorize?appid=wx0&redirect_uri=http%3A%2F%2Fa&response_type=code&scope=snsapi_base",
        "/alipay/oauth2/publicAppAuthorize.htm?app_id=0&redirect_uri=http%3A%2F%2Fa&scope=auth_base",
    ],
)
async def test_an_unknown_app_is_led_nowhere(tmp_path: Path, path: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        async with w.http.get(w.base_url + path, allow_redirects=False) as reply:
            status = reply.status

        assert status == 400
