"""Trying a WeChat Pay account without moving money: an unknown trade, the wallet's own echo, its certificates."""

from urllib.parse import urlencode

from opentill.channels.base import (
    BAD_SIGNATURE,
    NOT_SENT,
    PROBE,
    REPLY_LOST,
    UNREADABLE,
    Checked,
    CheckStep,
    Wire,
)
from opentill.channels.values import node_of, nodes_of
from opentill.channels.wechat_account import WechatAccount
from opentill.channels.wechat_order import merchant, trade_path
from opentill.channels.wechat_wire import NOT_SIGNED, OK, TOO_OFTEN, Reply, call, decrypted

# channels B.11, without underscores.
_UNKNOWN_TRADE = frozenset({"ORDERNOTEXIST", "RESOURCENOTEXISTS"})
_REASONS = {
    "SIGNERROR": (CheckStep.OURS_ACCEPTED, "signature"),
    "MCHNOTEXISTS": (CheckStep.OURS_ACCEPTED, "number"),
    "APPIDMCHIDNOTMATCH": (CheckStep.ALLOWED, "number"),
    "NOAUTH": (CheckStep.ALLOWED, "permission"),
    "ACCOUNTERROR": (CheckStep.ALLOWED, "permission"),
    "PARAMERROR": (CheckStep.ALLOWED, "number"),
    TOO_OFTEN: (CheckStep.ALLOWED, "busy"),
}
_ECHO = {"echo_message": "OpenTill"}


async def examine(wire: Wire, account: WechatAccount, trade_no: str) -> list[Checked]:
    """See `Channel.examine`."""
    asked = await call(wire, account, "GET", f"{trade_path(account, trade_no)}?{urlencode(merchant(account))}")
    if asked.word == NOT_SENT and not account.wallet_keys:
        return [
            Checked(step=CheckStep.REACHED, is_good=False, reason="no_certificate", message=asked.message),
            *_untried(CheckStep.OURS_ACCEPTED, CheckStep.ALLOWED, CheckStep.THEIRS_VERIFIED, CheckStep.OPENED),
        ]
    failed, reason = _verdict(asked)
    steps = (CheckStep.REACHED, CheckStep.OURS_ACCEPTED, CheckStep.ALLOWED)
    if failed in steps:
        at = steps.index(failed)
        return [
            *(Checked(step=step, is_good=True) for step in steps[:at]),
            Checked(step=failed, is_good=False, reason=reason, code=asked.code, message=asked.message),
            *_untried(*steps[at + 1 :], CheckStep.THEIRS_VERIFIED, CheckStep.OPENED),
        ]
    return [
        *(Checked(step=step, is_good=True) for step in steps),
        await _theirs(wire, account, asked),
        await _opened(wire, account),
    ]


async def _theirs(wire: Wire, account: WechatAccount, asked: Reply) -> Checked:
    """A refusal may come unsigned (channels B.3), an echo may not: a 200 counts with a good signature only."""
    reply = asked
    if asked.word != BAD_SIGNATURE:
        reply = await call(wire, account, "POST", "/v3/security/echo", _ECHO)
    if reply.word == BAD_SIGNATURE:
        return Checked(step=CheckStep.THEIRS_VERIFIED, is_good=False, reason="wallet_key", message=reply.message)
    if reply.word == OK:
        return Checked(step=CheckStep.THEIRS_VERIFIED, is_good=True)
    return Checked(step=CheckStep.THEIRS_VERIFIED, is_good=None, reason="unsigned", code=reply.code)


async def _opened(wire: Wire, account: WechatAccount) -> Checked:
    """The APIv3 key opens the platform certificates; a merchant with the public key alone has none (channels B.3)."""
    reply = await call(wire, account, "GET", "/v3/certificates")
    sealed = [node_of(each, "encrypt_certificate") for each in nodes_of(reply.node, "data")]
    if reply.word != OK or not sealed:
        return Checked(step=CheckStep.OPENED, is_good=None, reason="nothing_sealed", code=reply.code)
    if any(decrypted(account, each) is not None for each in sealed):
        return Checked(step=CheckStep.OPENED, is_good=True)
    return Checked(step=CheckStep.OPENED, is_good=False, reason="sealed")


def _verdict(reply: Reply) -> tuple[CheckStep | None, str]:
    """The step that failed, and why; None: none did, or the signature of the answer did."""
    if reply.word == NOT_SENT:
        return CheckStep.REACHED, "unreachable"
    if reply.word == REPLY_LOST:
        return CheckStep.REACHED, "lost"
    is_wallets = reply.code and reply.code != UNREADABLE and not reply.code.startswith("HTTP_")
    # channels B.3: a 2xx of the wallet is always signed.
    if not is_wallets or reply.message == NOT_SIGNED:
        return CheckStep.REACHED, "not_wallet"
    if reply.word in _UNKNOWN_TRADE or reply.word in (OK, BAD_SIGNATURE, PROBE):
        return None, ""
    if reply.word.startswith("HTTP_"):
        return CheckStep.ALLOWED, "busy"
    return _REASONS.get(reply.word, (CheckStep.ALLOWED, "other"))


def _untried(*steps: CheckStep) -> list[Checked]:
    return [Checked(step=step, is_good=None, reason="not_tried") for step in steps]
