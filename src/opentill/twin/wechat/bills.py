"""Bills in two steps: a signed answer with the hash of the plain file, then the unsigned file (channels B.12)."""

import gzip
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from opentill.twin import payers, refunds, times, trades
from opentill.twin.amounts import yuan
from opentill.twin.context import Context
from opentill.twin.downloads import File
from opentill.twin.merchants import WECHAT
from opentill.twin.refunds import Refund
from opentill.twin.trades import Trade
from opentill.twin.wechat import views
from opentill.twin.wechat.wire import Call, Failure

LINK_LIFE_MS = 5 * times.MINUTE_MS
READY_AFTER_MS = 10 * times.HOUR_MS
REACH_BACK_MS = 92 * times.DAY_MS
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_HEADER = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,"
    "代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,"
    "申请退款金额,费率备注"
)
_COLUMNS = _HEADER.split(",")
_REFUND_COLUMNS = frozenset(
    {"微信退款单号", "商户退款单号", "退款金额", "充值券退款金额", "退款类型", "退款状态", "申请退款金额"}
)
_SUMMARY = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
_FLOW = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),"
    "资金变更提交申请人,备注,业务凭证号"
)
_FLOW_SUMMARY = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"
_NO_FEE = "0.00000"

Row = dict[str, str]


def trade_bill(twin: Context, call: Call) -> dict[str, Any]:
    """A day's payments and refunds."""
    kind = call.query.get("bill_type", "ALL")
    if kind not in ("ALL", "SUCCESS", "REFUND"):
        raise _invalid("bill_type")
    start_ms = _day(twin, call)
    sub_mchid = call.query.get("sub_mchid", "")
    paid = [] if kind == "REFUND" else _paid(twin, call, start_ms)
    given_back = [] if kind == "SUCCESS" else _given_back(twin, call, start_ms)
    rows = [
        *(_trade_row(trade) for trade in paid if _is_of(trade, sub_mchid)),
        *(_refund_row(twin, trade, refund) for trade, refund in given_back if _is_of(trade, sub_mchid)),
    ]
    if not rows:
        raise Failure(400, "NO_STATEMENT_EXIST", "账单文件不存在")
    rows.sort(key=lambda row: row["交易时间"])
    columns = [name for name in _COLUMNS if kind != "SUCCESS" or name not in _REFUND_COLUMNS]
    table = [",".join(columns), *(_cells(row[name] for name in columns) for row in rows)]
    return _offered(twin, call, [*table, _SUMMARY, _cells(_sums(rows))])


def flow_bill(twin: Context, call: Call) -> dict[str, Any]:
    """A day's movements of the merchant's account. All money is in BASIC."""
    kind = call.query.get("account_type", "BASIC")
    if kind not in ("BASIC", "OPERATION", "FEES"):
        raise _invalid("account_type")
    start_ms = _day(twin, call)
    movements: list[tuple[int, Trade, Refund | None, int]] = []
    if kind == "BASIC":
        movements += [(trade.paid_ms, trade, None, _received_fen(trade)) for trade in _paid(twin, call, start_ms)]
        movements += [
            (refund.done_ms, trade, refund, -_back_fen(twin, trade, refund))
            for trade, refund in _given_back(twin, call, start_ms)
        ]
    if not movements:
        raise Failure(400, "NO_STATEMENT_EXIST", "账单文件不存在")
    movements.sort(key=lambda movement: movement[0])
    lines, balance_fen = [_FLOW], 0
    for at_ms, trade, refund, amount_fen in movements:
        balance_fen += amount_fen
        lines.append(_cells(_flow_row(at_ms, trade, refund, amount_fen, balance_fen)))
    amounts = [amount_fen for *_, amount_fen in movements]
    return _offered(twin, call, [*lines, _FLOW_SUMMARY, _cells(_flow_sums(amounts))])


def download(twin: Context, call: Call) -> bytes:
    """The file, gzipped when asked for; its answer carries no signature."""
    file = twin.downloads.fetch(call.query.get("token", ""), now_ms=twin.now_ms())
    if file is None or file.owner != call.mchid:
        raise Failure(400, "PARAM_ERROR", "下载链接不存在或已过期")
    return gzip.compress(file.content) if call.query.get("tartype") == "gzip" else file.content


def _offered(twin: Context, call: Call, lines: Sequence[str]) -> dict[str, Any]:
    """The hash is of the plain file, whatever is downloaded (channels B.12)."""
    tar_type = call.query.get("tar_type", "")
    if tar_type not in ("", "GZIP"):
        raise _invalid("tar_type")
    content = "".join(f"{line}\r\n" for line in lines).encode()
    file = File(name="bill", content=content, owner=call.mchid, expires_ms=twin.now_ms() + LINK_LIFE_MS)
    url = f"{twin.base_url}/wechat/v3/billdownload/file?token={twin.downloads.offer(file)}"
    return {
        "hash_type": "SHA1",
        "hash_value": hashlib.sha1(content, usedforsecurity=False).hexdigest(),
        "download_url": url + ("&tartype=gzip" if tar_type else ""),
    }


def _day(twin: Context, call: Call) -> int:
    """The first moment of the day asked for, once its bill is ready. Raises Failure."""
    text = call.query.get("bill_date", "")
    start_ms = times.wall_ms(f"{text} 00:00:00") if _DAY.fullmatch(text) else None
    if start_ms is None:
        raise _invalid("bill_date")
    now_ms = twin.now_ms()
    if start_ms >= times.start_of_day_ms(now_ms) or start_ms < times.start_of_day_ms(now_ms) - REACH_BACK_MS:
        raise _invalid("bill_date")
    if now_ms < start_ms + times.DAY_MS + READY_AFTER_MS:
        raise Failure(400, "STATEMENT_CREATING", "账单生成中，请稍后再试")
    return start_ms


def _paid(twin: Context, call: Call, start_ms: int) -> list[Trade]:
    return trades.paid_between(
        twin.books, wallet=WECHAT, merchant=call.mchid, start_ms=start_ms, end_ms=start_ms + times.DAY_MS
    )


def _given_back(twin: Context, call: Call, start_ms: int) -> list[tuple[Trade, Refund]]:
    found = refunds.done_between(
        twin.books, wallet=WECHAT, merchant=call.mchid, start_ms=start_ms, end_ms=start_ms + times.DAY_MS
    )
    return [(trades.by_id(twin.books, refund.trade_id), refund) for refund in found]


def _trade_row(trade: Trade) -> Row:
    parties, terms = views.parties(trade), trade.terms
    return dict.fromkeys(_COLUMNS, "") | {
        "交易时间": times.wall_text(trade.paid_ms),
        "公众账号ID": terms.app_id,
        "商户号": trade.merchant,
        "特约商户号": parties.get("sub_mchid", "0"),
        "设备号": str(terms.request.get("scene_info", {}).get("device_id", "")),
        "微信订单号": trade.trade_no,
        "商户订单号": trade.out_trade_no,
        "用户标识": payers.openid(trade.payer, appid=terms.app_id),
        "交易类型": views.TRADE_TYPES[terms.product],
        "交易状态": "SUCCESS",
        "付款银行": "OTHERS",
        "货币种类": "CNY",
        "应结订单金额": yuan(_received_fen(trade)),
        "代金券金额": yuan(trade.discount_fen),
        "微信退款单号": "0",
        "商户退款单号": "0",
        "退款金额": "0.00",
        "充值券退款金额": "0.00",
        "商品名称": terms.subject,
        "商户数据包": terms.attach,
        "手续费": _NO_FEE,
        "费率": "0.00%",
        "订单金额": yuan(trade.total_fen),
        "申请退款金额": "0.00",
    }


def _refund_row(twin: Context, trade: Trade, refund: Refund) -> Row:
    return _trade_row(trade) | {
        "交易时间": times.wall_text(refund.done_ms),
        "交易状态": "REVOKED" if trade.state == "REVOKED" else "REFUND",
        "应结订单金额": "0.00",
        "代金券金额": "0.00",
        "微信退款单号": refund.refund_no,
        "商户退款单号": refund.out_refund_no,
        "退款金额": yuan(_back_fen(twin, trade, refund)),
        "退款类型": "ORIGINAL",
        "退款状态": refund.state.value,
        "订单金额": "0.00",
        "申请退款金额": yuan(refund.amount_fen),
    }


def _sums(rows: Sequence[Row]) -> list[str]:
    names = ("应结订单金额", "退款金额", "充值券退款金额", "手续费", "订单金额", "申请退款金额")
    sums = [yuan(sum(_fen(row[name]) for row in rows)) for name in names]
    sums[names.index("手续费")] = _NO_FEE
    return [str(len(rows)), *sums]


def _flow_row(at_ms: int, trade: Trade, refund: Refund | None, amount_fen: int, balance_fen: int) -> list[str]:
    return [
        times.wall_text(at_ms),
        refund.refund_no if refund else trade.trade_no,
        f"{(refund.refund_no if refund else trade.trade_no)}01",
        "退款" if refund else "交易",
        "退款" if refund else "交易",
        "支出" if amount_fen < 0 else "收入",
        yuan(abs(amount_fen)),
        yuan(balance_fen),
        trade.merchant + ("API" if refund else "system"),
        refund.terms.reason if refund else "结算总金额",
        refund.out_refund_no if refund else trade.out_trade_no,
    ]


def _flow_sums(amounts: Sequence[int]) -> list[str]:
    income, outlay = [one for one in amounts if one >= 0], [-one for one in amounts if one < 0]
    return [str(len(amounts)), str(len(income)), yuan(sum(income)), str(len(outlay)), yuan(sum(outlay))]


def _received_fen(trade: Trade) -> int:
    return trade.total_fen - trade.merchant_discount_fen


def _back_fen(twin: Context, trade: Trade, refund: Refund) -> int:
    part: int = views.refund_amounts(twin.books, trade, refund)["payer_refund"]
    return part


def _is_of(trade: Trade, sub_mchid: str) -> bool:
    return not sub_mchid or trade.terms.partner.get("sub_mchid") == sub_mchid


def _fen(text: str) -> int:
    whole, _, part = text.partition(".")
    return int(whole) * 100 + int(part[:2])


def _cells(values: Iterable[str]) -> str:
    """Each data cell starts with a backtick (channels B.12)."""
    return ",".join(f"`{value}" for value in values)


def _invalid(name: str) -> Failure:
    return Failure(400, "PARAM_ERROR", f"参数错误：{name}", detail={"field": name, "location": "query"})
