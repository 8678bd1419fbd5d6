"""Order numbers: 30 digits that carry the app's integer id, so that a wallet's callback leads to the shard.

kind 1 · UTC milliseconds 13 · app id 8 · random 7 · Luhn check digit 1 (protocol 4.1).
"""

import secrets
from collections.abc import Callable

PAYMENT = 1
REFUND = 2

LENGTH = 30
MAX_APP_ID = 99_999_999
_RANDOM_SPACE = 10_000_000
# Of a doubled digit over 9 the digits are added: 7 gives 14 gives 5.
_DOUBLED = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
_PLAIN = bytes.maketrans(b"0123456789", bytes(range(10)))


def new_order_no(kind: int, *, app_id: int, now_ms: int, below: Callable[[int], int] = secrets.randbelow) -> str:
    """A number of `kind` for the app; `below(n)` draws 0 <= x < n. A collision in storage draws again."""
    digits = f"{kind:d}{now_ms:013d}{app_id:08d}{below(_RANDOM_SPACE):07d}"
    return digits + str(_luhn_digit(digits))


def app_id_of(order_no: str) -> int | None:
    """The app id inside one of our numbers (or a wallet trade number built on it); None if it is not ours."""
    if not is_order_no(order_no[:LENGTH]):
        return None
    return int(order_no[14:22])


def is_order_no(text: str) -> bool:
    """Whether `text` has the shape and check digit of one of our numbers."""
    return (
        len(text) == LENGTH
        and text.isascii()
        and text.isdigit()
        and text[0] in "12"
        and str(_luhn_digit(text[:-1])) == text[-1]
    )


def _luhn_digit(digits: str) -> int:
    raw = digits.encode("ascii")
    return -(sum(raw[::-2].translate(_DOUBLED)) + sum(raw[-2::-2].translate(_PLAIN))) % 10
