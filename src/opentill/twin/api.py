"""The twin's own JSON API: what a person does with the phone, and what the books say."""

from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opentill.twin import payers, paying, times, trades
from opentill.twin.alipay import cashier as alipay_cashier
from opentill.twin.alipay import views as alipay_views
from opentill.twin.context import Context
from opentill.twin.merchants import ALIPAY
from opentill.twin.paying import CannotPay, Wish
from opentill.twin.trades import Trade
from opentill.twin.web import BodyTooLarge, read_body
from opentill.twin.wechat import cashier as wechat_cashier
from opentill.twin.wechat import views as wechat_views

MAX_LISTED = 200
_JSON = "application/json"


class Asked(Exception):
    """The request cannot be done: an HTTP status, a code for programs, a text for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Api:
    """The routes below `/api`."""

    def __init__(self, twin: Context) -> None:
        self._twin = twin

    def routes(self) -> list[Route]:
        return [Route("/pay", self.pay, methods=["POST"]), Route("/trades", self.trades, methods=["GET"])]

    async def pay(self, request: Request) -> Response:
        """Scan a code and pay, or fail to: `{"qr_code", "result"?, "reason"?, "payer"?, "total_fen"?}`."""
        try:
            values = await read_values(request)
            return reply(self._paid(values))
        except CannotPay as refusal:
            return failed(Asked(409, refusal.code, str(refusal)))
        except Asked as error:
            return failed(error)

    async def trades(self, request: Request) -> Response:
        """The trades, newest first. Filters: `wallet`, `out_trade_no`; `limit` (default 20)."""
        query = request.query_params
        limit = query.get("limit", "20")
        if not limit.isdecimal() or not 0 < int(limit) <= MAX_LISTED:
            return failed(Asked(400, "BAD_LIMIT", f"limit is a number from 1 to {MAX_LISTED}"))
        found = trades.newest(
            self._twin.books,
            wallet=query.get("wallet", ""),
            out_trade_no=query.get("out_trade_no", ""),
            limit=int(limit),
            now_ms=self._twin.now_ms(),
        )
        return reply({"trades": [self._listed(trade) for trade in found]})

    def _paid(self, values: dict[str, str]) -> dict[str, Any]:
        code = trades.code_of(self._twin.books, values.get("qr_code", "").strip())
        if code is None:
            raise Asked(404, "UNKNOWN_CODE", "neither wallet has issued this QR code")
        wish = _wish(values)
        cashier = alipay_cashier if code.wallet == ALIPAY else wechat_cashier
        # The scan is a deed of its own: an Alipay trade stays in the books even if the payment then fails.
        with self._twin.books.write():
            trade = cashier.scan(self._twin, code, wish.payer)
        paying.check(trade, wish)
        with self._twin.books.write():
            trades.add_attempt(
                self._twin.books,
                trade,
                payer=wish.payer,
                result=wish.result,
                reason=wish.reason,
                now_ms=self._twin.now_ms(),
            )
            if wish.result == paying.SUCCESS:
                trade = cashier.pay(self._twin, trade, wish)
        return summary(self._twin, trade) | {"result": wish.result}

    def _listed(self, trade: Trade) -> dict[str, Any]:
        attempts = trades.attempts_of(self._twin.books, trade)
        callbacks = self._twin.callbacks.of_trade(trade.id)
        return summary(self._twin, trade) | {
            "subject": trade.terms.subject,
            "merchant": trade.merchant,
            "notify_url": trade.terms.notify_url,
            "created_at": times.rfc3339(trade.created_ms),
            "expires_at": times.rfc3339(trade.expires_ms),
            "paid_at": times.rfc3339(trade.paid_ms) if trade.paid_ms else None,
            "attempts": [
                {"at": times.rfc3339(at_ms), "payer": payer, "result": result, "reason": reason}
                for at_ms, payer, result, reason in attempts
            ],
            "callbacks": [
                {"kind": kind, "state": state, "sent": sent, "due_at": times.rfc3339(due_ms), "last_answer": answer}
                for kind, state, sent, due_ms, answer in callbacks
            ],
        }


def summary(twin: Context, trade: Trade) -> dict[str, Any]:
    """A trade in few words; `status` is the wallet's own."""
    if trade.wallet == ALIPAY:
        status = alipay_views.status(trade, now_ms=twin.now_ms())
    else:
        status = wechat_views.states(trade)[0]
    return {
        "wallet": trade.wallet,
        "out_trade_no": trade.out_trade_no,
        "trade_no": trade.trade_no,
        "status": status,
        "total_fen": trade.total_fen,
        "payer_fen": trade.payer_fen,
        "refunded_fen": trade.refunded_fen,
        "payer": trade.payer,
    }


async def read_values(request: Request) -> dict[str, str]:
    """A flat JSON object or a form as texts. Raises Asked."""
    try:
        body = await read_body(request)
    except BodyTooLarge:
        raise Asked(413, "TOO_LARGE", "the body is too large") from None
    if request.headers.get("content-type", "").startswith(_JSON):
        return _flat(body)
    return dict(request.query_params) | _form(body)


def reply(document: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(document), status, media_type=_JSON)


def failed(error: Asked) -> Response:
    return reply({"error": {"code": error.code, "message": str(error)}}, error.status)


def _flat(body: bytes) -> dict[str, str]:
    try:
        document = msgspec.json.decode(body or b"{}", type=dict[str, str | int | None])
    except msgspec.DecodeError as error:
        raise Asked(400, "BAD_JSON", f"not a flat JSON object: {error}") from None
    return {name: str(value) for name, value in document.items() if value is not None}


def _form(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True))
    except ValueError as error:
        raise Asked(400, "BAD_FORM", f"not a form: {error}") from None


def _wish(values: dict[str, str]) -> Wish:
    result, total_fen = values.get("result", paying.SUCCESS), values.get("total_fen", "")
    if result not in (paying.SUCCESS, paying.FAIL):
        raise Asked(400, "BAD_RESULT", f"result is {paying.SUCCESS} or {paying.FAIL}")
    if total_fen and not total_fen.isdecimal():
        raise Asked(400, "BAD_AMOUNT", "total_fen is a whole number of fen")
    return Wish(
        payer=values.get("payer") or payers.DEFAULT_PAYER,
        result=result,
        reason=values.get("reason", ""),
        expected_fen=int(total_fen) if total_fen else None,
    )
