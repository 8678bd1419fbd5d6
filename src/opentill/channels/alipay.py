"""Alipay (channels A): face-to-face QR codes, payment codes, pages in its browser, refunds, callbacks."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from opentill.base.money import yuan_text
from opentill.channels import alipay_check, alipay_oauth
from opentill.channels import alipay_codes as codes
from opentill.channels.alipay_account import FIELDS, AlipayAccount
from opentill.channels.alipay_account import open_account as _open_account
from opentill.channels.alipay_wire import BUYER_PAYING, OK, Reply, call, read_notice
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
    china_time,
    fen_of,
    ms_from_china_time,
    nodes_of,
    plain_text,
    read_object,
    sendable_goods,
    text_of,
)
from opentill.domain.parties import ALIPAY

_MAX_SUBJECT = 256
_MAX_REASON = 256
_MAX_OPERATOR_ID = 28
_MAX_STORE_ID = 32
_MAX_QR_MINUTES = 120  # channels A.7: the QR dies after 2 h in any case
_FACE_TO_FACE = "FACE_TO_FACE_PAYMENT"

_BARCODE = re.compile(r"(?:2[5-9]|30)\d{14,22}", re.ASCII)  # protocol 4.2: 16 to 24 digits
_USER_ID = re.compile(r"2088\d{12}", re.ASCII)
_FULL_WIDTH = str.maketrans("/=&", "／＝＆")  # channels 0.3, protocol 4.1

_PAID_STATES = ("TRADE_SUCCESS", "TRADE_FINISHED")


class Alipay:
    """The adapter. It holds no state but how to reach the wallet."""

    number = ALIPAY
    name = "alipay"
    refund_gap_ms = 0
    browser_mark = "AlipayClient"
    grant_parameter = "auth_code"
    account_fields: tuple[AccountField, ...] = FIELDS

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def open_account(self, settings: Mapping[str, str]) -> AlipayAccount:
        return _open_account(settings)

    def recognises(self, barcode: str) -> bool:
        return _BARCODE.fullmatch(barcode) is not None

    async def prepare(self, account: AlipayAccount) -> None:
        """Nothing to fetch: the account holds every key."""

    async def examine(self, account: AlipayAccount, trade_no: str) -> list[Checked]:
        return await alipay_check.examine(self._wire, account, trade_no)

    async def create_qr(self, account: AlipayAccount, trade: Trade) -> Answer:
        # channels A.7: relative to the QR's making, which the wallet counts from this call
        minutes = min(_MAX_QR_MINUTES, max(1, (trade.expires_at_ms - trade.created_at_ms) // 60_000))
        biz = {**_order(account, trade), "qr_code_timeout_express": f"{minutes}m"}
        reply = await self._call(account, "alipay.trade.precreate", biz, notify_url=trade.callback_url)
        qr_text = text_of(reply.node, "qr_code")
        if reply.word == OK:
            is_ours = text_of(reply.node, "out_trade_no") in ("", trade.trade_no)
            return _answer(reply, Outcome.ACCEPTED, qr_text=qr_text) if qr_text and is_ours else _unreadable(reply)
        return await self._not_created(account, trade, reply)

    async def create_page(self, account: AlipayAccount, trade: Trade, payer: str, payer_app_id: str) -> Answer:  # noqa: ARG002
        buyer = "buyer_id" if _USER_ID.fullmatch(payer) else "buyer_open_id"
        biz = {**_order(account, trade), buyer: payer}
        reply = await self._call(account, "alipay.trade.create", biz, notify_url=trade.callback_url)
        if reply.word == OK:
            channel_no = text_of(reply.node, "trade_no")
            return (
                _answer(reply, Outcome.ACCEPTED, page_values={"tradeNO": channel_no})
                if channel_no
                else _unreadable(reply)
            )
        return await self._not_created(account, trade, reply)

    def authorize_url(self, account: AlipayAccount, redirect_uri: str, state: str) -> str | None:
        return alipay_oauth.authorize_url(self._wire, account, redirect_uri, state)

    async def payer_of(self, account: AlipayAccount, code: str) -> Identity:
        return await alipay_oauth.payer_of(self._wire, account, code)

    async def charge(self, account: AlipayAccount, trade: Trade, barcode: str) -> Answer:
        biz = {**_order(account, trade), "scene": "bar_code", "auth_code": barcode}
        reply = await self._call(account, "alipay.trade.pay", biz, notify_url=trade.callback_url)
        if reply.word == OK:
            return _paid(reply, trade.trade_no)
        if reply.word == BUYER_PAYING:
            return _answer(reply, Outcome.ACCEPTED, needs_password=True)
        if reply.word in codes.ASK_INSTEAD_OF_CREATE:
            found = await self.query(account, trade.trade_no)
            return _if_certain(found, {Outcome.PAID: Outcome.PAID, Outcome.CLOSED: Outcome.REFUSED}, reply)
        return _answer(reply, codes.charge_outcome(reply.word))

    async def query(self, account: AlipayAccount, trade_no: str, *, timeout_s: float | None = None) -> Answer:
        return _trade_answer(await self._query(account, trade_no, timeout_s), trade_no)

    async def close(self, account: AlipayAccount, trade_no: str) -> Answer:
        reply = await self._call(account, "alipay.trade.close", {"out_trade_no": trade_no})
        if reply.word in codes.ASK_INSTEAD_OF_CLOSE:
            found = await self.query(account, trade_no)
            return _if_certain(found, {Outcome.PAID: Outcome.PAID, Outcome.CLOSED: Outcome.CLOSED}, reply)
        return _answer(reply, codes.close_outcome(reply.word))

    async def reverse(self, account: AlipayAccount, trade_no: str) -> Answer:
        reply = await self._call(account, "alipay.trade.cancel", {"out_trade_no": trade_no})
        if reply.word != OK:
            return _answer(reply, codes.cancel_outcome(reply.word))
        if text_of(reply.node, "retry_flag") == "Y":
            return _answer(reply, Outcome.UNKNOWN)
        action = text_of(reply.node, "action")
        if action == "close":
            return _answer(reply, Outcome.CLOSED)
        if action != "refund" and not text_of(reply.node, "trade_no"):
            return _answer(reply, Outcome.NOT_FOUND)  # channels A.10: how an unknown number is answered
        return await self._what_was_undone(account, trade_no, reply, is_refund=action == "refund")

    async def refund(self, account: AlipayAccount, request: RefundRequest) -> RefundAnswer:
        biz = {
            "out_trade_no": request.trade_no,
            "refund_amount": yuan_text(request.refund_fen),
            "out_request_no": request.refund_no,
            "refund_reason": plain_text(request.reason, _MAX_REASON),
        }
        reply = await self._call(account, "alipay.trade.refund", _without_empties(biz))
        if reply.word == OK:
            # channels A.11: without fund_change=Y the refund query decides
            is_done = text_of(reply.node, "fund_change") == "Y"
            return _refund_answer(reply, RefundOutcome.SUCCEEDED if is_done else RefundOutcome.UNKNOWN)
        answer = _refund_answer(reply, codes.refund_outcome(reply.word))
        if answer.outcome is not RefundOutcome.REFUSED:
            return answer
        # This call did nothing, but an earlier one whose reply was lost may have.
        found = await self.query_refund(account, request)
        return answer if found.outcome is RefundOutcome.NOT_FOUND else found

    async def query_refund(
        self, account: AlipayAccount, request: RefundRequest, *, timeout_s: float | None = None
    ) -> RefundAnswer:
        biz = {
            "out_trade_no": request.trade_no,
            "out_request_no": request.refund_no,
            "query_options": ["gmt_refund_pay"],
        }
        reply = await self._call(account, "alipay.trade.fastpay.refund.query", biz, timeout_s=timeout_s)
        if reply.word == OK:
            return _refund_answer(reply, _refund_state(reply.node, request))
        return _refund_answer(reply, codes.refund_query_outcome(reply.word))

    def read_callback(self, account: AlipayAccount, headers: Mapping[str, str], body: bytes) -> Callback:  # noqa: ARG002
        notice = read_notice(account, body)
        # channels A.15: signature, app, seller, then the trade
        if notice.get("app_id") != account.app_id:
            raise CallbackRefused("for another app")
        if account.seller_id and notice.get("seller_id") != account.seller_id:
            raise CallbackRefused("for another seller")
        trade_no = notice.get("out_trade_no", "")
        if not trade_no:
            raise CallbackRefused("names no order")
        callback_id = notice.get("notify_id", "")
        # channels A.15: refunds are announced on the payment's address with the payment's states
        if notice.get("gmt_refund") or (fen_of(notice, "refund_fee") or 0) > 0:
            return Callback(callback_id=callback_id, trade_no=trade_no, refund_no=notice.get("out_biz_no", ""))
        reply = Reply(word=OK, code=notice.get("trade_status", ""), node=notice)
        return Callback(callback_id=callback_id, trade_no=trade_no, answer=_trade_answer(reply, trade_no))

    def callback_reply(self, *, is_accepted: bool) -> CallbackReply:
        # channels A.15: exactly these seven bytes
        return CallbackReply(200, "text/plain", b"success" if is_accepted else b"fail")

    async def _call(
        self,
        account: AlipayAccount,
        method: str,
        biz: Mapping[str, Any],
        *,
        notify_url: str = "",
        timeout_s: float | None = None,
    ) -> Reply:
        return await call(self._wire, account, method, biz, notify_url=notify_url, timeout_s=timeout_s)

    async def _query(self, account: AlipayAccount, trade_no: str, timeout_s: float | None = None) -> Reply:
        biz = {"out_trade_no": trade_no, "query_options": ["fund_bill_list", "discount_goods_detail"]}
        return await self._call(account, "alipay.trade.query", biz, timeout_s=timeout_s)

    async def _not_created(self, account: AlipayAccount, trade: Trade, reply: Reply) -> Answer:
        if reply.word in codes.ASK_INSTEAD_OF_CREATE:
            found = await self.query(account, trade.trade_no)
            return _if_certain(found, {Outcome.PAID: Outcome.PAID, Outcome.CLOSED: Outcome.CLOSED}, reply)
        return _answer(reply, codes.create_outcome(reply.word))

    async def _what_was_undone(self, account: AlipayAccount, trade_no: str, reply: Reply, *, is_refund: bool) -> Answer:
        """Cancel says no amounts, and on a repeat not even what it did: the trade tells."""
        node = (await self._query(account, trade_no)).node
        payment = _payment(node) if text_of(node, "out_trade_no") == trade_no and _was_paid(node) else None
        if is_refund:
            return _answer(reply, Outcome.CLOSED, was_refunded=True, payment=payment)
        if text_of(node, "trade_status") != "TRADE_CLOSED":
            return _answer(reply, Outcome.UNKNOWN)
        return _answer(reply, Outcome.CLOSED, was_refunded=payment is not None, payment=payment)


def _order(account: AlipayAccount, trade: Trade) -> dict[str, Any]:
    """What precreate, create and pay have in common (channels A.7). The same trade always gives the same fields."""
    discountable = _discountable_fen(trade)
    order = {
        "out_trade_no": trade.trade_no,
        "total_amount": yuan_text(trade.amount_fen),
        "discountable_amount": yuan_text(discountable) if discountable else "",
        "undiscountable_amount": yuan_text(trade.un_discount_fen) if trade.un_discount_fen else "",
        "subject": plain_text(trade.subject.translate(_FULL_WIDTH), _MAX_SUBJECT) or trade.trade_no,
        "product_code": _FACE_TO_FACE,
        "seller_id": account.seller_id,
        "operator_id": trade.operator_id if len(trade.operator_id) <= _MAX_OPERATOR_ID else "",
        "store_id": trade.store_id if len(trade.store_id) <= _MAX_STORE_ID else "",
        "time_expire": china_time(trade.expires_at_ms),
        "goods_detail": [
            {"goods_id": number, "goods_name": name, "quantity": quantity, "price": yuan_text(price_fen)}
            for number, name, quantity, price_fen in sendable_goods(trade.goods)
        ],
        "extend_params": _without_empties({"sys_service_provider_id": account.service_provider_id}),
        "business_params": _without_empties({"mc_create_trade_ip": trade.terminal_ip}),
    }
    return _without_empties(order)


def _discountable_fen(trade: Trade) -> int:
    """The rest beside un_discount_fen. 0 is not sent: the least amount is 1 fen, and Alipay fills in what is absent."""
    return trade.amount_fen - trade.un_discount_fen if trade.un_discount_fen else 0


def _without_empties(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}  # channels 0.3


def _answer(reply: Reply, outcome: Outcome, **more: Any) -> Answer:
    return Answer(outcome=outcome, code=reply.code, message=reply.message, said=reply.node, **more)


def _unreadable(reply: Reply) -> Answer:
    return Answer(outcome=Outcome.UNKNOWN, code=UNREADABLE, message=reply.message)


def _if_certain(found: Answer, meanings: Mapping[Outcome, Outcome], reply: Reply) -> Answer:
    """What a query found, where that settles the refused call; unknown with the refusal's words where it does not."""
    if found.outcome in meanings:
        return msgspec.structs.replace(found, outcome=meanings[found.outcome])
    return _answer(reply, Outcome.UNKNOWN)


def _trade_answer(reply: Reply, trade_no: str) -> Answer:
    """The meaning of a query's answer or a callback (channels A.8)."""
    if reply.word != OK:
        return _answer(reply, codes.query_outcome(reply.word))
    if text_of(reply.node, "out_trade_no") != trade_no:
        return _unreadable(reply)
    state = text_of(reply.node, "trade_status")
    reply = msgspec.structs.replace(reply, code=state or reply.code)
    if state in _PAID_STATES:
        return _paid(reply, trade_no)
    if state == "TRADE_CLOSED" and _was_paid(reply.node):
        return msgspec.structs.replace(_paid(reply, trade_no), was_refunded=True)
    outcomes = {"WAIT_BUYER_PAY": Outcome.ACCEPTED, "TRADE_CLOSED": Outcome.CLOSED}
    return _answer(reply, outcomes.get(state, Outcome.UNKNOWN))


def _paid(reply: Reply, trade_no: str) -> Answer:
    payment = _payment(reply.node)
    if payment is None or text_of(reply.node, "out_trade_no") != trade_no:
        return _unreadable(reply)
    return _answer(reply, Outcome.PAID, payment=payment)


def _was_paid(node: Json) -> bool:
    """channels A.8: a trade also closes by a full refund; then it shows when and how it was paid."""
    amounts = ("receipt_amount", "buyer_pay_amount", "point_amount", "invoice_amount")
    return bool(
        text_of(node, "send_pay_date") or text_of(node, "gmt_payment") or nodes_of(node, "fund_bill_list")
    ) or any((fen_of(node, name) or 0) > 0 for name in amounts)


def _payment(node: Json) -> Payment | None:
    """The money of a paid trade; None when the answer does not hold together."""
    channel_trade_no, amount_fen = text_of(node, "trade_no"), fen_of(node, "total_amount")
    if not channel_trade_no or amount_fen is None:
        return None
    received_fen, payer_fen = fen_of(node, "receipt_amount"), fen_of(node, "buyer_pay_amount")
    return Payment(
        channel_trade_no=channel_trade_no,
        amount_fen=amount_fen,
        received_fen=amount_fen if received_fen is None else received_fen,
        discount_fen=0 if payer_fen is None else max(0, amount_fen - payer_fen),
        paid_at_ms=ms_from_china_time(text_of(node, "send_pay_date") or text_of(node, "gmt_payment")),
        line_discounts=_line_discounts(node),
    )


def _line_discounts(node: Json) -> tuple[LineDiscount, ...]:
    """Single-item coupons: a JSON list, sent as text."""
    listed = read_object(b'{"goods":' + (text_of(node, "discount_goods_detail") or "[]").encode() + b"}") or {}
    lines = ((text_of(each, "goods_id"), fen_of(each, "discount_amount") or 0) for each in nodes_of(listed, "goods"))
    return tuple(LineDiscount(number, fen) for number, fen in lines if number and fen > 0)


def _refund_state(node: Json, request: RefundRequest) -> RefundOutcome:
    """channels A.12: certain only with REFUND_SUCCESS; without any field of a refund there is none."""
    if text_of(node, "out_request_no") not in ("", request.refund_no):
        return RefundOutcome.UNKNOWN
    amount_fen = fen_of(node, "refund_amount")
    state = text_of(node, "refund_status")
    if state == "REFUND_SUCCESS":
        return RefundOutcome.SUCCEEDED if amount_fen in (None, request.refund_fen) else RefundOutcome.UNKNOWN
    # Older integrations answer with the amount and no status: something is there, so never "not found".
    return RefundOutcome.NOT_FOUND if not state and amount_fen is None else RefundOutcome.UNKNOWN


def _refund_answer(reply: Reply, outcome: RefundOutcome) -> RefundAnswer:
    is_done = outcome is RefundOutcome.SUCCEEDED
    return RefundAnswer(
        outcome=outcome,
        code=reply.code,
        message=reply.message,
        # A refund has no number of its own at Alipay: it is the trade's number plus ours.
        channel_refund_no=text_of(reply.node, "trade_no") if is_done else "",
        refunded_at_ms=ms_from_china_time(text_of(reply.node, "gmt_refund_pay")) if is_done else 0,
        said=reply.node,
    )


CHANNEL = Alipay
