"""Coupons for single items: whoever buys the item pays less, once per coupon."""

from typing import Any

import msgspec

from opentill.twin.books import Books

BY_MERCHANT = "merchant"
BY_WALLET = "wallet"


class Coupon(msgspec.Struct, frozen=True):
    """A coupon that was used. `funded_by` merchant: the seller receives less; wallet: it receives the whole."""

    id: int
    goods_num: str
    name: str
    amount_fen: int
    funded_by: str


def add(books: Books, *, wallet: str, coupon: Coupon, times: int) -> int:
    """Hand out a coupon that may be used `times` times; its id."""
    return books.insert(
        "INSERT INTO coupons (wallet, goods_num, amount_fen, name, funded_by, times_left) VALUES (?, ?, ?, ?, ?, ?)",
        wallet,
        coupon.goods_num,
        coupon.amount_fen,
        coupon.name,
        coupon.funded_by,
        times,
    )


def listed(books: Books) -> list[dict[str, Any]]:
    names = ("id", "wallet", "goods_num", "amount_fen", "name", "funded_by", "times_left")
    rows = books.all("SELECT id, wallet, goods_num, amount_fen, name, funded_by, times_left FROM coupons ORDER BY id")
    return [dict(zip(names, row, strict=True)) for row in rows]


def clear(books: Books) -> None:
    books.run("DELETE FROM coupons")


def use(books: Books, *, wallet: str, goods: tuple[str, ...], limit_fen: int) -> tuple[Coupon, ...]:
    """Use one coupon per item of the order, together at most `limit_fen`; inside the payment's transaction."""
    used: list[Coupon] = []
    for goods_num in dict.fromkeys(goods):
        row = books.one(
            "SELECT id, goods_num, name, amount_fen, funded_by FROM coupons"
            " WHERE wallet = ? AND goods_num = ? AND times_left > 0 ORDER BY id LIMIT 1",
            wallet,
            goods_num,
        )
        left_fen = limit_fen - sum(coupon.amount_fen for coupon in used)
        if row is None or left_fen <= 0:
            continue
        coupon = Coupon(*row)
        used.append(msgspec.structs.replace(coupon, amount_fen=min(coupon.amount_fen, left_fen)))
        books.run("UPDATE coupons SET times_left = times_left - 1 WHERE id = ?", coupon.id)
    return tuple(used)
