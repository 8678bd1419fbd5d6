"""WeChat Pay's callbacks (channels B.8)."""

import uuid
from typing import Any

import msgspec

from opentill.base.outbound import Response
from opentill.twin import times, trades
from opentill.twin.callbacks import Callback, Letter, Style
from opentill.twin.context import Context
from opentill.twin.faults import Hit
from opentill.twin.merchants import WECHAT, Merchants
from opentill.twin.refunds import Refund, RefundState
from opentill.twin.trades import Trade
from opentill.twin.wechat import faulty, views, wire
from opentill.twin.wechat.wire import Call

# channels B.8: 15s/15s/30s/3m/10m/20m/30m/30m/30m/60m/3h/3h/3h/6h/6h
_LADDER = "15 15 30 180 600 1200 1800 1800 1800 3600 10800 10800 10800 21600 21600"
GAPS_S = tuple(int(gap) for gap in _LADDER.split())
_REFUNDED = {RefundState.SUCCESS: "退款成功", RefundState.ABNORMAL: "退款异常", RefundState.CLOSED: "退款关闭"}


def paid(twin: Context, trade: Trade) -> None:
    """Announce a payment. Payments by code are not announced (channels B.8)."""
    if trade.terms.product == "codepay":
        return
    _queue(
        twin,
        trade.merchant,
        kind="pay",
        trade_id=trade.id,
        url=trade.terms.notify_url,
        signed_by=trade.terms.signed_by,
        event="TRANSACTION.SUCCESS",
        summary="支付成功",
        resource=views.queried(trade),
    )


def refunded(twin: Context, refund: Refund) -> None:
    """Announce how a refund ended, to the URL that the refund named."""
    trade = trades.by_id(twin.books, refund.trade_id)
    _queue(
        twin,
        trade.merchant,
        kind="refund",
        trade_id=trade.id,
        url=refund.terms.notify_url,
        signed_by=refund.terms.signed_by,
        event=f"REFUND.{refund.state}",
        summary=_REFUNDED[refund.state],
        resource=views.refund_news(twin.books, trade, refund),
    )


def echoed(twin: Context, call: Call, *, url: str, resource: dict[str, Any]) -> None:
    """The callback of the self-test."""
    _queue(
        twin,
        call.mchid,
        kind="echo",
        trade_id=0,
        url=url,
        signed_by=call.signed_by,
        event="SECURITY.ECHO",
        summary="回显",
        resource=resource,
    )


def style(merchants: Merchants) -> Style:
    """How WeChat Pay delivers: one body, signed anew each time by the key that the merchant's request asked for."""

    def write(callback: Callback, now_ms: int, hit: Hit | None) -> Letter:
        account = merchants.wechat.named(callback.merchant)
        body = callback.content.encode()
        if hit is not None and hit.fault in ("wrong_amount", "wrong_app"):
            body = _spoiled(account.merchant.api_v3_key, body, hit)
        headers = faulty.signed_headers(account, callback.signed_by, body, now_ms=now_ms, hit=hit)
        if hit is not None and hit.fault == "truncated":
            body = body[: len(body) // 2]
        return Letter(
            headers=headers | {"Content-Type": "application/json", "Request-ID": wire.new_request_id(0)}, body=body
        )

    return Style(write=write, accepts=_accepts, gaps_s=GAPS_S)


def _accepts(response: Response) -> bool:
    """200 or 204; a body that says FAIL is not an acceptance (channels B.8)."""
    if response.status not in (200, 204):
        return False
    try:
        answer = msgspec.json.decode(response.body or b"{}")
    except msgspec.DecodeError:
        return True
    return not isinstance(answer, dict) or answer.get("code", "SUCCESS") == "SUCCESS"


def _queue(
    twin: Context,
    mchid: str,
    *,
    kind: str,
    trade_id: int,
    url: str,
    signed_by: str,
    event: str,
    summary: str,
    resource: dict[str, Any],
) -> None:
    account = twin.merchants.wechat.named(mchid)
    original = "transaction" if kind == "pay" else kind
    nonce = wire.new_nonce(12)
    ciphertext = wire.sealed(
        account.merchant.api_v3_key, msgspec.json.encode(resource), associated_data=original, nonce=nonce
    )
    content = {
        "id": str(uuid.uuid4()),
        "create_time": times.rfc3339(twin.now_ms()),
        "resource_type": "encrypt-resource",
        "event_type": event,
        "summary": summary,
        "resource": {
            "original_type": original,
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": ciphertext,
            "associated_data": original,
            "nonce": nonce,
        },
    }
    twin.callbacks.add(
        wallet=WECHAT,
        merchant=mchid,
        kind=kind,
        trade_id=trade_id,
        url=url,
        content=content,
        signed_by=signed_by,
    )


def _spoiled(api_v3_key: str, body: bytes, hit: Hit) -> bytes:
    """The same letter with another content, sealed anew."""
    document = msgspec.json.decode(body, type=dict[str, Any])
    resource = document["resource"]
    plain = wire.unsealed(
        api_v3_key, resource["ciphertext"], associated_data=resource["associated_data"], nonce=resource["nonce"]
    )
    content = msgspec.json.encode(faulty.spoiled(msgspec.json.decode(plain), hit))
    nonce = wire.new_nonce(12)
    resource["nonce"] = nonce
    resource["ciphertext"] = wire.sealed(api_v3_key, content, associated_data=resource["associated_data"], nonce=nonce)
    return msgspec.json.encode(document)
