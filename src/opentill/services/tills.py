"""Selling at a till: the same steps as for an integrator, under the merchant's own app, never twice for one sale.

The till makes up a number for each sale and says it again until it hears an answer; the number is the order's
`local_order_no`, so the unique index decides (protocol 4.1). A number says nothing to anybody else.
"""

import re
from collections.abc import Sequence

import msgspec

from opentill.base.errors import GatewayError
from opentill.domain.order import GoodsLine, Order, OrderState, PaymentWay
from opentill.domain.refund import Refund
from opentill.domain.till import CHARGE_LIFE_MS, UNCERTAIN, SaleStatus, status_of
from opentill.protocol import params
from opentill.protocol.goods import FEN, read_goods
from opentill.services import asking, closing, links, opening, orders, refunds
from opentill.services.access import Caller, OpenAccount
from opentill.services.deployment import Deployment
from opentill.services.devices import TillProblem
from opentill.services.refunds import Wanted
from opentill.services.shifts import SignedIn
from opentill.services.till_app import till_app
from opentill.storage import history
from opentill.storage import refunds as refund_rows
from opentill.storage import till_sales as rows
from opentill.storage.database import Step, StepFailed

NUMBER = re.compile(r"[0-9a-f]{32}", re.ASCII)
"""A sale's number: 128 random bits, so that two tills never make up the same."""
MAX_ORIGIN = 2_000
"""What is kept of what was typed, characters."""
CANCEL_ASKED = "CANCEL_ASKED"
"""Event: a cashier wants the sale ended unpaid."""


class NewSale(msgspec.Struct, frozen=True, kw_only=True):
    """What a cashier typed. `channel` 0: one code for every wallet; `barcode`: the customer's payment code instead."""

    number: str
    amount: str
    channel: int = 0
    subject: str = ""
    goods: str = ""
    barcode: str = ""


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """A sale as a till shows it. `reason` is why a wallet refused, `refunds` are newest first."""

    order: Order
    status: SaleStatus
    shift_id: int = 0
    is_dismissed: bool = True
    link: str = ""
    reason: str = ""
    refunds: tuple[Refund, ...] = ()

    @property
    def is_settled(self) -> bool:
        """Nothing moves any more by itself."""
        return self.status not in UNCERTAIN | {SaleStatus.WAITING} and not self.order.refunding_fen

    @property
    def refundable_fen(self) -> int:
        return _left_fen(self.order) if self.order.state is OrderState.PAID else 0


async def accounts_of(deployment: Deployment, who: SignedIn) -> dict[int, OpenAccount]:
    """The wallets this cashier can be paid through, by channel."""
    operator = await deployment.parties.operator(who.cashier.operator_id)
    found: dict[int, OpenAccount] = {}
    for number, account_id in sorted(operator.accounts.items()) if operator else ():
        account = await deployment.parties.account(account_id)
        if account is not None and not account.account.is_disabled and number in deployment.channels:
            found[number] = account
    return found


async def has_one_code(deployment: Deployment, who: SignedIn) -> bool:
    """Whether one code can lead to more than one wallet."""
    operator = await deployment.parties.operator(who.cashier.operator_id)
    return len(await links.wallets_of(deployment, operator)) > 1


async def sell(deployment: Deployment, who: SignedIn, wanted: NewSale, *, source_ip: str) -> Order:
    """Open the sale, or find the one that this number opened before.

    Raises: TillProblem(number), GatewayError (AMOUNT_INVALID, SUBJECT_INVALID, GOODS_LIST_INVALID, BARCODE_INVALID,
    CHANNEL_NOT_AVAILABLE, BUSY). What the wallet said is told by the sale, not by an error.
    """
    if not NUMBER.fullmatch(wanted.number):
        raise TillProblem("number")
    app = await till_app(deployment, who.shift.merchant_id)
    found = await orders.find_order(deployment, app.app_id, local_order_no=wanted.number)
    if found is not None:
        return _of_store(who, found)
    way, account = await _way_of(deployment, who, wanted)
    order = _order(who, wanted, app.app_id, way=way, account=account, source_ip=source_ip)
    now_ms = deployment.clock.now_ms()
    life_ms = CHARGE_LIFE_MS if way is PaymentWay.BARCODE else app.rules.order_life_ms
    order = msgspec.structs.replace(order, created_at_ms=now_ms, expires_at_ms=now_ms + life_ms)
    note = rows.note_sale(app.app_id, wanted.number, shift_id=who.shift.shift_id, now_ms=now_ms)
    try:
        with deployment.wallet_places.taken(*([account.account.channel] if account else [])):
            await deployment.database.write([note])
            order = await opening.take_number(deployment, order, origin=_origin(who, wanted, source_ip))
            return await _open(deployment, order, account, barcode=wanted.barcode)
    except GatewayError as error:
        # The order is there and shows what became of it: a repeat was faster, or the wallet refused or said nothing.
        if error.name not in ("DUPLICATE_ORDER", "CHANNEL_REFUSED", "CHANNEL_TIMEOUT"):
            raise
    found = await orders.find_order(deployment, app.app_id, local_order_no=wanted.number)
    assert found is not None, "its number was just taken"
    return _of_store(who, found)


async def find(deployment: Deployment, who: SignedIn, number: str) -> Order:
    """A sale of this store. Raises TillProblem(missing)."""
    app = await till_app(deployment, who.shift.merchant_id)
    found = await orders.find_order(deployment, app.app_id, local_order_no=number) if number else None
    if found is None:
        raise TillProblem("missing")
    return _of_store(who, found)


async def look(deployment: Deployment, order: Order) -> Sale:
    """The sale as it is stored now."""
    note = await rows.sale(deployment.database, order.app_id, order.local_order_no)
    is_cancelling = bool(note and note.cancel_asked_at_ms)
    status = status_of(order, is_cancelling=is_cancelling, now_ms=deployment.clock.now_ms())
    found: list[Refund] = []
    if order.state is OrderState.PAID and (order.refunding_fen or order.refunded_fen or status is SaleStatus.PAID):
        found = await refund_rows.of_order(deployment.database, order.app_id, order.order_no)
    is_link = order.way is PaymentWay.H5 and status is SaleStatus.WAITING
    return Sale(
        order=order,
        status=status,
        shift_id=note.shift_id if note else 0,
        is_dismissed=note is None or bool(note.dismissed_at_ms),
        link=links.url_of(deployment, order.order_no) if is_link else "",
        reason=await _reason(deployment, order) if status is SaleStatus.FAILED else "",
        refunds=tuple(reversed(found)),
    )


async def current(deployment: Deployment, who: SignedIn) -> str | None:
    """The number of the sale that this cashier's till shows; None: it is free."""
    app = await till_app(deployment, who.shift.merchant_id)
    return await rows.current_sale(deployment.database, app.app_id, who.shift.shift_id)


async def ask(deployment: Deployment, order: Order) -> Order:
    """Ask the wallet about an open sale, unless somebody just did. Raises BUSY."""
    return await asking.fresh(deployment, order)


async def cancel(deployment: Deployment, who: SignedIn, order: Order) -> None:
    """Close or undo the sale at its wallet. What that brings the sale itself tells: perhaps it was paid.

    Without a clear word it stays `CANCELLING` and may be asked for again.
    """
    if not order.is_open:
        return
    now_ms = deployment.clock.now_ms()
    asked = history.add_event(
        order.app_id,
        order.order_no,
        now_ms=now_ms,
        kind=CANCEL_ASKED,
        detail={"actor": who.cashier.name, "till": who.device.name},
    )
    await deployment.database.write([rows.ask_cancel(order.app_id, order.local_order_no, now_ms=now_ms), asked])
    try:
        await closing.reverse(deployment, order)
    except GatewayError:
        return


async def dismiss(deployment: Deployment, order: Order) -> None:
    """The till is free for the next sale. An open code must be cancelled first. Raises TillProblem(still_open)."""
    sale = await look(deployment, order)
    if sale.status is SaleStatus.WAITING:
        raise TillProblem("still_open")
    step = rows.dismiss(order.app_id, order.local_order_no, now_ms=deployment.clock.now_ms())
    try:
        await deployment.database.write([step])
    except StepFailed:
        return  # a sale of the store that no till made a note of: there is nothing to put aside


async def refund(
    deployment: Deployment,
    who: SignedIn,
    order: Order,
    *,
    number: str,
    amount: str,
    reason: str,
    left: str,
    source_ip: str,
) -> Refund:
    """Give money back. `number` is the till's own for this refund: said again it is the same refund.

    `left`: what could still be refunded (fen) when the cashier decided. If it is something else by now, another tab or
    till was faster, and two refunds of a part are easily one too many.
    Raises: TillProblem(number, may_not_refund, reason, refund_changed), GatewayError (REFUND_AMOUNT_INVALID,
    REASON_INVALID and what `refunds.reserve` raises).
    """
    if not NUMBER.fullmatch(number):
        raise TillProblem("number")
    if not who.cashier.may_refund:
        raise TillProblem("may_not_refund")
    if not reason.strip():
        raise TillProblem("reason")
    app = await till_app(deployment, who.shift.merchant_id)
    operator = await deployment.parties.operator(who.cashier.operator_id)
    assert operator is not None, "the cashier is signed in"
    caller = Caller(app=app, operator=operator, sign="", source_ip=source_ip)
    wanted = Wanted(
        amount_fen=params.read_refund_fen(amount),
        reason=params.read_reason(reason.strip()),
        local_refund_no=number,
        actor=who.cashier.name,
        till=who.device.name,
    )
    note = rows.note_refund(app.app_id, number, shift_id=who.shift.shift_id)

    async def write(steps: Sequence[Step]) -> object:
        # The steps fail if the sums move after this, and then this is asked again.
        now = await find(deployment, who, order.local_order_no)
        if str(_left_fen(now)) != left and await refunds.find_repeat(deployment, caller, order, wanted) is None:
            raise TillProblem("refund_changed")
        return await deployment.database.write([*steps, note])

    return await asking.refunded(deployment, caller, order, wanted, write=write)


async def _way_of(deployment: Deployment, who: SignedIn, wanted: NewSale) -> tuple[PaymentWay, OpenAccount | None]:
    """How the sale is paid and into which account. Raises: BARCODE_INVALID, CHANNEL_NOT_AVAILABLE."""
    accounts = await accounts_of(deployment, who)
    if wanted.barcode:
        barcode = params.read_barcode(wanted.barcode)
        number = next((each for each, channel in deployment.channels.items() if channel.recognises(barcode)), 0)
        if number not in accounts:
            raise GatewayError("CHANNEL_NOT_AVAILABLE", channel=f"（付款码{barcode[:2]}开头）")
        return PaymentWay.BARCODE, accounts[number]
    if wanted.channel == 0 and await has_one_code(deployment, who):
        return PaymentWay.H5, None
    if wanted.channel not in accounts:
        raise GatewayError("CHANNEL_NOT_AVAILABLE", channel="")
    return PaymentWay.SCAN, accounts[wanted.channel]


def _order(
    who: SignedIn, wanted: NewSale, app_id: int, *, way: PaymentWay, account: OpenAccount | None, source_ip: str
) -> Order:
    """Raises: AMOUNT_INVALID, SUBJECT_INVALID, GOODS_LIST_INVALID."""
    goods: tuple[GoodsLine, ...] = read_goods(wanted.goods, price_unit=FEN) if wanted.goods else ()
    return Order(
        app_id=app_id,
        order_no="",
        local_order_no=wanted.number,
        attempt=1,
        merchant_id=who.shift.merchant_id,
        store_id=who.shift.store_id,
        operator_id=who.cashier.operator_id,
        account_id=account.account.account_id if account else 0,
        channel=account.account.channel if account else 0,
        way=way,
        state=OrderState.CREATED,
        amount_fen=params.read_amount_fen(wanted.amount),
        un_discount_fen=None,
        subject=params.read_subject(wanted.subject.strip()),
        goods=goods,
        notify_url="",
        device_create_ip=source_ip,
        created_at_ms=0,
        expires_at_ms=0,
    )


def _left_fen(order: Order) -> int:
    return order.received_fen - order.refunded_fen - order.refunding_fen


def _origin(who: SignedIn, wanted: NewSale, source_ip: str) -> dict[str, str]:
    """For the order's timeline, as an integrator's request is told there; a payment code is shortened."""
    told = {
        "shift": str(who.shift.shift_id),
        "amount": wanted.amount,
        "subject": wanted.subject,
        "goods_list": wanted.goods,
        "barcode": f"{wanted.barcode[:2]}…{wanted.barcode[-4:]}" if wanted.barcode else "",
    }
    lines = [f"{name}={value}" for name, value in told.items() if value]
    return {
        "request": "\n".join(lines)[:MAX_ORIGIN],
        "source_ip": source_ip,
        "actor": who.cashier.name,
        "till": who.device.name,
    }


async def _open(deployment: Deployment, order: Order, account: OpenAccount | None, *, barcode: str) -> Order:
    """Raises: CHANNEL_REFUSED, CHANNEL_TIMEOUT."""
    if account is None:
        return await links.make_payable(deployment, order)
    if order.way is PaymentWay.BARCODE:
        return await opening.charge(deployment, order, account, barcode=barcode)
    return await opening.open_qr(deployment, order, account)


def _of_store(who: SignedIn, order: Order) -> Order:
    """Another store's sales do not exist here. Raises TillProblem(missing)."""
    if order.store_id != who.shift.store_id:
        raise TillProblem("missing")
    return order


async def _reason(deployment: Deployment, order: Order) -> str:
    """The wallet's own words for why it refused; empty when it gave none."""
    failed = await history.last_event(deployment.database, order.app_id, order.order_no, kind=OrderState.FAILED.value)
    return failed.detail.get("message") or failed.detail.get("code", "") if failed else ""
