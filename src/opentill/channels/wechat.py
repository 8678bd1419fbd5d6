"""WeChat Pay API v3 (channels B): native QR codes, payment codes, JSAPI pages, refunds, callbacks."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from opentill.channels import wechat_check, wechat_oauth
from opentill.channels import wechat_codes as codes
from opentill.channels.base import (
    UNREADABLE,
    AccountField,
    Answer,
    Callback,
    CallbackRefused,
    CallbackReply,
    Checked,
    Identity,
    LineDiscount,
    Outcome,
    Payment,
    RefundAnswer,
    RefundOutcome,
    RefundRequest,
    Trade,
    Wire,
)
from opentill.channels.values import (
    Json,
    code_text,
    message_text,
    ms_from_rfc3339,
    node_of,
    nodes_of,
    number_of,
    plain_text,
    text_of,
)
from opentill.channels.wechat_account import FIELDS, WechatAccount
from opentill.channels.wechat_account import open_account as _open_account
from opentill.channels.wechat_order import (
    base_path,
    codepay_scene,
    goods_and_amount,
    merchant,
    openid_name,
    order_of,
    payee,
    sub_merchant,
    trade_path,
)
from opentill.channels.wechat_wire import (
    OK,
    USER_PAYING,
    Reply,
    call,
    new_nonce,
    read_notice,
    refresh_certificates,
    signature_of_page,
)
from opentill.domain.parties import WECHAT

_MAX_REASON = 80
_REFUNDS = "/v3/refund/domestic/refunds"

_BARCODE = re.compile(r"1[0-5]\d{16}", re.ASCII)  # protocol 4.2: 18 digits

_WITH_REFUNDS = "REFUND"
_PAID_STATES = ("SUCCESS", _WITH_REFUNDS)  # channels B.5: a trade with refunds is still a paid one


class Wechat:
    """The adapter. It holds no state but how to reach the wallet."""

    number = WECHAT
    name = "wechat"
    refund_gap_ms = 60_000  # channels B.7
    browser_mark = "MicroMessenger"
    grant_parameter = "code"
    account_fields: tuple[AccountField, ...] = FIELDS

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def open_account(self, settings: Mapping[str, str]) -> WechatAccount:
        return _open_account(settings)

    def recognises(self, barcode: str) -> bool:
        return _BARCODE.fullmatch(barcode) is not None

    async def prepare(self, account: WechatAccount) -> None:
        await refresh_certificates(self._wire, account)

    async def examine(self, account: WechatAccount, trade_no: str) -> list[Checked]:
        return await wechat_check.examine(self._wire, account, trade_no)

    async def create_qr(self, account: WechatAccount, trade: Trade) -> Answer:
        body = {**payee(account, account.appid, account.sub_appid), **order_of(trade)}
        reply = await call(self._wire, account, "POST", f"{base_path(account)}/native", body)
        if reply.word == OK:
            qr_text = text_of(reply.node, "code_url")
            return _answer(reply, Outcome.ACCEPTED, qr_text=qr_text) if qr_text else _unreadable(reply)
        return await self._not_created(account, trade, reply)

    async def create_page(self, account: WechatAccount, trade: Trade, payer: str, payer_app_id: str) -> Answer:
        # The openid belongs to the app it was got with, and that app signs the page's call (channels B.9).
        appid = payer_app_id or account.appid
        is_sub = account.is_partner and appid != account.appid
        body = {
            **payee(account, account.appid if is_sub else appid, appid if is_sub else account.sub_appid),
            **order_of(trade),
            "payer": {openid_name(account, is_sub=is_sub): payer},
        }
        reply = await call(self._wire, account, "POST", f"{base_path(account)}/jsapi", body)
        if reply.word == OK:
            prepay_id = text_of(reply.node, "prepay_id")
            if not prepay_id:
                return _unreadable(reply)
            values = self._page_values(account, appid, prepay_id)
            return _answer(reply, Outcome.ACCEPTED, page_values=values)
        return await self._not_created(account, trade, reply)

    def authorize_url(self, account: WechatAccount, redirect_uri: str, state: str) -> str | None:
        return wechat_oauth.authorize_url(self._wire, account, redirect_uri, state)

    async def payer_of(self, account: WechatAccount, code: str) -> Identity:
        return await wechat_oauth.payer_of(self._wire, account, code)

    async def charge(self, account: WechatAccount, trade: Trade, barcode: str) -> Answer:
        body = {
            **payee(account, account.appid, account.sub_appid),
            **goods_and_amount(trade),
            "payer": {"auth_code": barcode},
            **codepay_scene(trade),
        }
        reply = await call(self._wire, account, "POST", f"{base_path(account)}/codepay", body)
        if reply.word == OK:
            found = _trade_answer(account, reply, trade.trade_no)
            # This one call took the money, or it did not; a closed trade is no answer to it.
            return found if found.outcome is not Outcome.CLOSED else _answer(reply, Outcome.UNKNOWN)
        if reply.word == USER_PAYING:
            return _answer(reply, Outcome.ACCEPTED, needs_password=True)
        if reply.word in codes.ASK_INSTEAD_OF_CREATE:
            found = await self.query(account, trade.trade_no)
            return _if_certain(found, {Outcome.PAID: Outcome.PAID, Outcome.CLOSED: Outcome.REFUSED}, reply)
        return _answer(reply, codes.charge_outcome(reply.word))

    async def query(self, account: WechatAccount, trade_no: str, *, timeout_s: float | None = None) -> Answer:
        path = f"{trade_path(account, trade_no)}?{urlencode(merchant(account))}"
        reply = await call(self._wire, account, "GET", path, timeout_s=timeout_s)
        if reply.word == OK:
            return _trade_answer(account, reply, trade_no)
        return _answer(reply, codes.query_outcome(reply.word))

    async def close(self, account: WechatAccount, trade_no: str) -> Answer:
        reply = await call(self._wire, account, "POST", f"{trade_path(account, trade_no)}/close", merchant(account))
        if reply.word == OK:
            return _answer(reply, Outcome.CLOSED)
        if reply.word in codes.ASK_INSTEAD_OF_CLOSE:
            found = await self.query(account, trade_no)
            return _if_certain(found, {Outcome.PAID: Outcome.PAID, Outcome.CLOSED: Outcome.CLOSED}, reply)
        return _answer(reply, codes.close_outcome(reply.word))

    async def reverse(self, account: WechatAccount, trade_no: str) -> Answer:
        body = payee(account, account.appid, account.sub_appid)
        reply = await call(self._wire, account, "POST", f"{trade_path(account, trade_no)}/reverse", body)
        if reply.word != OK and reply.word not in codes.ASK_INSTEAD_OF_CLOSE:
            return _answer(reply, codes.reverse_outcome(reply.word))
        # The answer does not say whether money had come in; the trade does.
        found = await self.query(account, trade_no)
        if found.outcome is Outcome.CLOSED:
            return found
        if reply.word == OK and found.outcome is Outcome.PAID and found.has_refunds:
            return _answer(reply, Outcome.CLOSED, was_refunded=True, payment=found.payment)
        return _answer(reply, Outcome.UNKNOWN)

    async def refund(self, account: WechatAccount, request: RefundRequest) -> RefundAnswer:
        body: dict[str, Any] = {
            **sub_merchant(account),
            "out_trade_no": request.trade_no,
            "out_refund_no": request.refund_no,
            "amount": {"refund": request.refund_fen, "total": request.amount_fen, "currency": "CNY"},
        }
        if reason := plain_text(request.reason, _MAX_REASON):
            body["reason"] = reason
        if request.callback_url:
            body["notify_url"] = request.callback_url
        reply = await call(self._wire, account, "POST", _REFUNDS, body)
        if reply.word == OK:
            return _refund_answer(reply, request)
        answer = _failed_refund(reply, codes.refund_outcome(reply.word))
        if answer.outcome is not RefundOutcome.REFUSED:
            return answer
        # This call did nothing, but an earlier one whose reply was lost may have.
        found = await self.query_refund(account, request)
        return answer if found.outcome is RefundOutcome.NOT_FOUND else found

    async def query_refund(
        self, account: WechatAccount, request: RefundRequest, *, timeout_s: float | None = None
    ) -> RefundAnswer:
        query = urlencode(sub_merchant(account))
        path = f"{_REFUNDS}/{quote(request.refund_no, safe='')}" + (f"?{query}" if query else "")
        reply = await call(self._wire, account, "GET", path, timeout_s=timeout_s)
        if reply.word == OK:
            return _refund_answer(reply, request)
        return _failed_refund(reply, codes.refund_query_outcome(reply.word))

    def read_callback(self, account: WechatAccount, headers: Mapping[str, str], body: bytes) -> Callback:
        notice, node = read_notice(self._wire, account, headers, body)
        if not _is_for(account, node):
            raise CallbackRefused("for another merchant")
        trade_no, callback_id = text_of(node, "out_trade_no"), text_of(notice, "id")
        if not trade_no:
            raise CallbackRefused("names no order")
        if text_of(node_of(notice, "resource"), "original_type") == "refund":
            state = text_of(node, "refund_status")  # channels B.8: `status` in answers
            refund = _refund_of(node, codes.refund_state(state), state)
            refund_no = text_of(node, "out_refund_no")
            return Callback(callback_id=callback_id, trade_no=trade_no, refund_no=refund_no, refund=refund)
        reply = Reply(word=OK, code=OK, node=node)
        answer = _trade_answer(account, reply, trade_no)
        return Callback(callback_id=callback_id, trade_no=trade_no, answer=answer)

    def callback_reply(self, *, is_accepted: bool) -> CallbackReply:
        # channels B.8
        if is_accepted:
            return CallbackReply(204, "application/json", b"")
        return CallbackReply(500, "application/json", '{"code":"FAIL","message":"失败"}'.encode())

    async def _not_created(self, account: WechatAccount, trade: Trade, reply: Reply) -> Answer:
        if reply.word in codes.ASK_INSTEAD_OF_CREATE:
            found = await self.query(account, trade.trade_no)
            return _if_certain(found, {Outcome.PAID: Outcome.PAID, Outcome.CLOSED: Outcome.CLOSED}, reply)
        return _answer(reply, codes.create_outcome(reply.word))

    def _page_values(self, account: WechatAccount, appid: str, prepay_id: str) -> dict[str, str]:
        timestamp, nonce, package = str(self._wire.clock.now_ms() // 1000), new_nonce(), f"prepay_id={prepay_id}"
        return {
            "appId": appid,
            "timeStamp": timestamp,
            "nonceStr": nonce,
            "package": package,
            "signType": "RSA",
            "paySign": signature_of_page(account, appid, timestamp, nonce, package),
        }


def _answer(reply: Reply, outcome: Outcome, **more: Any) -> Answer:
    return Answer(outcome=outcome, code=reply.code, message=reply.message, said=reply.node, **more)


def _unreadable(reply: Reply) -> Answer:
    return Answer(outcome=Outcome.UNKNOWN, code=UNREADABLE, message=reply.message)


def _if_certain(found: Answer, meanings: Mapping[Outcome, Outcome], reply: Reply) -> Answer:
    """What a query found, where that settles the refused call; unknown with the refusal's words where it does not."""
    if found.outcome in meanings:
        return msgspec.structs.replace(found, outcome=meanings[found.outcome])
    return _answer(reply, Outcome.UNKNOWN)


def _is_for(account: WechatAccount, node: Json) -> bool:
    """Whether a trade or refund belongs to this account (channels B.8)."""
    return all(text_of(node, name) == value for name, value in merchant(account).items())


def _trade_answer(account: WechatAccount, reply: Reply, trade_no: str) -> Answer:
    """The meaning of a query's answer, a charge's or a payment's callback (channels B.5)."""
    node, state = reply.node, text_of(reply.node, "trade_state")
    if text_of(node, "out_trade_no") != trade_no or not _is_for(account, node):
        return _unreadable(reply)
    reply = msgspec.structs.replace(
        reply, code=state or reply.code, message=message_text(text_of(node, "trade_state_desc"))
    )
    payment = _payment(node)
    if state in _PAID_STATES:
        has_refunds = state == _WITH_REFUNDS
        paid = _answer(reply, Outcome.PAID, payment=payment, has_refunds=has_refunds)
        return paid if payment is not None else _unreadable(reply)
    if state == "REVOKED" and payment is not None and payment.paid_at_ms:
        return _answer(reply, Outcome.CLOSED, was_refunded=True, payment=payment)
    return _answer(reply, codes.trade_state(state), needs_password=state == "USERPAYING")


def _payment(node: Json) -> Payment | None:
    """The money of a paid trade; None when the answer does not hold together."""
    amount, channel_trade_no = node_of(node, "amount"), text_of(node, "transaction_id")
    amount_fen = number_of(amount, "total")
    if not channel_trade_no or amount_fen is None or text_of(amount, "currency") not in ("", "CNY"):
        return None
    payer_fen = number_of(amount, "payer_total")
    promotions = nodes_of(node, "promotion_detail")
    # A coupon of type NOCASH is the merchant's own gift: that part is not settled.
    unsettled_fen = sum(number_of(each, "amount") or 0 for each in promotions if text_of(each, "type") == "NOCASH")
    return Payment(
        channel_trade_no=channel_trade_no,
        amount_fen=amount_fen,
        received_fen=max(0, amount_fen - unsettled_fen),
        discount_fen=0 if payer_fen is None else max(0, amount_fen - payer_fen),
        paid_at_ms=ms_from_rfc3339(text_of(node, "success_time")),
        line_discounts=_line_discounts(promotions),
    )


def _line_discounts(promotions: list[Json]) -> tuple[LineDiscount, ...]:
    lines = (
        (text_of(each, "goods_id"), number_of(each, "discount_amount") or 0)
        for promotion in promotions
        for each in nodes_of(promotion, "goods_detail")
    )
    return tuple(LineDiscount(number, fen) for number, fen in lines if number and fen > 0)


def _refund_answer(reply: Reply, request: RefundRequest) -> RefundAnswer:
    """The meaning of a refund's or a refund query's 200 (channels B.7)."""
    node, state = reply.node, text_of(reply.node, "status")
    refund_fen = number_of(node_of(node, "amount"), "refund")
    is_ours = text_of(node, "out_refund_no") == request.refund_no and refund_fen in (None, request.refund_fen)
    if not is_ours:
        return RefundAnswer(outcome=RefundOutcome.UNKNOWN, code=UNREADABLE)
    return _refund_of(node, codes.refund_state(state), state)


def _refund_of(node: Json, outcome: RefundOutcome, state: str) -> RefundAnswer:
    return RefundAnswer(
        outcome=outcome,
        code=code_text(state),
        channel_refund_no=text_of(node, "refund_id"),
        refunded_at_ms=ms_from_rfc3339(text_of(node, "success_time")),
        said=node,
    )


def _failed_refund(reply: Reply, outcome: RefundOutcome) -> RefundAnswer:
    return RefundAnswer(outcome=outcome, code=reply.code, message=reply.message, said=reply.node)


CHANNEL = Wechat
