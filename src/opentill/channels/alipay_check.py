"""Trying an Alipay account without moving money: a query of a number that nobody has used."""

from opentill.channels.alipay_account import AlipayAccount
from opentill.channels.alipay_wire import Reply, call
from opentill.channels.base import (
    BAD_SIGNATURE,
    NOT_SENT,
    REPLY_LOST,
    UNREADABLE,
    Checked,
    CheckStep,
    Wire,
)

_UNKNOWN_TRADE = "ACQ.TRADE_NOT_EXIST"
# channels A.16: what the gateway says of the caller, not of the trade.
_REASONS = {
    "isv.invalid-signature": (CheckStep.OURS_ACCEPTED, "signature"),
    "isv.missing-signature": (CheckStep.OURS_ACCEPTED, "signature"),
    "isv.invalid-app-id": (CheckStep.OURS_ACCEPTED, "number"),
    "isv.app-cert-sn-not-match": (CheckStep.OURS_ACCEPTED, "serial"),
    "isv.invalid-timestamp": (CheckStep.OURS_ACCEPTED, "clock"),
    "aop.invalid-app-auth-token": (CheckStep.ALLOWED, "token"),
    "aop.invalid-auth-token": (CheckStep.ALLOWED, "token"),
    "aop.app-auth-token-time-out": (CheckStep.ALLOWED, "token"),
    "isv.insufficient-isv-permissions": (CheckStep.ALLOWED, "permission"),
    "isv.insufficient-user-permissions": (CheckStep.ALLOWED, "permission"),
    "ACQ.ACCESS_FORBIDDEN": (CheckStep.ALLOWED, "permission"),
}
_STEPS = (CheckStep.REACHED, CheckStep.OURS_ACCEPTED, CheckStep.ALLOWED, CheckStep.THEIRS_VERIFIED)


async def examine(wire: Wire, account: AlipayAccount, trade_no: str) -> list[Checked]:
    """See `Channel.examine`."""
    reply = await call(wire, account, "alipay.trade.query", {"out_trade_no": trade_no})
    return _found(reply)


def _found(reply: Reply) -> list[Checked]:
    failed, reason = _verdict(reply)
    found = []
    for step in _STEPS:
        if step is failed:
            found.append(Checked(step=step, is_good=False, reason=reason, code=reply.code, message=reply.message))
        elif failed is not None and _STEPS.index(step) > _STEPS.index(failed):
            found.append(Checked(step=step, is_good=None, reason="not_tried"))
        elif step is CheckStep.THEIRS_VERIFIED and not reply.node:
            # channels A.4: a refusal may come unsigned; then nothing was there to verify.
            found.append(Checked(step=step, is_good=None, reason="unsigned"))
        else:
            found.append(Checked(step=step, is_good=True))
    return found


def _verdict(reply: Reply) -> tuple[CheckStep | None, str]:
    """The step that failed, and why; None: none did."""
    if reply.word == NOT_SENT:
        return CheckStep.REACHED, "unreachable"
    if reply.word == REPLY_LOST:
        return CheckStep.REACHED, "lost"
    if reply.word == UNREADABLE or reply.word.startswith("HTTP_"):
        return CheckStep.REACHED, "not_wallet"
    if reply.word == BAD_SIGNATURE:
        return CheckStep.THEIRS_VERIFIED, "wallet_key"
    if reply.word == _UNKNOWN_TRADE:
        return None, ""
    step, reason = _REASONS.get(reply.code, (CheckStep.ALLOWED, "other"))
    if reply.word in ("20000", "40005"):
        return CheckStep.ALLOWED, "busy"
    return step, reason
