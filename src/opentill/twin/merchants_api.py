"""Merchants over the JSON API: list, open, give them keys of their own, let others act for them."""

import asyncio
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opentill.twin import enrolling, keys
from opentill.twin.context import Context
from opentill.twin.merchants import ALIPAY, WECHAT, AlipayAccount, WechatAccount
from opentill.twin.web import Asked, answering, read_values, reply, truth_of

_Account = TypeVar("_Account", AlipayAccount, WechatAccount)


class MerchantsApi:
    """The routes below `/api` about merchants. The twin's credentials are nobody's secret."""

    def __init__(self, twin: Context) -> None:
        self._twin = twin

    def routes(self) -> list[Route]:
        return [
            Route("/merchants", answering(self.merchants), methods=["GET", "POST"]),
            Route("/sub_merchants", answering(self.sub_merchants), methods=["POST"]),
        ]

    async def merchants(self, request: Request) -> Response:
        """GET lists all; POST opens one, or changes the one that is named, and answers with its credentials.

        Alipay: `{"wallet", "app_id"?, "public_key"?, "escapes_slashes"?, "out_of_money"?}`; WeChat Pay: `{"wallet",
        "mchid"?, "public_key"?, "merchant_serial"?, "is_public_key_only"?, "out_of_money"?}`. A `public_key` is the
        merchant's own, as PEM, bare base64 or certificate.
        """
        if request.method == "GET":
            registers = self._twin.merchants
            return reply(
                {
                    ALIPAY: [_alipay(account) for account in registers.alipay.all()],
                    WECHAT: [_wechat(account) for account in registers.wechat.all()],
                }
            )
        values = await read_values(request)
        if _wallet(values) == ALIPAY:
            return reply(_alipay(await self._alipay_saved(values)))
        return reply(_wechat(await self._wechat_saved(values)))

    async def sub_merchants(self, request: Request) -> Response:
        """A merchant for whom another acts: `{"wallet", "app_id" | "mchid"?}`, the ISV's app or the partner."""
        values = await read_values(request)
        if _wallet(values) == ALIPAY:
            account = self._alipay_named(values.get("app_id"))
            token, authorised = enrolling.authorised()
            grown = msgspec.structs.replace(account, authorised=account.authorised | {token: authorised})
            self._twin.merchants.alipay.replace(self._twin.books, account.merchant.app_id, grown)
            return reply({"app_auth_token": token, **msgspec.structs.asdict(authorised)})
        partner = self._wechat_named(values.get("mchid"))
        sub_mchid, sub_appid = enrolling.sub_merchant()
        served = msgspec.structs.replace(partner, sub_merchants=partner.sub_merchants | {sub_mchid: sub_appid})
        self._twin.merchants.wechat.replace(self._twin.books, partner.merchant.mchid, served)
        return reply({"sub_mchid": sub_mchid, "sub_appid": sub_appid})

    async def _alipay_saved(self, values: dict[str, str]) -> AlipayAccount:
        public_pem = _public_pem(values)
        merchants, now_ms = self._twin.merchants, self._twin.now_ms()
        if values.get("app_id"):
            account = self._alipay_named(values["app_id"])
        else:
            made = await asyncio.to_thread(keys.new_key_pairs, enrolling.KEYS_OF_ALIPAY)
            account = enrolling.alipay_account(merchants.root, made[0], made[1], now_ms=now_ms)
            merchants.alipay.add(self._twin.books, account.merchant.app_id, account)
        app_id = account.merchant.app_id
        if public_pem:
            merchant = msgspec.structs.replace(
                account.merchant,
                app_private_key_pem="",
                app_public_key_pem=public_pem,
                app_cert_pem=enrolling.app_certificate(merchants.root, app_id, public_pem, now_ms=now_ms),
            )
            account = msgspec.structs.replace(account, merchant=merchant)
        account = _with_flag(account, values, "escapes_slashes")
        merchants.alipay.replace(self._twin.books, app_id, account)
        self._set_money(ALIPAY, app_id, values)
        return account

    async def _wechat_saved(self, values: dict[str, str]) -> WechatAccount:
        public_pem = _public_pem(values)
        merchants, now_ms = self._twin.merchants, self._twin.now_ms()
        if values.get("mchid"):
            account = self._wechat_named(values["mchid"])
        else:
            made = await asyncio.to_thread(keys.new_key_pairs, enrolling.KEYS_OF_WECHAT)
            account = enrolling.wechat_account(merchants.root, *made, now_ms=now_ms)
            merchants.wechat.add(self._twin.books, account.merchant.mchid, account)
        mchid = account.merchant.mchid
        merchant = account.merchant
        if public_pem:
            merchant = msgspec.structs.replace(
                merchant, merchant_private_key_pem="", merchant_public_key_pem=public_pem
            )
        if values.get("merchant_serial"):
            merchant = msgspec.structs.replace(merchant, merchant_serial=values["merchant_serial"])
        account = _with_flag(msgspec.structs.replace(account, merchant=merchant), values, "is_public_key_only")
        merchants.wechat.replace(self._twin.books, mchid, account)
        self._set_money(WECHAT, mchid, values)
        return account

    def _set_money(self, wallet: str, number: str, values: dict[str, str]) -> None:
        is_out = truth_of(values, "out_of_money")
        if is_out is not None:
            self._twin.merchants.set_out_of_money(wallet, number, is_out=is_out)

    def _alipay_named(self, app_id: str | None) -> AlipayAccount:
        try:
            return self._twin.merchants.alipay.named(app_id or None)
        except KeyError:
            raise Asked(404, "UNKNOWN_MERCHANT", "no such app_id") from None

    def _wechat_named(self, mchid: str | None) -> WechatAccount:
        try:
            return self._twin.merchants.wechat.named(mchid or None)
        except KeyError:
            raise Asked(404, "UNKNOWN_MERCHANT", "no such mchid") from None


def enroll_first(twin: Context) -> None:
    """Open one merchant of each wallet. All keys are made at once, in threads."""
    made = keys.new_key_pairs(1 + enrolling.KEYS_OF_ALIPAY + enrolling.KEYS_OF_WECHAT)
    root_key, app_key, alipay_key, merchant_key, wallet_key, platform_key = made
    now_ms = twin.now_ms()
    merchants = twin.merchants
    with twin.books.write():
        root = enrolling.new_root(root_key, now_ms=now_ms)
        merchants.set_root(root)
        alipay = enrolling.alipay_account(root, app_key, alipay_key, now_ms=now_ms)
        merchants.alipay.add(twin.books, alipay.merchant.app_id, alipay)
        wechat = enrolling.wechat_account(root, merchant_key, wallet_key, platform_key, now_ms=now_ms)
        merchants.wechat.add(twin.books, wechat.merchant.mchid, wechat)


def _alipay(account: AlipayAccount) -> dict[str, Any]:
    authorised = {token: msgspec.structs.asdict(merchant) for token, merchant in account.authorised.items()}
    return {
        "wallet": ALIPAY,
        **msgspec.structs.asdict(account.merchant),
        "escapes_slashes": account.escapes_slashes,
        "authorised": authorised,
    }


def _wechat(account: WechatAccount) -> dict[str, Any]:
    return {
        "wallet": WECHAT,
        **msgspec.structs.asdict(account.merchant),
        "is_public_key_only": account.is_public_key_only,
        "sub_merchants": account.sub_merchants,
    }


def _wallet(values: dict[str, str]) -> str:
    wallet = values.get("wallet", "")
    if wallet not in (ALIPAY, WECHAT):
        raise Asked(400, "BAD_WALLET", "wallet is alipay or wechat")
    return wallet


def _public_pem(values: dict[str, str]) -> str:
    text = values.get("public_key", "")
    try:
        return keys.public_pem(text) if text else ""
    except (ValueError, TypeError):
        raise Asked(400, "BAD_KEY", "public_key is an RSA public key or a certificate") from None


def _with_flag(account: _Account, values: dict[str, str], name: str) -> _Account:
    value = truth_of(values, name)
    return account if value is None else msgspec.structs.replace(account, **{name: value})
