"""Silent authorisation: a page learns by a code, which works once, who opened it (channels B.13)."""

import secrets

from opentill.twin import times
from opentill.twin.books import Books

LIFE_MS = 10 * times.MINUTE_MS


class BadGrant(Exception):
    """No such code of this app, used already, or too old. `is_used` tells the second."""

    def __init__(self, *, is_used: bool = False) -> None:
        super().__init__("used" if is_used else "unknown or expired")
        self.is_used = is_used


def give(books: Books, *, wallet: str, app_id: str, payer: str, now_ms: int) -> str:
    """A code for the app that was asked to be told who the payer is."""
    code = secrets.token_hex(16)
    books.run(
        "INSERT INTO grants (code, wallet, app_id, payer, expires_ms, is_used) VALUES (?, ?, ?, ?, ?, 0)",
        code,
        wallet,
        app_id,
        payer,
        now_ms + LIFE_MS,
    )
    return code


def take(books: Books, *, wallet: str, app_id: str, code: str, now_ms: int) -> str:
    """Who the payer is. Raises BadGrant."""
    row = books.one(
        "SELECT payer, expires_ms, is_used FROM grants WHERE code = ? AND wallet = ? AND app_id = ?",
        code,
        wallet,
        app_id,
    )
    if row is None or now_ms >= row[1]:
        raise BadGrant
    if row[2]:
        raise BadGrant(is_used=True)
    books.run("UPDATE grants SET is_used = 1 WHERE code = ?", code)
    return str(row[0])
