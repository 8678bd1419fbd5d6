"""Links that work in every wallet (protocol 4.3): whoever opens one gets a trade of their own at their wallet."""

import hmac
from enum import StrEnum

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from opentill.base import numbers
from opentill.base.errors import GatewayError
from opentill.base.logs import logger
from opentill.channels.base import Answer, Outcome, Trade
from opentill.domain.order import Order, OrderState, PaymentWay
from opentill.domain.parties import Operator
from opentill.protocol.words import CHANNEL_TITLES
from opentill.services import asking, orders
from opentill.services.access import OpenAccount
from opentill.services.deployment import Deployment
from opentill.services.payments import Said
from opentill.services.words import wallet_words
from opentill.storage import history
from opentill.storage import trades as rows
from opentill.storage.database import StepFailed
from opentill.storage.trades import OpenTrade

PATH = "/pay/"
"""Below it a link has its order's number. WeChat wants exactly this folder registered as the place that pays."""
STATE_LIFE_MS = 10 * 60_000
"""channels B.13: the code that comes back with a state lives no longer."""
PAGE_LIFE_MS = 90 * 60_000
"""channels B.4: what a page pays with is good for two hours; older values are asked for anew."""
MAX_RACES = rows.MAX_ATTEMPT_NO
"""Times an attempt is looked for anew because another opener took it: there are no more to take."""

_EXPIRY_DIGITS = 12
_KEY_PURPOSE = b"opentill: state of a payment link"

# A page's trade exists from its creation on: one that a wallet does not know can't be paid.
_CERTAINLY_OVER = frozenset({Outcome.CLOSED, Outcome.NOT_FOUND})

_log = logger("links")


class LinkStatus(StrEnum):
    """What a person who opened a link is shown."""

    WAITING = "waiting"
    PAID = "paid"
    REFUNDED = "refunded"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"


_ENDED = {
    OrderState.CLOSED: LinkStatus.EXPIRED,
    OrderState.REVERSED: LinkStatus.CANCELLED,
    OrderState.FAILED: LinkStatus.FAILED,
}


class States:
    """The `state` that goes to a wallet's authorisation and comes back: made here, for this order, not long ago."""

    def __init__(self, platform_key: rsa.RSAPrivateKey) -> None:
        # Every process of the deployment holds this key, so each accepts the others' states.
        secret = platform_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        self._key = HKDF(SHA256(), 32, None, _KEY_PURPOSE).derive(secret)

    def issue(self, order_no: str, channel: int, *, now_ms: int) -> str:
        """Digits and letters only, as WeChat wants it."""
        expiry = f"{now_ms + STATE_LIFE_MS:0{_EXPIRY_DIGITS}x}"
        return expiry + self._mac(expiry, order_no, channel)

    def accepts(self, state: str, order_no: str, channel: int, *, now_ms: int) -> bool:
        expiry, mac = state[:_EXPIRY_DIGITS], state[_EXPIRY_DIGITS:]
        if not hmac.compare_digest(mac.encode(), self._mac(expiry, order_no, channel).encode()):
            return False
        return now_ms < int(expiry, 16)

    def _mac(self, expiry: str, order_no: str, channel: int) -> str:
        return hmac.new(self._key, f"{expiry}|{order_no}|{channel}".encode(), "sha256").hexdigest()


def url_of(deployment: Deployment, order_no: str) -> str:
    """The link of an order."""
    return f"{deployment.public_base_url}{PATH}{order_no}"


async def make_payable(deployment: Deployment, order: Order) -> Order:
    """A new order waits at once: nobody is asked before somebody opens its link."""
    said = Said(source="create", channel=0, account_id=0, trade_no="")
    return await orders.record_outcome(deployment, order, Answer(outcome=Outcome.ACCEPTED, code="LINK"), said=said)


async def find_order(deployment: Deployment, order_no: str) -> Order | None:
    """The order whose link has this number; None: no such link."""
    app_id = numbers.app_id_of(order_no) if numbers.is_order_no(order_no) else None
    if app_id is None:
        return None
    order = await orders.find_order(deployment, app_id, order_no=order_no)
    return order if order is not None and order.way is PaymentWay.H5 else None


def status_of(order: Order, *, now_ms: int) -> LinkStatus:
    """An order past its time is not offered any more, even before its wallets confirmed that it is closed."""
    if order.state is OrderState.PAID:
        is_refunded = order.received_fen > 0 and order.refunded_fen >= order.received_fen
        return LinkStatus.REFUNDED if is_refunded else LinkStatus.PAID
    if not order.is_open:
        return _ENDED[order.state]
    return LinkStatus.WAITING if now_ms < order.expires_at_ms else LinkStatus.EXPIRED


async def wallets_of(deployment: Deployment, operator: Operator | None) -> dict[int, OpenAccount]:
    """The cashier's accounts that a link can lead to, by channel; none when the cashier may not take payments."""
    found: dict[int, OpenAccount] = {}
    if operator is None or operator.is_disabled:
        return found
    for number, account_id in sorted(operator.accounts.items()):
        account = await deployment.parties.account(account_id)
        if account is None or account.account.is_disabled or account.account.channel != number:
            continue
        if deployment.channels[number].authorize_url(account.opened, "", "") is not None:
            found[number] = account
    return found


async def open_trade(deployment: Deployment, order: Order, account: OpenAccount, payer: str) -> OpenTrade | None:
    """The trade that this payer, and nobody else, can pay, with its `page_values` (channels B.13).

    The same payer gets the same trade again. None: the order is not open any more.
    Raises: CHANNEL_REFUSED, CHANNEL_TIMEOUT, BUSY (too many people opened the link, or its wallet is slow).
    """
    for _ in range(MAX_RACES):
        trade = await _own_trade(deployment, order, account, payer)
        if trade is None:
            order = await orders.reread(deployment, order)
            if not order.is_open:
                return None
            continue
        if trade.page_values and deployment.clock.now_ms() - trade.created_at_ms < PAGE_LIFE_MS:
            return trade
        with deployment.wallet_places.taken(trade.channel):
            answer = await _create(deployment, order, account, trade)
        if answer.outcome is Outcome.ACCEPTED:
            return await _keep(deployment, order, trade, answer)
        if answer.payment is not None:
            said = orders.said_of_trade(trade, "create")
            await orders.record_outcome(deployment, order, answer, said=said)
            return None
        await _note(deployment, order, trade, answer)
        if answer.outcome is not Outcome.CLOSED:
            title = CHANNEL_TITLES[trade.channel]
            if answer.outcome is Outcome.REFUSED:
                raise GatewayError("CHANNEL_REFUSED", channel=title, reason=answer.message or answer.code)
            raise GatewayError("CHANNEL_TIMEOUT", channel=title, note=answer.code)
    raise GatewayError("BUSY", note="the link's trades kept changing")


async def look(deployment: Deployment, order: Order, *, asks_wallet: bool) -> Order:
    """The order as it is now, for a page that watches it; `asks_wallet`: its payer says to have just paid.

    Once it is paid nobody else should be able to pay it, so its other trades are closed at their wallets.
    """
    try:
        if asks_wallet:
            order = await asking.fresh(deployment, order)
        if order.state is OrderState.PAID:
            await _close_others(deployment, order)
    except GatewayError as error:
        _log.info("not asked", order_no=order.order_no, why=error.name)  # the page asks again, the worker as well
    return order


async def _close_others(deployment: Deployment, order: Order) -> None:
    """Raises BUSY."""
    found = await orders.trades_of(deployment, order)
    others = [trade for trade in found if not trade.is_closed and trade.trade_no != order.trade_no]
    with deployment.wallet_places.taken(*{trade.channel for trade in others}):
        for trade in others:
            await _close(deployment, order, trade)


async def _own_trade(deployment: Deployment, order: Order, account: OpenAccount, payer: str) -> OpenTrade | None:
    """This payer's trade, or a further attempt taken for them. None: somebody was faster, or the order ended."""
    number, account_id = account.account.channel, account.account.account_id
    found = await orders.trades_of(deployment, order)
    for trade in found:
        if not trade.is_closed and (trade.account_id, trade.payer) == (account_id, payer):
            return trade
    attempt_no, now_ms = len(found) + 1, deployment.clock.now_ms()
    if attempt_no > rows.MAX_ATTEMPT_NO:
        raise GatewayError("BUSY", note="too many people opened this link")
    trade = OpenTrade(
        channel=number,
        account_id=account_id,
        trade_no=rows.trade_no_of(order.order_no, attempt_no),
        attempt_no=attempt_no,
        payer=payer,
        created_at_ms=now_ms,
    )
    take = rows.insert(
        order.app_id,
        order.order_no,
        attempt_no=attempt_no,
        channel=number,
        account_id=account_id,
        payer=payer,
        now_ms=now_ms,
    )
    detail = {"source": "link", "channel": str(number), "trade_no": trade.trade_no}
    event = history.add_event(order.app_id, order.order_no, now_ms=now_ms, kind="LINK_OPENED", detail=detail)
    try:
        await deployment.database.write([take, event])
    except StepFailed:
        return None
    return trade


async def _create(deployment: Deployment, order: Order, account: OpenAccount, trade: OpenTrade) -> Answer:
    """Open the trade at its wallet. Unknown: once more with the same number, which is harmless (protocol 4.1)."""
    channel, wanted = deployment.channels[trade.channel], _wallet_trade(deployment, order, trade)
    answer = await channel.create_page(account.opened, wanted, trade.payer, "")
    orders.count_call(deployment, trade.channel, "create", answer)
    if answer.outcome is Outcome.UNKNOWN:
        answer = orders.said_again(await channel.create_page(account.opened, wanted, trade.payer, ""))
        orders.count_call(deployment, trade.channel, "create", answer)
    return answer


async def _keep(deployment: Deployment, order: Order, trade: OpenTrade, answer: Answer) -> OpenTrade | None:
    """Remember what the page pays with. If the order ended meanwhile, nobody gets it, and the trade ends too."""
    values = msgspec.json.encode(answer.page_values).decode()
    step = rows.keep_page_values(order.app_id, order.order_no, attempt_no=trade.attempt_no, page_values=values)
    await deployment.database.write([step])
    order = await orders.reread(deployment, order)
    if order.is_open:
        return msgspec.structs.replace(trade, page_values=values)
    await _close(deployment, order, trade)
    return None


async def _close(deployment: Deployment, order: Order, trade: OpenTrade) -> None:
    """Close one trade at its wallet. Money found there is recorded; an unknown answer leaves it to the next try."""
    account = await deployment.parties.account(trade.account_id)
    if account is None:
        return
    answer = await deployment.channels[trade.channel].close(account.opened, trade.trade_no)
    orders.count_call(deployment, trade.channel, "close", answer)
    if answer.payment is not None:
        await orders.record_outcome(deployment, order, answer, said=orders.said_of_trade(trade, "close"))
    elif answer.outcome in _CERTAINLY_OVER:
        await _note(deployment, order, trade, answer)


async def _note(deployment: Deployment, order: Order, trade: OpenTrade, answer: Answer) -> None:
    """What a wallet said of one trade: for the timeline. It says nothing about the order, which has other trades."""
    now_ms = deployment.clock.now_ms()
    detail = {
        "source": "link",
        "trade_no": trade.trade_no,
        "code": answer.code,
        "message": answer.message,
        "said": wallet_words(answer.said),
    }
    kind = f"TRADE_{answer.outcome.name}"
    unit = [history.add_event(order.app_id, order.order_no, now_ms=now_ms, kind=kind, detail=detail)]
    if answer.outcome in _CERTAINLY_OVER:
        unit.append(rows.mark_closed(order.app_id, order.order_no, attempt_no=trade.attempt_no))
    await deployment.database.write(unit)
    _log.info("trade", order_no=order.order_no, trade_no=trade.trade_no, outcome=answer.outcome.value, code=answer.code)


def _wallet_trade(deployment: Deployment, order: Order, trade: OpenTrade) -> Trade:
    asked = msgspec.structs.replace(order, channel=trade.channel, account_id=trade.account_id)
    return msgspec.structs.replace(orders.trade_of(deployment, asked), trade_no=trade.trade_no)
