"""`open.pay.mp` (protocol 4.4): WeChat JSAPI."""

import base64

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from yarl import URL

from tests.clients import Reply
from tests.databases import on_both_engines
from tests.orders import WECHAT, ask, fault, is_signed_over, status
from tests.world import World, world

SIGNED = "appId timeStamp nonceStr package signType paySign timestamp"


async def opened(w: World, **params: object) -> Reply:
    """A payment of 10 yuan inside the test merchant's official account."""
    given = {"amount": 1000, "sub_app_id": w.twin.wechat_merchant().appid, "open_id": await _openid(w)}
    return await ask(w, "mp", **{**given, **params})  # type: ignore[arg-type]


@on_both_engines
async def test_what_the_page_needs_is_signed_by_the_merchant(engine: str) -> None:
    async with world(engine) as w:
        reply = await opened(w)

        data = reply.data
        assert set(data) == {*SIGNED.split(), "sign"}
        assert (data["appId"], data["signType"]) == (w.twin.wechat_merchant().appid, "RSA")
        assert data["package"].startswith("prepay_id=")
        assert data["timeStamp"] == str(w.clock.now_ms() // 1000)
        # channels B.9: four lines, each ended by a line feed, under the merchant's own key
        text = "".join(f"{data[name]}\n" for name in ("appId", "timeStamp", "nonceStr", "package"))
        _merchant_key(w).verify(base64.b64decode(data["paySign"]), text.encode(), padding.PKCS1v15(), hashes.SHA256())
        assert is_signed_over(w, reply, SIGNED)


async def test_the_timeline_shows_the_reply_but_not_what_pays_with_it() -> None:
    async with world() as w:
        reply = await opened(w)

        [row] = await w.rows("SELECT order_no FROM orders")

        [kept] = await w.replies(row["order_no"])
        assert reply.data["nonceStr"] in kept.detail["reply"]
        assert [name for name in ("paySign", "package") if reply.data[name] in kept.detail["reply"]] == []


@on_both_engines
async def test_the_page_pays_and_the_order_has_its_own_number(engine: str) -> None:
    async with world(engine) as w:
        reply = await opened(w, notify_url=w.shop.url)
        page = {name: value for name, value in reply.data.items() if name not in ("timestamp", "sign")}
        _, bridge = await w.ask_twin("POST", "/api/bridge", wallet="wechat", **page)

        await w.pay(bridge["code"], payer="Li")

        told = w.shop.heard[0].fields
        assert told["orderStatus"] == "PAY_SUC"
        assert (told["appOrderNo"], told["paymentChannel"]) == (told["cbOrderNo"], "WECHAT")
        asked = await ask(w, "query", order_no=told["cbOrderNo"])
        assert (asked.data["orderStatus"], asked.data["paymentWay"]) == ("2", "QRCODE")


async def test_a_number_of_the_integrator_is_used_once() -> None:
    async with world() as w:
        first = await opened(w, local_order_no="L-1")

        again = await opened(w, local_order_no="L-1")

        assert (first.code, again.code) == ("0", "60")


async def test_an_unknown_outcome_is_told_and_ended_by_the_worker() -> None:
    async with world() as w:
        await fault(w, WECHAT, "create", "lost_reply", times=2)
        reply = await opened(w, local_order_no="L-1")
        before = await ask(w, "query", local_order_no="L-1")

        await w.advance(2 * 3600 + 1)

        assert (reply.code, before.data["orderStatus"]) == ("63", "1")
        assert await status(w, before.order_no) == "-1"
        assert [trade["status"] for trade in await w.wallet_trades(before.order_no)] == ["CLOSED"]


async def test_what_the_wallet_refuses_is_refused() -> None:
    async with world() as w:
        reply = await opened(w, local_order_no="L-1", sub_app_id="wx0000000000000000")

        assert reply.code == "62"
        assert (await ask(w, "query", local_order_no="L-1")).data["orderStatus"] == "-2"


@pytest.mark.parametrize(
    ("params", "code"),
    [({"open_id": None}, "17"), ({"sub_app_id": ""}, "17"), ({"open_id": "有"}, "51"), ({"sub_app_id": "a b"}, "51")],
)
async def test_the_payer_must_be_named(params: dict[str, object], code: str) -> None:
    async with world() as w:
        reply = await opened(w, **params)

        assert reply.code == code


async def _openid(w: World) -> str:
    """What the official account learns of the payer Li by silent authorisation (channels B.13)."""
    merchant = w.twin.wechat_merchant()
    page = {"redirect_uri": "http://shop.example/pay", "response_type": "code", "scope": "snsapi_base", "state": "s"}
    authorize = URL(f"{w.base_url}/twin/wechat/connect/oauth2/authorize").with_query(appid=merchant.appid, **page)
    async with w.http.get(authorize, allow_redirects=False, headers={"Cookie": "twin_payer=Li"}) as reply:
        code = URL(reply.headers["Location"]).query["code"]
    values = {"appid": merchant.appid, "secret": merchant.app_secret, "code": code, "grant_type": "authorization_code"}
    async with w.http.get(f"{w.base_url}/twin/wechat/sns/oauth2/access_token", params=values) as reply:
        return str((await reply.json(content_type=None))["openid"])


def _merchant_key(w: World) -> rsa.RSAPublicKey:
    pem = w.twin.wechat_merchant().merchant_private_key_pem
    private = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    return private.public_key()
