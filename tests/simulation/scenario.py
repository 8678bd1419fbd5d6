"""What happens in a world, as values: a seed makes a scenario, and a scenario can be made smaller."""

from collections.abc import Sequence
from random import Random

import msgspec

from opentill.domain.parties import AppRules
from tests.simulation.chance import stream
from tests.simulation.network import Weather

MINUTE_MS = 60_000
ALIPAY, WECHAT = 1, 2
WALLETS = {ALIPAY: "alipay", WECHAT: "wechat"}

# Receivers of notifications. The last two fail for a while and are mended later.
SHOPS = ("good", "good", "slow", "wrong", "dead", "flaky", "away")

# What can be asked of the twin, without what needs real keys; the till's road has its own weather.
TWIN_FAULTS = (
    ("slow", ("create", "pay", "query", "close", "cancel", "refund", "refund_query")),
    ("hang", ("create", "pay", "query", "close", "cancel", "refund", "refund_query")),
    ("reset_before", ("create", "pay", "query", "close", "cancel", "refund", "refund_query")),
    ("reset_after", ("create", "pay", "query", "close", "cancel", "refund", "refund_query")),
    ("lost_reply", ("create", "pay", "query", "close", "cancel", "refund", "refund_query")),
    ("double_reply", ("create", "pay", "query", "close", "refund")),
    ("truncated", ("create", "pay", "query", "close", "cancel", "refund", "callback", "refund_callback")),
    ("bad_signature", ("create", "pay", "query", "close", "cancel", "refund", "callback", "refund_callback")),
    ("unsigned", ("create", "pay", "query", "close", "cancel", "refund", "callback", "refund_callback")),
    ("html", ("create", "pay", "query", "close", "cancel", "refund")),
    ("http_429", ("create", "pay", "query", "close", "cancel", "refund", "refund_query")),
    ("http_500", ("create", "pay", "query", "close", "cancel", "refund", "refund_query")),
    ("system_error", ("create", "pay", "query", "close", "cancel", "refund", "refund_query")),
    ("code_20000", ("create", "pay", "query", "close", "cancel", "refund")),
    ("callback_first", ("create", "pay", "cancel", "refund", "callback", "refund_callback")),
    ("callback_twice", ("callback", "refund_callback")),
    ("callback_late", ("callback", "refund_callback")),
    ("callback_never", ("callback", "refund_callback")),
    ("wrong_amount", ("pay", "query", "callback")),
    ("wrong_app", ("query", "pay", "callback", "refund_callback")),
    ("paid_after_close", ("close", "cancel", "pay")),
    ("clock_skew", ("create", "query", "refund", "callback")),
)


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that somebody does about an order, `after_ms` after the order was asked for."""

    after_ms: int
    kind: str
    fen: int = 0
    text: str = ""
    think_ms: int = 0
    """How long a payer looks at the code before paying."""


class Deal(msgspec.Struct, frozen=True, kw_only=True):
    """One order from the till's call to its last refund. `seed` is for what its parties leave to chance."""

    number: int
    seed: int
    at_ms: int
    merchant: int
    way: str
    channel: int
    amount_fen: int
    un_discount_fen: int | None = None
    goods: str = ""
    behaviour: str = ""
    """Last four digits of the payment code: what its payer does (the twin's)."""
    is_notified: bool = True
    patience: str = "retry"
    """What the till does when it hears nothing: retry, ask, leave."""
    acts: tuple[Act, ...] = ()


class TwinFault(msgspec.Struct, frozen=True, kw_only=True):
    wallet: str
    operation: str
    fault: str
    rate: float
    seed: int
    acts: bool | None = None


class Coupon(msgspec.Struct, frozen=True, kw_only=True):
    wallet: str
    amount_fen: int
    funded_by: str
    times: int


class Drought(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant's account can't pay for refunds for a while."""

    merchant: int
    channel: int
    from_ms: int
    to_ms: int


class Pausing(msgspec.Struct, frozen=True, kw_only=True):
    """A person pauses a merchant's receiver, and resumes it at `to_ms` (0: never)."""

    merchant: int
    from_ms: int
    to_ms: int


class Merchant(msgspec.Struct, frozen=True, kw_only=True):
    """`shop`: how its receiver behaves until `mended_at_ms` (0: for ever)."""

    shop: str
    mended_at_ms: int
    rules: AppRules


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is decided before the world begins; `seed` decides the rest."""

    seed: int
    shuffle: int = 0
    """Another number: the same events in another order."""
    merchants: tuple[Merchant, ...]
    deals: tuple[Deal, ...]
    weather: Weather
    twin_faults: tuple[TwinFault, ...] = ()
    coupons: tuple[Coupon, ...] = ()
    droughts: tuple[Drought, ...] = ()
    pauses: tuple[Pausing, ...] = ()
    jumps: tuple[tuple[int, int], ...] = ()
    """(when, by how much) everything falls due at once, ms."""
    processes: tuple[str, ...] = ("both",)
    """Of each: serves, works, both."""
    steps_to_live: int = 0
    """About how many steps a process lives before it crashes; 0: for ever."""
    database_unavailable: float = 0.0
    database_unknown: float = 0.0

    def stream(self, name: str) -> Random:
        """A source of chance for one purpose in this scenario's world."""
        return stream(self.seed, f"{name}/{self.shuffle}" if self.shuffle else name)


def scenario_of(seed: int, *, orders: int = 40) -> Scenario:
    """The scenario of a seed: some calm, most with some trouble, some with all of it."""
    chance = stream(seed, "scenario")
    trouble = chance.choice((0, 1, 1, 1, 2, 2, 3))
    span_ms = chance.choice((1, 3, 10)) * MINUTE_MS
    endings = stream(seed, "endings")
    merchants = tuple(_merchant(chance, endings, span_ms) for _ in range(3))
    deals = tuple(_deal(chance, number, span_ms, merchants) for number in range(orders))
    has_crashes = trouble > 0 and chance.random() < 0.6
    return Scenario(
        seed=seed,
        merchants=merchants,
        deals=deals,
        weather=_weather(chance, trouble),
        twin_faults=_twin_faults(chance, trouble),
        coupons=_coupons(chance),
        droughts=_droughts(chance, trouble, span_ms),
        pauses=_pauses(stream(seed, "pauses"), span_ms),
        jumps=_jumps(chance, trouble, span_ms),
        processes=chance.choice((("both",), ("serves", "works"), ("both", "both"), ("serves", "works", "works"))),
        steps_to_live=chance.choice((300, 1000, 3000, 9000)) if has_crashes else 0,
        database_unavailable=chance.choice((0.002, 0.01)) if trouble > 1 and chance.random() < 0.3 else 0.0,
        database_unknown=chance.choice((0.002, 0.01)) if trouble > 1 and chance.random() < 0.3 else 0.0,
    )


def _merchant(chance: Random, endings: Random, span_ms: int) -> Merchant:
    rules = AppRules(
        sign_method=chance.choice(("MD5", "MD5", "HMAC-SHA256")),
        order_life_ms=chance.choice((2, 3, 5, 5, 10)) * MINUTE_MS,
        idempotent_replay=chance.random() < 0.3,
        late_payment=chance.choice(("accept", "accept", "refund", "hold")),
        surplus_payment=chance.choice(("hold", "refund")),
        notify_refunds=chance.random() < 0.3,
        notify_cancels=endings.random() < 0.4,
        notify_failures=endings.random() < 0.4,
    )
    shop = chance.choice(SHOPS)
    mended_at_ms = span_ms + chance.randrange(20 * MINUTE_MS) if shop in ("flaky", "away", "slow") else 0
    return Merchant(shop=shop, mended_at_ms=mended_at_ms, rules=rules)


def _deal(chance: Random, number: int, span_ms: int, merchants: Sequence[Merchant]) -> Deal:
    way = chance.choices(("scan", "barcode", "h5", "mp"), (50, 25, 15, 10))[0]
    amount_fen = chance.choice((1, 2, 99, 100, 1234, chance.randrange(1, 100_000), chance.randrange(1, 10_000_000)))
    merchant = chance.randrange(len(merchants))
    life_ms = merchants[merchant].rules.order_life_ms
    channel = WECHAT if way == "mp" else chance.choice((ALIPAY, WECHAT))
    return Deal(
        number=number,
        seed=chance.getrandbits(48),
        at_ms=chance.randrange(span_ms),
        merchant=merchant,
        way=way,
        channel=channel,
        amount_fen=amount_fen,
        un_discount_fen=chance.randrange(amount_fen) if chance.random() < 0.1 else None,
        goods=_goods(chance) if chance.random() < 0.25 else "",
        behaviour=chance.choices(("1234", "0001", "0002", "0003"), (40, 35, 10, 15))[0],
        is_notified=chance.random() < 0.95,
        patience=chance.choice(("retry", "retry", "ask", "leave")),
        acts=tuple(sorted(_acts(chance, way, amount_fen, life_ms), key=lambda act: act.after_ms)),
    )


def _acts(chance: Random, way: str, amount_fen: int, life_ms: int) -> list[Act]:
    acts = []
    # Soon, or about when the order is closed, or when its code is dead.
    pay_at_ms = chance.choice((2_000, 2_000, 5_000, 20_000, 60_000, 100_000, life_ms, life_ms + 119_000))
    pay_at_ms += chance.randrange(-1_000, 1_000)
    if way == "barcode":
        # A minute after the charge it is undone: there and at a reverse the password may come at the very moment.
        pay_at_ms = chance.choice((chance.randrange(1_000, 90_000), 60_000 + chance.randrange(-500, 2_500)))
        if chance.random() < 0.8:
            kind = "password" if chance.random() < 0.9 else "wrong_password"
            acts.append(Act(after_ms=pay_at_ms, kind=kind))
        if chance.random() < 0.2:
            acts.append(Act(after_ms=pay_at_ms + chance.randrange(-500, 200), kind="reverse"))
    else:
        if chance.random() < 0.85:
            acts.append(_payment(chance, pay_at_ms, "alice"))
        if chance.random() < 0.1:
            acts.append(Act(after_ms=chance.randrange(pay_at_ms), kind="fail_to_pay", text="alice"))
        if chance.random() < (0.5 if way == "h5" else 0.1):
            acts.append(_payment(chance, max(0, pay_at_ms + chance.randrange(-3_000, 9_000)), "bob"))
    for _ in range(chance.choice((0, 0, 1, 3))):
        acts.append(Act(after_ms=chance.randrange(2 * pay_at_ms), kind="query"))
    if chance.random() < 0.15:
        acts.append(Act(after_ms=max(0, pay_at_ms + chance.randrange(-20_000, 5_000)), kind="reverse"))
    if chance.random() < 0.2:
        acts.append(Act(after_ms=chance.randrange(20_000), kind=chance.choice(("same_again", "number_again"))))
    if way == "h5" and chance.random() < 0.5:
        acts.append(Act(after_ms=pay_at_ms + chance.randrange(5_000), kind="look"))
    if chance.random() < 0.5:
        acts += _refunds(chance, pay_at_ms, amount_fen)
    return acts


def _payment(chance: Random, at_ms: int, payer: str) -> Act:
    think_ms = min(at_ms, chance.choice((0, 1_000, 10_000, 30_000)))
    return Act(after_ms=at_ms - think_ms, kind="pay", text=payer, think_ms=think_ms)


def _refunds(chance: Random, pay_at_ms: int, amount_fen: int) -> list[Act]:
    acts = []
    at_ms = pay_at_ms
    for number in range(chance.choice((1, 1, 2, 3))):
        at_ms += chance.choice((0, 100, 3_000, 30_000, 70_000))
        fen = chance.choice((0, 0, max(1, amount_fen // 3), max(1, amount_fen // 2), amount_fen, amount_fen + 1))
        kind = chance.choice(("refund", "refund", "refund_twice", "refund_numbered"))
        acts.append(Act(after_ms=at_ms, kind=kind, fen=fen, text=f"r{number}"))
    if chance.random() < 0.2:
        acts.append(Act(after_ms=at_ms + chance.randrange(4_000), kind=chance.choice(("abnormal", "refund_closed"))))
    return acts


def _goods(chance: Random) -> str:
    lines = [
        {
            "goods_num": f"N{chance.randrange(3)}" if chance.random() < 0.7 else "",
            "goods_name": f"item {number}",
            "sell_amount": chance.choice((1, 2, 7, "0.333", "1.5")),
            "goods_price": chance.choice(("0.01", "3.33", "10", "99.99")),
        }
        for number in range(chance.randrange(1, 4))
    ]
    return msgspec.json.encode(lines).decode()


def _weather(chance: Random, trouble: int) -> Weather:
    if trouble == 0:
        return Weather(delay_ms=chance.choice((0, 30)))

    def some() -> float:
        return chance.choice((0.0, 0.0, 0.01, 0.03)) * trouble

    return Weather(
        delay_ms=chance.choice((0, 30, 300, 3_000)),
        refused=some(),
        lost=some(),
        reset=some(),
        silent=some(),
        belated=some(),
        doubled=some(),
    )


def _twin_faults(chance: Random, trouble: int) -> tuple[TwinFault, ...]:
    found = []
    for _ in range(chance.choice((0, 1, 2, 4)) * trouble):
        fault, operations = chance.choice(TWIN_FAULTS)
        found.append(
            TwinFault(
                wallet="alipay" if fault == "code_20000" else chance.choice(("alipay", "wechat")),
                operation=chance.choice(operations),
                fault=fault,
                rate=chance.choice((0.05, 0.2, 0.5)),
                seed=chance.getrandbits(32),
                acts=chance.choice((None, True, False)) if fault in ("system_error", "http_500", "hang") else None,
            )
        )
    return tuple(found)


def _coupons(chance: Random) -> tuple[Coupon, ...]:
    return tuple(
        Coupon(
            wallet=chance.choice(("alipay", "wechat")),
            amount_fen=chance.choice((1, 50, 1_000)),
            funded_by=chance.choice(("merchant", "wallet")),
            times=3,
        )
        for _ in range(chance.choice((0, 2, 4)))
    )


def _droughts(chance: Random, trouble: int, span_ms: int) -> tuple[Drought, ...]:
    if chance.random() > 0.2 * trouble:
        return ()
    from_ms = chance.randrange(span_ms)
    to_ms = from_ms + chance.randrange(10 * MINUTE_MS)
    return (Drought(merchant=chance.randrange(3), channel=chance.choice((1, 2)), from_ms=from_ms, to_ms=to_ms),)


def _pauses(chance: Random, span_ms: int) -> tuple[Pausing, ...]:
    found = []
    for _ in range(chance.choice((0, 0, 1, 2))):
        from_ms = chance.randrange(span_ms)
        lasts_ms = chance.choice((0, 1_000, 30_000, 5 * MINUTE_MS, 40 * MINUTE_MS))
        found.append(
            Pausing(merchant=chance.randrange(3), from_ms=from_ms, to_ms=from_ms + lasts_ms if lasts_ms else 0)
        )  # fmt: skip
    return tuple(found)


def _jumps(chance: Random, trouble: int, span_ms: int) -> tuple[tuple[int, int], ...]:
    count = chance.choice((0, 0, 1, 3)) if trouble else 0
    return tuple(
        sorted(
            (chance.randrange(span_ms + 5 * MINUTE_MS), chance.choice((10, 70, 200, 1_000)) * 1000)
            for _ in range(count)
        )
    )
