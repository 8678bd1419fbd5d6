"""Alipay's callbacks (channels A.15)."""

import secrets
from urllib.parse import quote_plus

import msgspec

from opentill.base.outbound import Response
from opentill.twin import times, trades
from opentill.twin.alipay import faulty, views, wire
from opentill.twin.amounts import yuan
from opentill.twin.callbacks import Callback, Letter, Style
from opentill.twin.context import Context
from opentill.twin.faults import Hit
from opentill.twin.merchants import ALIPAY, Merchants
from opentill.twin.refunds import Refund
from opentill.twin.trades import Trade

# channels A.15: 4m, 10m, 10m, 1h, 2h, 6h, 15h
GAPS_S = (240, 600, 600, 3600, 7200, 21_600, 54_000)
_CHARSET = "utf-8"
_UNSIGNED = frozenset({"sign", "sign_type"})
_AMOUNTS = ("receipt_amount", "invoice_amount", "buyer_pay_amount", "point_amount")


def paid(twin: Context, trade: Trade) -> None:
    """Announce a payment: the only news besides refunds (channels A.15)."""
    _add(twin, trade, "pay", _content(twin, trade))


def refunded(twin: Context, trade: Trade, refund: Refund, *, back_fen: int) -> None:
    """Announce a refund, to the URL of the payment: TRADE_SUCCESS after a part, TRADE_CLOSED after the whole."""
    more = {
        "out_biz_no": refund.out_refund_no,
        "refund_fee": yuan(trade.refunded_fen),
        "send_back_fee": yuan(back_fen),
        "gmt_refund": times.wall_text(refund.done_ms) + f".{refund.done_ms % 1000:03d}",
    }
    _add(twin, trade, "refund", _content(twin, trade) | more)


def style(merchants: Merchants) -> Style:
    """How Alipay delivers."""

    def write(callback: Callback, now_ms: int, hit: Hit | None) -> Letter:
        account = merchants.alipay.named(callback.merchant)
        params = msgspec.json.decode(callback.content, type=dict[str, str])
        params["notify_time"] = times.wall_text(now_ms)
        params = faulty.spoiled(params, hit)
        signed = wire.signed_text(params, without=_UNSIGNED).encode()
        fault = hit.fault if hit else ""
        key = account.key
        if fault == "key_rotated":
            key = merchants.with_next_key(account, now_ms=now_ms).next_key
        if fault != "unsigned":
            params |= {"sign_type": "RSA2", "sign": key.sign(signed + b" " if fault == "bad_signature" else signed)}
        body = "&".join(f"{name}={quote_plus(value)}" for name, value in params.items())
        if fault == "truncated":
            body = body[: len(body) // 2]
        return Letter(
            headers={"Content-Type": f"application/x-www-form-urlencoded; charset={_CHARSET}"}, body=body.encode()
        )

    return Style(write=write, accepts=_accepts, gaps_s=GAPS_S)


def _accepts(response: Response) -> bool:
    """Exactly seven bytes, nothing else, no redirect (channels A.15)."""
    return response.status == 200 and response.body == b"success"


def _add(twin: Context, trade: Trade, kind: str, content: dict[str, str]) -> None:
    # Never an empty value: verifiers disagree about them (channels A.15).
    filled = {name: value for name, value in content.items() if value}
    twin.callbacks.add(
        wallet=ALIPAY,
        merchant=trade.terms.app_id,  # whose key signs
        kind=kind,
        trade_id=trade.id,
        url=trade.terms.notify_url,
        content=filled,
    )


def _content(twin: Context, trade: Trade) -> dict[str, str]:
    """The parameters that do not change from delivery to delivery, `notify_id` among them."""
    buyer = views.buyer(trade)
    seller = twin.merchants.alipay.named(trade.terms.app_id).seller(trade.merchant)
    funds = [{"amount": part["amount"], "fundChannel": part["fund_channel"]} for part in views.fund_bill(trade)]
    vouchers = [_voucher(voucher) for voucher in views.vouchers(trade)]
    amounts = views.paid_amounts(trade)
    return {
        "notify_type": "trade_status_sync",
        "notify_id": f"{trades.day_text(twin.now_ms())}{secrets.token_hex(17)}",
        "charset": _CHARSET,
        "version": "1.0",
        "app_id": trade.terms.app_id,
        "auth_app_id": seller.auth_app_id,
        "trade_no": trade.trade_no,
        "out_trade_no": trade.out_trade_no,
        "buyer_id": buyer.get("buyer_user_id", ""),
        "buyer_logon_id": buyer.get("buyer_logon_id", ""),
        "seller_id": seller.seller_id,
        "seller_email": f"seller-{seller.seller_id[-6:]}@example.com",
        "trade_status": views.status(trade, now_ms=twin.now_ms()),
        "total_amount": yuan(trade.total_fen),
        **{name: amounts[name] for name in _AMOUNTS},
        "subject": trade.terms.subject,
        "body": str(trade.terms.request.get("body", "")),
        "gmt_create": times.wall_text(trade.created_ms),
        "gmt_payment": times.wall_text(trade.paid_ms),
        "fund_bill_list": msgspec.json.encode(funds).decode(),
        "voucher_detail_list": msgspec.json.encode(vouchers).decode() if vouchers else "",
        "passback_params": trade.terms.attach,
    }


def _voucher(voucher: dict[str, str]) -> dict[str, str]:
    """JSON texts inside callbacks write their keys in camel case (channels A.15)."""
    return {
        "voucherId": voucher["id"],
        "name": voucher["name"],
        "type": voucher["type"],
        "amount": voucher["amount"],
        "merchantContribute": voucher["merchant_contribute"],
        "otherContribute": voucher["other_contribute"],
    }
