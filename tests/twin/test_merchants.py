"""Merchants: several, with keys of their own, in certificate mode, and others who act for them."""

import dataclasses
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from opentill.twin.merchants import AlipayMerchant, WechatMerchant
from tests.twin.clients import (
    AlipayClient,
    WechatClient,
    certificate_names,
    certificate_sn,
    opened,
    verified_notify,
    verify,
    verify_wechat,
)
from tests.twin.test_alipay_trades import BIZ
from tests.twin.test_wechat_refunds import REFUNDS
from tests.twin.test_wechat_trades import NATIVE, order
from tests.twin.world import World, world


def own_key() -> tuple[str, str]:
    """A key that the twin did not make: private PEM, public PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def alipay_of(w: World, document: dict[str, Any], **common: str) -> AlipayClient:
    return dataclasses.replace(w.alipay(**common), merchant=msgspec.convert(document, AlipayMerchant))


def wechat_of(w: World, document: dict[str, Any]) -> WechatClient:
    merchant = msgspec.convert(document, WechatMerchant)
    return dataclasses.replace(w.wechat(), merchant=merchant, serial=merchant.public_key_id)


async def test_a_further_merchant_has_orders_and_keys_of_its_own(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        _, alipay = await w.post("/api/merchants", wallet="alipay")
        _, wechat = await w.post("/api/merchants", wallet="wechat")
        await w.alipay().call("precreate", BIZ)
        await w.wechat().call("POST", NATIVE, order(w))

        second = await alipay_of(w, alipay).call("precreate", BIZ | {"total_amount": "1.00"})
        document = order(w, appid=wechat["appid"], mchid=wechat["mchid"], amount={"total": 100})
        other = await wechat_of(w, wechat).call("POST", NATIVE, document)

        assert (second.code, other.status) == ("10000", 200)
        assert w.twin.alipay_merchant(alipay["app_id"]).seller_id == alipay["seller_id"]
        assert w.twin.wechat_merchant(wechat["mchid"]).api_v3_key == wechat["api_v3_key"]
        with pytest.raises(KeyError):
            w.twin.alipay_merchant("nosuch")


@pytest.mark.parametrize("shape", ["PEM", "bare base64"])
async def test_a_merchant_may_bring_its_own_key(tmp_path: Path, shape: str) -> None:
    private, public = own_key()
    pasted = public if shape == "PEM" else "".join(public.splitlines()[1:-1])
    async with world(tmp_path / "twin.sqlite3") as w:
        app_id, mchid = w.twin.alipay_merchant().app_id, w.twin.wechat_merchant().mchid
        _, alipay = await w.post("/api/merchants", wallet="alipay", app_id=app_id, public_key=pasted)
        serial = "5" + "A" * 39
        _, wechat = await w.post(
            "/api/merchants", wallet="wechat", mchid=mchid, public_key=pasted, merchant_serial=serial
        )
        assert alipay["app_private_key_pem"] == wechat["merchant_private_key_pem"] == ""

        first = await alipay_of(w, alipay | {"app_private_key_pem": private}).call("precreate", BIZ)
        second = await wechat_of(w, wechat | {"merchant_private_key_pem": private}).call("POST", NATIVE, order(w))

        assert (first.code, second.status) == ("10000", 200)


@pytest.mark.parametrize(
    ("values", "status", "code"),
    [
        ({"wallet": "paypal"}, 400, "BAD_WALLET"),
        ({"wallet": "alipay", "app_id": "nosuch"}, 404, "UNKNOWN_MERCHANT"),
        ({"wallet": "wechat", "mchid": "nosuch"}, 404, "UNKNOWN_MERCHANT"),
        ({"wallet": "alipay", "public_key": "x"}, 400, "BAD_KEY"),
        ({"wallet": "alipay", "public_key": "-----BEGIN PUBLIC KEY-----"}, 400, "BAD_KEY"),
        ({"wallet": "alipay", "escapes_slashes": "perhaps"}, 400, "BAD_FLAG"),
    ],
)
async def test_what_makes_no_merchant_is_refused(
    tmp_path: Path, values: dict[str, str], status: int, code: str
) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        got, answer = await w.post("/api/merchants", **values)

        assert (got, answer["error"]["code"]) == (status, code)


async def test_all_merchants_are_listed_after_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await w.post("/api/merchants", wallet="wechat")
        _, before = await w.get("/api/merchants")

    async with world(tmp_path / "twin.sqlite3") as w:
        _, after = await w.get("/api/merchants")

        assert after == before
        assert [len(after[wallet]) for wallet in ("alipay", "wechat")] == [1, 2]


async def test_certificate_mode_names_the_certificate_that_signs(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        merchant = w.twin.alipay_merchant()

        answer = await w.alipay(**certificate_names(merchant)).call("precreate", BIZ)

        named = f'"alipay_cert_sn":"{certificate_sn(merchant.alipay_cert_pem)}"'.encode()
        assert named in answer.raw
        verify(merchant.alipay_cert_pem, answer.text, answer.sign)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("app_cert_sn", "isv.app-cert-sn-not-match"),
        ("alipay_root_cert_sn", "isv.alipay-root-cert-sn-not-match"),
    ],
)
async def test_certificates_that_do_not_match_are_refused(tmp_path: Path, name: str, code: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        names = certificate_names(w.twin.alipay_merchant()) | {name: "0" * 32}

        answer = await w.alipay(**names).call("precreate", BIZ)

        assert answer.code == code


async def test_slashes_may_be_escaped_after_signing(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        merchant = w.twin.alipay_merchant()
        await w.post("/api/merchants", wallet="alipay", app_id=merchant.app_id, escapes_slashes=True)
        values = w.alipay().signed("precreate", BIZ)

        async with w.http.get(f"{w.base_url}/alipay/gateway.do?{urlencode(values)}") as reply:
            raw = await reply.read()

        text, signature = raw[raw.index(b":") + 1 : raw.rindex(b',"sign"')], raw[:-2].rpartition(b'"')[2].decode()
        assert rb"https:\/\/qr.alipay.com\/bax" in text
        verify(merchant.alipay_public_key_pem, text.replace(rb"\/", b"/"), signature)


async def test_a_public_key_merchant_has_no_certificate(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        merchant = w.twin.wechat_merchant()
        await w.post("/api/merchants", wallet="wechat", mchid=merchant.mchid, is_public_key_only=True)

        certificates = await w.wechat().call("GET", "/v3/certificates")
        unnamed = await w.wechat(serial="").call("POST", NATIVE, order(w))
        named = await w.wechat(serial=merchant.platform_certificate_serial).call("POST", NATIVE, order(w))

        assert (certificates.status, certificates.code) == (404, "RESOURCE_NOT_EXISTS")
        assert (unnamed.status, unnamed.headers["wechatpay-serial"]) == (200, merchant.public_key_id)
        assert named.status == 400


async def test_an_empty_account_cannot_pay_for_refunds_until_it_is_filled(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        app_id = w.twin.alipay_merchant().app_id
        code = (await w.alipay().call("precreate", BIZ)).node["qr_code"]
        await w.pay(code)
        await w.post("/api/merchants", wallet="alipay", app_id=app_id, out_of_money=True)
        biz = {"out_trade_no": "T1", "refund_amount": "1.00", "out_request_no": "R1"}
        empty = await w.alipay().call("refund", biz)
        await w.post("/api/merchants", wallet="alipay", app_id=app_id, out_of_money=False)

        again = await w.alipay().call("refund", biz)

        assert empty.code == "ACQ.SELLER_BALANCE_NOT_ENOUGH"
        assert (again.code, again.node["fund_change"]) == ("10000", "Y")


async def test_an_isvs_app_acts_for_the_merchant_whose_token_it_sends(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        _, authorised = await w.post("/api/sub_merchants", wallet="alipay")
        client = w.alipay(app_auth_token=authorised["app_auth_token"], notify_url=w.shop.url)
        await w.pay((await client.call("precreate", BIZ)).node["qr_code"])

        own = await w.alipay().call("query", {"out_trade_no": "T1"})
        acting = await client.call("query", {"out_trade_no": "T1"})

        content = verified_notify(w.twin.alipay_merchant(), w.shop.received[0].form())
        assert own.code == "ACQ.TRADE_NOT_EXIST"
        assert acting.node["trade_status"] == "TRADE_SUCCESS"
        assert content["app_id"] == w.twin.alipay_merchant().app_id
        assert content["auth_app_id"] == authorised["auth_app_id"]
        assert content["seller_id"] == authorised["seller_id"]


async def test_a_token_nobody_gave_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await w.alipay(app_auth_token="x").call("precreate", BIZ)

        assert (answer.node["code"], answer.code) == ("20001", "aop.invalid-app-auth-token")


def partner_order(w: World, sub_mchid: str, **more: Any) -> dict[str, Any]:
    document = order(w) | {"sub_mchid": sub_mchid} | more
    return {{"appid": "sp_appid", "mchid": "sp_mchid"}.get(name, name): value for name, value in document.items()}


async def test_a_partner_orders_queries_closes_and_refunds_for_whom_it_serves(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        partner = w.twin.wechat_merchant()
        _, served = await w.post("/api/sub_merchants", wallet="wechat")
        sub_mchid = served["sub_mchid"]
        native, orders = "/v3/pay/partner/transactions/native", "/v3/pay/partner/transactions/out-trade-no"
        names = {"sp_mchid": partner.mchid, "sub_mchid": sub_mchid}
        issued = await w.wechat().call("POST", native, partner_order(w, sub_mchid))
        await w.pay(issued.document["code_url"])
        await w.wechat().call("POST", native, partner_order(w, sub_mchid, out_trade_no="T00002"))

        asked = await w.wechat().call("GET", f"{orders}/T00001?{urlencode(names)}")
        closed = await w.wechat().call("POST", f"{orders}/T00002/close", names)
        refunded = await w.wechat().call(
            "POST",
            REFUNDS,
            {
                "sub_mchid": sub_mchid,
                "out_trade_no": "T00001",
                "out_refund_no": "R1",
                "amount": {"refund": 1, "total": 1230, "currency": "CNY"},
            },
        )
        refund = await w.wechat().call("GET", f"{REFUNDS}/R1?sub_mchid={sub_mchid}")
        strange = await w.wechat().call("GET", f"{REFUNDS}/R1")

        (callback,) = w.shop.received
        verify_wechat(partner, callback.headers, callback.body)
        content = opened(partner, callback.document()["resource"])
        assert (asked.document["sp_mchid"], asked.document["sub_mchid"]) == (partner.mchid, sub_mchid)
        assert "mchid" not in asked.document
        assert list(asked.document["payer"]) == ["sp_openid"]
        assert content == asked.document | {"trade_state": "SUCCESS", "trade_state_desc": "支付成功"}
        assert closed.status == 204
        assert (refunded.status, refund.status, strange.status) == (200, 200, 404)


async def test_a_partners_orders_are_kept_apart_and_strangers_refused(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        partner = w.twin.wechat_merchant()
        _, first = await w.post("/api/sub_merchants", wallet="wechat")
        _, second = await w.post("/api/sub_merchants", wallet="wechat")
        native = "/v3/pay/partner/transactions/native"
        await w.wechat().call("POST", native, partner_order(w, first["sub_mchid"]))
        names = urlencode({"sp_mchid": partner.mchid, "sub_mchid": second["sub_mchid"]})

        other = await w.wechat().call("GET", f"/v3/pay/partner/transactions/out-trade-no/T00001?{names}")
        own = await w.wechat().call("GET", f"/v3/pay/transactions/out-trade-no/T00001?mchid={partner.mchid}")
        unserved = await w.wechat().call("POST", native, partner_order(w, "1500000000"))

        assert (other.status, own.status) == (404, 404)
        assert (unserved.status, unserved.code) == (403, "NO_AUTH")
