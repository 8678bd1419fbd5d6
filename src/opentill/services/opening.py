"""Opening an order: its number first, then the wallet. In between the order is CREATED and no money can move."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from opentill.base import numbers
from opentill.base.errors import GatewayError
from opentill.channels.base import Answer, Outcome
from opentill.domain.order import Order, OrderState, PaymentWay
from opentill.protocol.words import CHANNEL_TITLES
from opentill.services import orders
from opentill.services.access import OpenAccount
from opentill.services.deployment import Deployment
from opentill.storage import history
from opentill.storage import orders as rows
from opentill.storage.database import DatabaseOverloaded, StepFailed

CREATE_LEASE_MS = 30_000
"""How long a CREATED order belongs to the request that made it; then the worker asks. Two create calls fit in it."""
CHARGE_EXPIRY_MS = 5 * 60_000
"""What a wallet is told about a charge: less is not advised (channels A.7). We undo it ourselves, earlier."""
MAX_DRAWS = 5
"""Times a number is drawn, or the next attempt of a barcode order is tried."""

NOTHING: Mapping[str, str] = {}

_ENDED_UNPAID = frozenset({OrderState.FAILED, OrderState.CLOSED, OrderState.REVERSED})


async def take_number(deployment: Deployment, wanted: Order, *, origin: Mapping[str, str] = NOTHING) -> Order:
    """Record a new order, so that its number belongs to this request alone. Returns it with the number it got.

    `origin`: where the order comes from and what was asked, without secrets, for its timeline.
    Raises: DUPLICATE_ORDER (the app used the integrator's number before, for whatever channel), BUSY.
    """
    for _ in range(MAX_DRAWS):
        order_no = numbers.new_order_no(numbers.PAYMENT, app_id=wanted.app_id, now_ms=wanted.created_at_ms)
        order = msgspec.structs.replace(
            wanted,
            order_no=order_no,
            # protocol 4.3: without a number of the integrator's own the order's number stands in for it.
            local_order_no=wanted.local_order_no or order_no,
            trade_no=order_no if wanted.channel else "",
            poll_at_ms=wanted.created_at_ms + CREATE_LEASE_MS,
        )
        detail = {
            "amount_fen": str(order.amount_fen),
            "way": order.way.value,
            "local_order_no": order.local_order_no,
            **origin,
        }
        event = history.add_event(
            order.app_id, order.order_no, now_ms=order.created_at_ms, kind="CREATED", detail=detail
        )
        try:
            await deployment.database.write([rows.insert(order), event])
        except DatabaseOverloaded as error:
            raise GatewayError("BUSY", note=str(error)) from error  # nothing has been done: repeat it as it is
        except StepFailed as failed:
            if failed.index != 0:
                raise
            found = await orders.find_order(deployment, order.app_id, local_order_no=order.local_order_no)
            if found is not None:
                wanted = _next_attempt(wanted, found)
            continue  # without one: another order got the same random number in the same millisecond
        return order
    raise GatewayError("BUSY", note="no free order number")


async def open_qr(deployment: Deployment, order: Order, account: OpenAccount) -> Order:
    """Ask the wallet for the QR code of a CREATED order and record what it said.

    Raises: CHANNEL_REFUSED, CHANNEL_TIMEOUT (the outcome is unknown; the worker finds out).
    """
    channel = deployment.channels[order.channel]
    trade = orders.trade_of(deployment, order)
    order, answer = await _create(deployment, order, lambda: channel.create_qr(account.opened, trade))
    return msgspec.structs.replace(order, qr_text=answer.qr_text)


async def open_page(
    deployment: Deployment, order: Order, account: OpenAccount, *, payer: str, payer_app_id: str
) -> Answer:
    """Open a CREATED order for one payer inside the wallet's own browser; the answer has `page_values`.

    Raises: CHANNEL_REFUSED, CHANNEL_TIMEOUT.
    """
    channel = deployment.channels[order.channel]
    trade = orders.trade_of(deployment, order)
    _, answer = await _create(
        deployment, order, lambda: channel.create_page(account.opened, trade, payer, payer_app_id)
    )
    return answer


async def charge(deployment: Deployment, order: Order, account: OpenAccount, *, barcode: str) -> Order:
    """Take the money from a payment code. The order comes back PAID, or WAITING: a password, or nobody knows yet.

    Raises: CHANNEL_REFUSED.
    """
    channel = deployment.channels[order.channel]
    trade = orders.trade_of(deployment, order)
    trade = msgspec.structs.replace(trade, expires_at_ms=order.created_at_ms + CHARGE_EXPIRY_MS)
    answer = await channel.charge(account.opened, trade, barcode)
    orders.count_call(deployment, order.channel, "charge", answer)
    order = await orders.record_outcome(deployment, order, answer, said=orders.said_of(order, "charge"))
    if order.state is OrderState.FAILED:
        raise _refused(order, answer)
    return order


async def _create(deployment: Deployment, order: Order, ask: Callable[[], Awaitable[Answer]]) -> tuple[Order, Answer]:
    answer = await ask()
    orders.count_call(deployment, order.channel, "create", answer)
    if answer.outcome is Outcome.UNKNOWN:
        # protocol 4.1: the same create once more; harmless, nobody has seen a QR code yet.
        answer = orders.said_again(await ask())
        orders.count_call(deployment, order.channel, "create", answer)
    order = await orders.record_outcome(deployment, order, answer, said=orders.said_of(order, "create"))
    if answer.outcome is Outcome.REFUSED:
        raise _refused(order, answer)
    if answer.outcome is not Outcome.ACCEPTED or not (order.is_open or order.state is OrderState.PAID):
        # Unknown; or ended meanwhile (a reverse was faster): nobody gets the code, and the worker closes the trade.
        raise GatewayError("CHANNEL_TIMEOUT", channel=CHANNEL_TITLES[order.channel], note=answer.code)
    return order, answer


def _next_attempt(wanted: Order, found: Order) -> Order:
    """protocol 4.2: a barcode order may use a number again once every earlier one ended unpaid for certain."""
    is_free = wanted.way is PaymentWay.BARCODE and found.way is PaymentWay.BARCODE and found.state in _ENDED_UNPAID
    if not is_free:
        raise GatewayError("DUPLICATE_ORDER", local_order_no=wanted.local_order_no)
    return msgspec.structs.replace(wanted, attempt=found.attempt + 1)


def _refused(order: Order, answer: Answer) -> GatewayError:
    return GatewayError("CHANNEL_REFUSED", channel=CHANNEL_TITLES[order.channel], reason=answer.message or answer.code)
