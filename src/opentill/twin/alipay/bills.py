"""Bills: a link that lives half a minute, to a ZIP with two GBK files whose names are GBK too (channels A.14)."""

import io
import re
import zipfile
from typing import Any

import msgspec

from opentill.twin import refunds, times, trades
from opentill.twin.alipay.wire import Call, Failure
from opentill.twin.amounts import yuan
from opentill.twin.context import Context
from opentill.twin.downloads import File
from opentill.twin.merchants import ALIPAY
from opentill.twin.refunds import Refund
from opentill.twin.trades import Trade

LINK_LIFE_MS = 30_000
READY_AFTER_MS = 9 * times.HOUR_MS
MONTH_READY_ON_DAY = 3
REACH_BACK_MS = 6 * 365 * times.DAY_MS
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_COLUMNS = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,"
    "商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,"
    "商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)
_SUMMARY_COLUMNS = (
    "门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,商家实收（元）,支付宝优惠（元）,商家优惠（元）,"
    "卡消费金额（元）,服务费（元）,分润（元）,实收净额（元）"
)
_NOTHING = "0.00"


def download_url(twin: Context, call: Call) -> dict[str, Any]:
    """The link to a day's or a month's bill; an empty one says so (channels A.14)."""
    if call.text("bill_type") != "trade":
        raise Failure("40004", "TYPE_NOT_SUPPORTED", "账单类型不支持")
    start_ms, end_ms = _period(call.text("bill_date"))
    now_ms = twin.now_ms()
    if now_ms < _ready_ms(call.text("bill_date"), end_ms) or start_ms < now_ms - REACH_BACK_MS:
        raise Failure("40004", "BILL_NOT_EXIST", "账单不存在")
    if end_ms <= times.start_of_day_ms(call.account.opened_ms):
        raise Failure("40004", "BILL_DATE_BEFORE_REGISTRATION", "账单日期在用户注册日期之前")
    lines = _lines(twin, call.owner, start_ms, end_ms)
    name = f"{call.seller.seller_id}0156_{call.text('bill_date').replace('-', '')}_业务明细"
    files = {
        f"{name}.csv": _detail(call, lines, start_ms, end_ms, now_ms),
        f"{name}(汇总).csv": _summary(lines),
    }
    file = File(
        name=f"{call.text('bill_date')}.csv.zip",
        content=_zipped(files),
        owner=call.owner,
        expires_ms=now_ms + LINK_LIFE_MS,
    )
    token = twin.downloads.offer(file)
    answer = {"bill_download_url": f"{twin.base_url}/alipay/bill/download?token={token}"}
    return answer if lines else answer | {"bill_file_code": "EMPTY_DATA_WITH_BILL_FILE"}


class Line(msgspec.Struct, frozen=True):
    """One row of a bill: a payment, or a refund, whose amounts are negative."""

    trade: Trade
    refund: Refund | None
    at_ms: int
    total_fen: int
    received_fen: int
    by_wallet_fen: int
    by_merchant_fen: int

    def cells(self) -> list[str]:
        """The 25 cells, TAB-padded where the real ones are."""
        trade, request = self.trade, self.trade.terms.request
        return [
            trade.trade_no + "\t",
            trade.out_trade_no + "\t",
            "退款" if self.refund else "交易",
            trade.terms.subject.replace(",", "，") + "\t",
            times.wall_text(trade.created_ms),
            times.wall_text(self.at_ms),
            str(request.get("store_id", "")) + "\t",
            "\t",
            str(request.get("operator_id", "")) + "\t",
            str(request.get("terminal_id", "")) + "\t",
            "*" + trade.payer[-1:] + "\t",
            yuan(self.total_fen),
            yuan(self.received_fen),
            _NOTHING,
            _NOTHING,
            yuan(self.by_wallet_fen),
            yuan(self.by_merchant_fen),
            yuan(self.by_merchant_fen),
            "" if self.refund else "|".join(coupon.name for coupon in trade.coupons),
            _NOTHING,
            _NOTHING,
            (self.refund.out_refund_no if self.refund else "") + "\t",
            _NOTHING,
            _NOTHING,
            self.refund.terms.reason.replace(",", "，") if self.refund else "",
        ]


def _payment(trade: Trade) -> Line:
    return Line(
        trade=trade,
        refund=None,
        at_ms=trade.paid_ms,
        total_fen=trade.total_fen,
        received_fen=trade.total_fen - trade.merchant_discount_fen,
        by_wallet_fen=trade.discount_fen - trade.merchant_discount_fen,
        by_merchant_fen=trade.merchant_discount_fen,
    )


def _given_back(twin: Context, refund: Refund) -> Line:
    trade = trades.by_id(twin.books, refund.trade_id)
    before = [one.amount_fen for one in refunds.of_trade(twin.books, trade.id) if one.id < refund.id]
    back_fen = refunds.payer_part_fen(trade, before_fen=sum(before), amount_fen=refund.amount_fen)
    return Line(
        trade=trade,
        refund=refund,
        at_ms=refund.done_ms,
        total_fen=-refund.amount_fen,
        received_fen=-back_fen,
        by_wallet_fen=0,
        by_merchant_fen=0,
    )


def _period(text: str) -> tuple[int, int]:
    """The first moment of the period, and the first after it. Raises Failure."""
    day, month = _DAY.fullmatch(text), _MONTH.fullmatch(text)
    start_ms = times.wall_ms(f"{text if day else text + '-01'} 00:00:00") if day or month else None
    if start_ms is None:
        raise Failure("40004", "INVAILID_ARGUMENTS", "入参不合法")
    return start_ms, start_ms + times.DAY_MS if day else times.next_month_ms(start_ms)


def _ready_ms(text: str, end_ms: int) -> int:
    """A day's bill is ready at nine the next morning, a month's on the third."""
    days = MONTH_READY_ON_DAY - 1 if _MONTH.fullmatch(text) else 0
    return end_ms + days * times.DAY_MS + READY_AFTER_MS


def _lines(twin: Context, owner: str, start_ms: int, end_ms: int) -> list[Line]:
    paid = trades.paid_between(twin.books, wallet=ALIPAY, merchant=owner, start_ms=start_ms, end_ms=end_ms)
    back = refunds.done_between(twin.books, wallet=ALIPAY, merchant=owner, start_ms=start_ms, end_ms=end_ms)
    lines = [*(_payment(trade) for trade in paid), *(_given_back(twin, refund) for refund in back)]
    return sorted(lines, key=lambda line: line.at_ms)


def _detail(call: Call, lines: list[Line], start_ms: int, end_ms: int, now_ms: int) -> str:
    period = f"起始日期：[{_chinese(start_ms)}]   终止日期：[{_chinese(end_ms)}]"
    payments = [line for line in lines if line.refund is None]
    given_back = [line for line in lines if line.refund is not None]
    return "".join(
        f"{text}\r\n"
        for text in (
            "#支付宝业务明细查询",
            f"#账号：[{call.seller.seller_id}0156]",
            f"#{period}",
            "#-----------------------------------------业务明细列表----------------------------------------",
            _COLUMNS,
            *(",".join(line.cells()) for line in lines),
            "#-----------------------------------------业务明细列表结束------------------------------------",
            f"#交易合计：{_sums(payments)}",
            f"#退款合计：{_sums(given_back)}",
            f"#导出时间：[{_chinese(now_ms)}]",
        )
    )


def _summary(lines: list[Line]) -> str:
    payments = sum(1 for line in lines if line.refund is None)
    received = yuan(sum(line.received_fen for line in lines))
    cells = [
        "合计",
        "",
        str(payments),
        str(len(lines) - payments),
        yuan(sum(line.total_fen for line in lines)),
        received,
        yuan(sum(line.by_wallet_fen for line in lines)),
        yuan(sum(line.by_merchant_fen for line in lines)),
        _NOTHING,
        _NOTHING,
        _NOTHING,
        received,
    ]
    return f"#支付宝业务汇总查询\r\n{_SUMMARY_COLUMNS}\r\n{','.join(cells)}\r\n"


def _sums(lines: list[Line]) -> str:
    received = yuan(sum(line.received_fen for line in lines))
    discount = yuan(sum(line.by_merchant_fen for line in lines))
    return f"{len(lines)}笔，商家实收共{received}元，商家优惠共{discount}元"


def _chinese(at_ms: int) -> str:
    return times.china(at_ms).strftime("%Y年%m月%d日 %H:%M:%S")


class _GbkName(zipfile.ZipInfo):
    """A member whose name is written in GBK, without the flag that would say UTF-8, as Alipay's tools do."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 - zipfile asks for it by this name
        return self.filename.encode("gbk"), self.flag_bits & ~0x800


def _zipped(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(_GbkName(name), text.encode("gbk", errors="replace"), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
