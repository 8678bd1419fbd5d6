"""Payment by code and its reversal (channels B.10)."""

import re
from typing import Any

from opentill.twin import paying, refunds, times, trades
from opentill.twin.context import Context
from opentill.twin.payers import DEFAULT_PAYER
from opentill.twin.paying import Payer
from opentill.twin.refunds import RefundTerms
from opentill.twin.trades import State, Trade
from opentill.twin.wechat import cashier, operations, views
from opentill.twin.wechat import terms as reading
from opentill.twin.wechat.wire import Call, Failure

PRODUCT = "codepay"
REVERSE_WITHIN_MS = 7 * times.DAY_MS
_AUTH_CODE = re.compile(r"1[0-5]\d{16}", re.ASCII)


def codepay(twin: Context, call: Call) -> dict[str, Any] | Failure:
    """Charge at once, or ask the payer for the password first, or fail; the code's last digits decide."""
    out_trade_no, terms = reading.read_terms(call, product=PRODUCT, now_ms=twin.now_ms())
    auth_code = call.body.get("payer", {}).get("auth_code")
    if not isinstance(auth_code, str) or _AUTH_CODE.fullmatch(auth_code) is None:
        raise reading.invalid("payer/auth_code", "18 位数字，以 10 到 15 开头")
    store = call.body.get("scene_info", {}).get("store_info")
    if not isinstance(store, dict) or not (store.get("id") or store.get("out_id")):
        raise reading.invalid("scene_info/store_info", "id 与 out_id 必填其一")
    trade = operations.ordered(twin, call, out_trade_no, terms)
    if trade.state is State.PASSWORD:
        return views.queried(trade)
    return _charged(twin, trade, paying.behaviour(auth_code))


def reverse(twin: Context, call: Call) -> dict[str, Any]:
    """Undo a payment by code: what is unpaid can no longer be paid, what is paid goes back."""
    reading.check_signer(call, call.body)
    trade = operations.wanted_trade(twin, call)
    if trade.terms.product != PRODUCT:
        raise Failure(400, "INVALID_REQUEST", "该接口只能撤销付款码支付的订单")
    if trade.state is not State.REVOKED:
        if twin.now_ms() > trade.created_ms + REVERSE_WITHIN_MS:
            raise Failure(400, "INVALID_REQUEST", "订单已超过可撤销的期限")
        if trade.paid_ms:
            _give_back(twin, trade)
        trades.move(twin.books, trade, State.REVOKED, now_ms=twin.now_ms())
    return views.parties(trade) | {"out_trade_no": trade.out_trade_no}


def _charged(twin: Context, trade: Trade, behaviour: Payer) -> dict[str, Any] | Failure:
    match behaviour:
        case Payer.ASKS_PASSWORD:
            _record(twin, trade, "password")
            return views.queried(
                trades.move(twin.books, trade, State.PASSWORD, payer=DEFAULT_PAYER, now_ms=twin.now_ms())
            )
        case Payer.LACKS_MONEY:
            _record(twin, trade, paying.FAIL)
            trades.move(twin.books, trade, State.FAILED, now_ms=twin.now_ms())
            return Failure(403, "NOT_ENOUGH", "余额不足")
        case Payer.LEAVES_UNKNOWN:
            _record(twin, trade, paying.SUCCESS)
            cashier.pay(twin, trade, DEFAULT_PAYER)
            return Failure(500, "SYSTEM_ERROR", "系统错误")
        case Payer.PAYS:
            _record(twin, trade, paying.SUCCESS)
            return views.queried(cashier.pay(twin, trade, DEFAULT_PAYER))


def _record(twin: Context, trade: Trade, result: str) -> None:
    trades.add_attempt(
        twin.books, trade, payer=DEFAULT_PAYER, result=result, reason="payment code", now_ms=twin.now_ms()
    )


def _give_back(twin: Context, trade: Trade) -> None:
    """A reversal returns the money at once and tells nobody."""
    left_fen = trade.total_fen - trade.refunded_fen
    if left_fen:
        refunds.add(
            twin.books,
            trade,
            out_refund_no=f"{trade.out_trade_no}@reverse",
            refund_no=trades.new_number("5030" + trades.day_text(twin.now_ms()), 16),
            amount_fen=left_fen,
            now_ms=twin.now_ms(),
            due_ms=twin.now_ms(),
            terms=RefundTerms(reason="reverse"),
        )
