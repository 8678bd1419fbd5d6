"""Which faults each operation can meet: the cells of the table."""

from dataclasses import dataclass

from opentill.twin.faults import APPLIES, CALLBACKS
from tests.orders import ALIPAY, WECHAT

WALLETS = {ALIPAY: "alipay", WECHAT: "wechat"}

# What the table calls an operation, and what the twin calls the calls that it makes of the wallet.
OPERATIONS = {
    "create": "create",
    "barcode": "pay",
    "query": "query",
    "refund": "refund",
    "close": "close",
    "reverse": "cancel",
    "callback": "callback",
}

# What the twin allows and what is no case of its own here.
_ELSEWHERE = {
    # The callback comes before the answer to a request of ours: seen at that request. Nobody asks anything here.
    ("callback", "callback_first"),
    # Undoing a charge that is not paid gives nothing back, so the wallet has nothing to call about.
    ("reverse", "callback_first"),
    # A person's deed, not a fault of a charge: seen at close and reverse.
    ("barcode", "paid_after_close"),
}


@dataclass(frozen=True)
class Cell:
    """One operation that meets one fault of one wallet."""

    operation: str
    fault: str
    channel: int

    @property
    def wallet(self) -> str:
        return WALLETS[self.channel]

    @property
    def twin_operation(self) -> str:
        return OPERATIONS[self.operation]

    @property
    def times(self) -> int:
        """How often the fault happens. A create is repeated at once (protocol 4.1): both calls meet it."""
        return 2 if self.operation == "create" else 1

    def __str__(self) -> str:
        return f"{self.operation}-{self.fault}-{self.wallet}"


def cells() -> list[Cell]:
    """Every meaningful one, in the order of the document."""
    return [
        Cell(operation, fault, channel)
        for operation in OPERATIONS
        for fault in faults_of(operation)
        for channel, wallet in WALLETS.items()
        if wallet in APPLIES[fault][0]
    ]


def faults_of(operation: str) -> list[str]:
    """The faults an operation can meet, in the twin's order."""
    return [
        fault
        for fault, (_, operations) in APPLIES.items()
        if OPERATIONS[operation] in operations and (operation, fault) not in _ELSEWHERE
    ]


def is_callback(cell: Cell) -> bool:
    return cell.twin_operation in CALLBACKS
