"""The twin's own JSON API: what a person does with the phone, and what the books say."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opentill.twin import coupons, payers, paying, refunds, times, trades
from opentill.twin.alipay import cashier as alipay_cashier
from opentill.twin.alipay import views as alipay_views
from opentill.twin.context import Context
from opentill.twin.coupons import BY_MERCHANT, BY_WALLET, Coupon
from opentill.twin.merchants import ALIPAY, WECHAT
from opentill.twin.paying import CannotPay, Wish
from opentill.twin.refunds import Refund, RefundState
from opentill.twin.trades import Code, State, Trade
from opentill.twin.web import Asked, answering, number_of, read_values, reply
from opentill.twin.wechat import cashier as wechat_cashier
from opentill.twin.wechat import opening
from opentill.twin.wechat import refunds as wechat_refunds
from opentill.twin.wechat import views as wechat_views

MAX_LISTED = 200
MAX_FEN = 10_000_000_000
WALLETS = (ALIPAY, WECHAT)
_LATE = frozenset({"paid_after_close"})
_SCAN = {ALIPAY: alipay_cashier.scan, WECHAT: wechat_cashier.scan}
_GOODS = {ALIPAY: alipay_cashier.goods, WECHAT: wechat_cashier.goods}
_PAY = {ALIPAY: alipay_cashier.pay, WECHAT: wechat_cashier.pay}


class Api:
    """The routes below `/api` that belong to the phone and the books."""

    def __init__(self, twin: Context) -> None:
        self._twin = twin

    def routes(self) -> list[Route]:
        return [
            Route("/pay", answering(self.pay), methods=["POST"]),
            Route("/scan", answering(self.scan), methods=["POST"]),
            Route("/password", answering(self.password), methods=["POST"]),
            Route("/bridge", answering(self.bridge), methods=["POST"]),
            Route("/trades", answering(self.trades), methods=["GET"]),
            Route("/refunds", answering(self.refunds), methods=["POST"]),
            Route("/coupons", answering(self.coupons), methods=["GET", "POST", "DELETE"]),
        ]

    async def scan(self, request: Request) -> Response:
        """Open a code without paying yet: `{"qr_code", "payer"?}`. Tells who is paid, and for what."""
        values = await read_values(request)
        try:
            trade = self._scanned(self._code(values), _wish(values, request).payer)
        except CannotPay as refusal:
            raise Asked(409, refusal.code, str(refusal)) from None
        shown = {"merchant_name": trade.merchant, "goods": _GOODS[trade.wallet](trade)}
        return reply(summary(self._twin, trade) | shown)

    async def pay(self, request: Request) -> Response:
        """Scan a code and pay, or fail to: `{"qr_code", "result"?, "reason"?, "payer"?, "total_fen"?}`."""
        values = await read_values(request)
        wish = _wish(values, request)
        try:
            trade = self._scanned(self._code(values), wish.payer)
            if not (trade.state is State.CLOSED and self._twin.faults.draw(trade.wallet, "pay", only=_LATE)):
                paying.check(trade, wish)
        except CannotPay as refusal:
            raise Asked(409, refusal.code, str(refusal)) from None
        return reply(summary(self._twin, self._attempted(trade, wish)) | {"result": wish.result})

    async def password(self, request: Request) -> Response:
        """The payer types the password that a payment code asked for: `{"out_trade_no" | "trade_no", "result"?}`."""
        values = await read_values(request)
        wish = _wish(values, request)
        trade = self._waiting_for_password(values)
        return reply(summary(self._twin, self._attempted(trade, wish)) | {"result": wish.result})

    async def bridge(self, request: Request) -> Response:
        """What a page handed to the wallet's bridge; the answer's `code` can be scanned and paid (channels B.13)."""
        values = await read_values(request)
        if values.get("wallet") == WECHAT:
            code = opening.code_of_bridge(self._twin, values)
        else:
            code = trades.code_of(self._twin.books, values.get("tradeNO", ""))
        if code is None:
            raise Asked(400, "BAD_CALL", "no such payment, or its signature is wrong")
        return reply({"code": code.code, "subject": code.terms.subject, "total_fen": code.terms.total_fen})

    async def trades(self, request: Request) -> Response:
        """The trades, newest first. Filters: `wallet`, `out_trade_no`; `limit` (default 20)."""
        query = dict(request.query_params)
        wechat_refunds.settle(self._twin)
        found = trades.newest(
            self._twin.books,
            wallet=query.get("wallet", ""),
            out_trade_no=query.get("out_trade_no", ""),
            limit=number_of(query, "limit", default=20, most=MAX_LISTED),
            now_ms=self._twin.now_ms(),
        )
        return reply({"trades": [self._listed(trade) for trade in found]})

    async def refunds(self, request: Request) -> Response:
        """Decide how a WeChat Pay refund ends: `{"out_refund_no", "status": "SUCCESS|ABNORMAL|CLOSED", "mchid"?}`."""
        values = await read_values(request)
        ends = (RefundState.SUCCESS, RefundState.ABNORMAL, RefundState.CLOSED)
        if values.get("status") not in ends:
            raise Asked(400, "BAD_STATUS", "status is SUCCESS, ABNORMAL or CLOSED")
        merchant = self._twin.merchants.wechat.named(values.get("mchid")).merchant
        found = refunds.numbered(
            self._twin.books, wallet=WECHAT, merchant=merchant.mchid, out_refund_no=values.get("out_refund_no", "")
        )
        if found is None or found.state is not RefundState.PROCESSING:
            raise Asked(404, "NOT_PROCESSING", "no such refund is being processed")
        with self._twin.books.write():
            done = wechat_refunds.finish(self._twin, found, RefundState(values["status"]))
        return reply(_refund(done))

    async def coupons(self, request: Request) -> Response:
        """GET, DELETE all, POST `{"wallet", "goods_num", "amount_fen", "name"?, "funded_by"?, "times"?}`."""
        if request.method == "DELETE":
            coupons.clear(self._twin.books)
        elif request.method == "POST":
            self._add_coupon(await read_values(request))
        return reply({"coupons": coupons.listed(self._twin.books)})

    def _add_coupon(self, values: dict[str, str]) -> None:
        wallet, goods_num = values.get("wallet", ""), values.get("goods_num", "")
        amount_fen = number_of(values, "amount_fen", most=MAX_FEN)
        funded_by = values.get("funded_by", BY_MERCHANT)
        if wallet not in WALLETS or not goods_num or not amount_fen or funded_by not in (BY_MERCHANT, BY_WALLET):
            raise Asked(400, "BAD_COUPON", "needed: wallet, goods_num, amount_fen; funded_by is merchant or wallet")
        coupon = Coupon(
            id=0, goods_num=goods_num, name=values.get("name", "单品券"), amount_fen=amount_fen, funded_by=funded_by
        )
        coupons.add(
            self._twin.books, wallet=wallet, coupon=coupon, times=number_of(values, "times", default=1, most=1_000_000)
        )

    def _code(self, values: dict[str, str]) -> Code:
        code = trades.code_of(self._twin.books, values.get("qr_code", "").strip())
        if code is None:
            raise Asked(404, "UNKNOWN_CODE", "neither wallet has issued this QR code")
        return code

    def _scanned(self, code: Code, payer: str) -> Trade:
        """A scan is a deed of its own: an Alipay trade stays in the books even if the payment then fails."""
        with self._twin.books.write():
            return _SCAN[code.wallet](self._twin, code, payer)

    def _attempted(self, trade: Trade, wish: Wish) -> Trade:
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
                return _PAY[trade.wallet](self._twin, trade, trade.payer or wish.payer)
            if trade.state is State.PASSWORD and trade.wallet == WECHAT:
                return trades.move(self._twin.books, trade, State.FAILED, now_ms=self._twin.now_ms())
            return trade

    def _waiting_for_password(self, values: dict[str, str]) -> Trade:
        numbers = {values.get("out_trade_no", ""), values.get("trade_no", "")} - {""}
        found = trades.waiting_for_password(self._twin.books, now_ms=self._twin.now_ms())
        for trade in found:
            if numbers & {trade.out_trade_no, trade.trade_no}:
                return trade
        raise Asked(404, "NO_PASSWORD_ASKED", "no such trade waits for a password")

    def _listed(self, trade: Trade) -> dict[str, Any]:
        attempts = trades.attempts_of(self._twin.books, trade)
        callbacks = self._twin.callbacks.of_trade(trade.id)
        return summary(self._twin, trade) | {
            "product": trade.terms.product,
            "subject": trade.terms.subject,
            "merchant": trade.merchant,
            "notify_url": trade.terms.notify_url,
            "created_at": times.rfc3339(trade.created_ms),
            "expires_at": times.rfc3339(trade.expires_ms),
            "paid_at": times.rfc3339(trade.paid_ms) if trade.paid_ms else None,
            "refunds": [_refund(refund) for refund in refunds.of_trade(self._twin.books, trade.id)],
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
        "subject": trade.terms.subject,
        "waits_for_password": trade.state is State.PASSWORD,
    }


def _refund(refund: Refund) -> dict[str, Any]:
    return {
        "out_refund_no": refund.out_refund_no,
        "refund_no": refund.refund_no,
        "status": refund.state,
        "amount_fen": refund.amount_fen,
        "created_at": times.rfc3339(refund.created_ms),
    }


def _wish(values: dict[str, str], request: Request) -> Wish:
    result = values.get("result", paying.SUCCESS)
    if result not in (paying.SUCCESS, paying.FAIL):
        raise Asked(400, "BAD_RESULT", f"result is {paying.SUCCESS} or {paying.FAIL}")
    return Wish(
        payer=values.get("payer", "")[: payers.MAX_LENGTH] or payers.holding(request),
        result=result,
        reason=values.get("reason", ""),
        expected_fen=number_of(values, "total_fen", most=MAX_FEN) if values.get("total_fen") else None,
    )
