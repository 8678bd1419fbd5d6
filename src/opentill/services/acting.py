"""What a person does to an order by hand: ask, refund, reverse. Each deed is audited and on the timeline."""

from collections.abc import Mapping, Sequence

from opentill.base.errors import GatewayError
from opentill.channels.base import Outcome
from opentill.domain.order import Order, PaymentWay
from opentill.domain.parties import Operator
from opentill.domain.refund import Refund, RefundState
from opentill.services import asking, audit, closing, orders, refunds
from opentill.services.access import Caller
from opentill.services.decisions import By
from opentill.services.deployment import Deployment
from opentill.services.refunds import Wanted
from opentill.services.words import wallet_words
from opentill.storage import history
from opentill.storage import refunds as refund_rows
from opentill.storage.database import Step
from opentill.storage.refunds import DueRefund

ASKED = "ASKED"
REVERSE_ASKED = "REVERSE_ASKED"
SOURCE = "console"
MAX_REASON = 80
"""What both wallets take; the protocol's own limit (protocol 4.6)."""


async def ask_now(deployment: Deployment, order: Order, *, by: By) -> Order:
    """Ask the wallet about every trade of the order and every refund under way, and record what it says.

    Raises: BUSY (nobody was asked).
    """
    async with orders.placed(deployment, order):
        return await _ask(deployment, order, by=by)


async def refund(
    deployment: Deployment, order: Order, *, amount_fen: int | None, reason: str, token: str, by: By
) -> Refund:
    """Give money back; `amount_fen` None: all that is left. The same `token` is the same refund.

    Raises: ORDER_NOT_PAID, REFUND_EXCEEDS_PAYMENT, REFUND_IN_PROGRESS, REFUND_REPEAT_DIFFERS, REFUND_CEILING, BUSY.
    """
    caller = await _caller(deployment, order, sign=f"{SOURCE}:{token}", by=by)
    wanted = Wanted(amount_fen=amount_fen, reason=reason[:MAX_REASON], local_refund_no="", actor=by.actor)
    detail = {"amount_fen": "all" if amount_fen is None else str(amount_fen), "reason": wanted.reason}

    async def write(steps: Sequence[Step]) -> object:
        return await _audited(deployment, order, steps, "refund", detail, by=by)

    return await asking.refunded(deployment, caller, order, wanted, write=write)


async def reverse(deployment: Deployment, order: Order, *, by: By) -> Order:
    """End an order that is not paid, at its wallet first.

    Raises: REVERSE_PAID, REVERSE_REFUNDED, REVERSE_FAILED, CHANNEL_TIMEOUT (nothing is concluded), BUSY.
    """
    await _note(deployment, order, REVERSE_ASKED, {}, by=by)
    return await closing.reverse(deployment, order)


async def _ask(deployment: Deployment, order: Order, *, by: By) -> Order:
    for trade in await orders.trades_of(deployment, order):
        account = await deployment.parties.account(trade.account_id)
        if account is None:
            continue
        answer = await deployment.channels[trade.channel].query(account.opened, trade.trade_no)
        orders.count_call(deployment, trade.channel, "query", answer)
        detail = {"trade_no": trade.trade_no, "outcome": answer.outcome.value, "code": answer.code}
        detail |= {"message": answer.message, "said": wallet_words(answer.said)}
        await _note(deployment, order, ASKED, detail, by=by)
        # One trade of several that ended says nothing about the others; only its money counts.
        if order.way is not PaymentWay.H5 or answer.outcome is Outcome.PAID:
            order = await orders.record_outcome(deployment, order, answer, said=orders.said_of_trade(trade, SOURCE))
    for refund in await refund_rows.of_order(deployment.database, order.app_id, order.order_no):
        if refund.state is RefundState.PENDING:
            await refunds.advance(deployment, DueRefund(refund.app_id, refund.refund_no, refund.due_at_ms))
    return await orders.reread(deployment, order)


async def _caller(deployment: Deployment, order: Order, *, sign: str, by: By) -> Caller:
    """The app the order belongs to, in whose books the refund is, asked by one of our own people."""
    app = await deployment.parties.app_by_id(order.app_id)
    if app is None:
        raise GatewayError("APP_UNKNOWN")
    operator = Operator(
        operator_id=order.operator_id,
        merchant_id=order.merchant_id,
        store_id=order.store_id,
        name="",
        accounts={},
        is_disabled=False,
    )
    return Caller(app=app, operator=operator, sign=sign, source_ip=by.source_ip)


async def _note(deployment: Deployment, order: Order, kind: str, detail: Mapping[str, str], *, by: By) -> None:
    event = history.add_event(
        order.app_id,
        order.order_no,
        now_ms=deployment.clock.now_ms(),
        kind=kind,
        detail={**detail, "actor": by.actor},
    )
    told = {name: value for name, value in detail.items() if name != "said"}
    await _audited(deployment, order, [event], kind.lower(), told, by=by)


async def _audited(
    deployment: Deployment, order: Order, steps: Sequence[Step], action: str, after: Mapping[str, str], *, by: By
) -> object:
    return await audit.change(
        deployment.database,
        steps,
        actor=by.actor,
        source_ip=by.source_ip,
        action=f"order.{action}",
        subject=order.order_no,
        before={"state": order.state.value, "refunded_fen": str(order.refunded_fen)},
        after=after,
        now_ms=deployment.clock.now_ms(),
    )
