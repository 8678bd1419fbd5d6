"""Bills of both wallets (channels A.14, B.12)."""

import gzip
import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.twin.clients import AlipayAnswer, WechatAnswer
from tests.twin.test_alipay_trades import qr_code
from tests.twin.test_coupons import ALIPAY_GOODS, WECHAT_GOODS, coupon
from tests.twin.test_wechat_codepay import charge, reverse
from tests.twin.test_wechat_refunds import later, refund
from tests.twin.test_wechat_trades import code_url
from tests.twin.world import World, world

DAY_S = 86_400
# From noon of 2026-11-23 until the bill of that day is ready.
ALIPAY_READY_S, WECHAT_READY_S = 21 * 3600, 22 * 3600


async def alipay_url(w: World, bill_date: str = "2026-11-23", bill_type: str = "trade") -> AlipayAnswer:
    method = "alipay.data.dataservice.bill.downloadurl.query"
    return await w.alipay().call(method, {"bill_type": bill_type, "bill_date": bill_date})


async def fetched(w: World, url: str) -> tuple[int, bytes]:
    async with w.http.get(url) as reply:
        return reply.status, await reply.read()


def unzipped(content: bytes) -> dict[str, str]:
    """File names and texts; names are GBK without the flag of UTF-8, so zipfile reads them as cp437."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert all(member.flag_bits & 0x800 == 0 for member in archive.infolist())
        return {
            member.filename.encode("cp437").decode("gbk"): archive.read(member).decode("gbk")
            for member in archive.infolist()
        }


async def tradebill(w: World, query: str = "bill_date=2026-11-23") -> WechatAnswer:
    return await w.wechat().call("GET", f"/v3/bill/tradebill?{query}")


async def downloaded(w: World, answer: WechatAnswer) -> bytes:
    """The plain file, its hash checked; the download is signed like any request, its answer is not."""
    where = urlsplit(answer.document["download_url"])
    target = where.path.removeprefix(urlsplit(w.base_url).path + "/wechat") + "?" + where.query
    file = await w.wechat().call("GET", target)
    assert file.status == 200
    assert not [name for name in file.headers if name.startswith("wechatpay-")]
    plain = gzip.decompress(file.body) if "tartype=gzip" in where.query else file.body
    assert answer.document["hash_type"] == "SHA1"
    assert hashlib.sha1(plain).hexdigest() == answer.document["hash_value"]
    return plain


def table(plain: bytes) -> tuple[list[str], list[list[str]], list[str], list[str]]:
    """Header, rows, summary header, summary."""
    lines = plain.decode().split("\r\n")[:-1]
    rows = [line[1:].split(",`") for line in lines[1:-2]]
    return lines[0].split(","), rows, lines[-2].split(","), lines[-1][1:].split(",`")


async def test_alipays_bill_lists_payments_and_refunds(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await coupon(w, "alipay")
        await w.pay(await qr_code(w, goods_detail=ALIPAY_GOODS, store_id="S1", operator_id="O1"))
        await w.alipay().call("refund", {"out_trade_no": "T1", "refund_amount": "1.23", "out_request_no": "R1"})
        w.clock.advance(ALIPAY_READY_S * 1000)

        answer = await alipay_url(w)

        status, content = await fetched(w, answer.node["bill_download_url"])
        pid = w.twin.alipay_merchant().seller_id
        files = unzipped(content)
        lines = files[f"{pid}0156_20261123_业务明细.csv"].split("\r\n")
        payment, given_back = ([cell.strip() for cell in line.split(",")] for line in lines[5:7])
        assert status == 200
        assert "bill_file_code" not in answer.node
        assert lines[0] == "#支付宝业务明细查询"
        assert lines[1] == f"#账号：[{pid}0156]"
        assert lines[2] == "#起始日期：[2026年11月23日 00:00:00]   终止日期：[2026年11月24日 00:00:00]"
        assert len(lines[4].split(",")) == len(payment) == len(given_back) == 25
        assert payment[1:4] == ["T1", "交易", "茶"]
        assert payment[6] == "S1"
        assert payment[11:18] == ["12.30", "10.00", "0.00", "0.00", "0.00", "2.30", "2.30"]
        assert given_back[2] == "退款"
        assert given_back[4] == payment[4]
        assert (given_back[11], given_back[12], given_back[21]) == ("-1.23", "-1.00", "R1")
        assert "#交易合计：1笔，商家实收共10.00元，商家优惠共2.30元" in lines
        assert "#退款合计：1笔，商家实收共-1.00元，商家优惠共0.00元" in lines
        assert "1,1,11.07,9.00" in files[f"{pid}0156_20261123_业务明细(汇总).csv"]


@pytest.mark.parametrize(("passed_ms", "status"), [(29_999, 200), (30_000, 403)])
async def test_alipays_link_lives_half_a_minute(tmp_path: Path, passed_ms: int, status: int) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        w.clock.advance(ALIPAY_READY_S * 1000)
        url = (await alipay_url(w)).node["bill_download_url"]
        w.clock.advance(passed_ms)

        got, _ = await fetched(w, url)

        assert got == status


async def test_an_empty_day_has_an_empty_bill_that_says_so(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        w.clock.advance(ALIPAY_READY_S * 1000)

        answer = await alipay_url(w)

        _, content = await fetched(w, answer.node["bill_download_url"])
        assert answer.node["bill_file_code"] == "EMPTY_DATA_WITH_BILL_FILE"
        assert any("#交易合计：0笔" in text for text in unzipped(content).values())


@pytest.mark.parametrize(
    ("bill_type", "bill_date", "passed_s", "code"),
    [
        ("trade", "2026-11-23", ALIPAY_READY_S - 1, "BILL_NOT_EXIST"),
        ("trade", "2026-11-23", ALIPAY_READY_S, "10000"),
        ("trade", "2026-11-24", ALIPAY_READY_S, "BILL_NOT_EXIST"),
        ("trade", "2026-11", 8 * DAY_S, "BILL_NOT_EXIST"),
        ("trade", "2026-11", 10 * DAY_S, "10000"),
        ("trade", "2026-11-22", ALIPAY_READY_S, "BILL_DATE_BEFORE_REGISTRATION"),
        ("trade", "2019-11-22", ALIPAY_READY_S, "BILL_NOT_EXIST"),
        ("trade", "20261123", ALIPAY_READY_S, "INVAILID_ARGUMENTS"),
        ("trade", "2026-02-30", ALIPAY_READY_S, "INVAILID_ARGUMENTS"),
        ("signcustomer", "2026-11-23", ALIPAY_READY_S, "TYPE_NOT_SUPPORTED"),
    ],
)
async def test_when_alipay_has_a_bill(tmp_path: Path, bill_type: str, bill_date: str, passed_s: int, code: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        w.clock.advance(passed_s * 1000)

        answer = await alipay_url(w, bill_date, bill_type)

        assert answer.code == code


@pytest.mark.parametrize("tar_type", ["", "&tar_type=GZIP"])
async def test_wechats_bill_lists_payments_and_refunds(tmp_path: Path, tar_type: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await coupon(w, "wechat")
        await w.pay(await code_url(w, detail=WECHAT_GOODS, description="茶,水", attach="a,b"))
        await refund(w, amount_fen=123)
        await later(w)
        w.clock.advance(WECHAT_READY_S * 1000)

        answer = await tradebill(w, f"bill_date=2026-11-23&bill_type=ALL{tar_type}")

        header, rows, summary_header, summary = table(await downloaded(w, answer))
        payment, given_back = (dict(zip(header, row, strict=True)) for row in rows)
        assert len(header) == 27
        assert payment["交易时间"] == "2026-11-23 12:00:00"
        assert payment["商户订单号"] == "T00001"
        assert (payment["商品名称"], payment["商户数据包"]) == ("茶,水", "a,b")
        assert (payment["交易类型"], payment["交易状态"], payment["特约商户号"]) == ("NATIVE", "SUCCESS", "0")
        assert (payment["订单金额"], payment["应结订单金额"], payment["代金券金额"]) == ("12.30", "10.00", "2.30")
        assert (given_back["交易状态"], given_back["退款状态"]) == ("REFUND", "SUCCESS")
        assert [given_back[name] for name in ("商户退款单号", "退款金额", "申请退款金额")] == ["R1", "1.00", "1.23"]
        assert (len(summary_header), summary) == (7, ["2", "10.00", "1.00", "0.00", "0.00000", "12.30", "1.23"])


async def test_wechats_bill_of_payments_has_twenty_columns(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await w.pay(await code_url(w))
        w.clock.advance(WECHAT_READY_S * 1000)

        answer = await tradebill(w, "bill_date=2026-11-23&bill_type=SUCCESS")

        header, rows, *_ = table(await downloaded(w, answer))
        assert (len(header), [len(row) for row in rows]) == (20, [20])


async def test_a_reversed_payment_is_in_the_bill_as_revoked(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await charge(w)
        await reverse(w)
        w.clock.advance(WECHAT_READY_S * 1000)

        answer = await tradebill(w)

        header, rows, *_ = table(await downloaded(w, answer))
        states = [dict(zip(header, row, strict=True))["交易状态"] for row in rows]
        assert states == ["SUCCESS", "REVOKED"]


async def test_wechats_flow_of_funds_adds_up(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await w.pay(await code_url(w))
        await refund(w)
        await later(w)
        w.clock.advance(WECHAT_READY_S * 1000)

        answer = await w.wechat().call("GET", "/v3/bill/fundflowbill?bill_date=2026-11-23&account_type=BASIC")

        header, rows, _, summary = table(await downloaded(w, answer))
        flows = [dict(zip(header, row, strict=True)) for row in rows]
        assert [(flow["收支类型"], flow["收支金额(元)"], flow["账户结余(元)"]) for flow in flows] == [
            ("收入", "12.30", "12.30"),
            ("支出", "2.30", "10.00"),
        ]
        assert summary == ["2", "1", "12.30", "1", "2.30"]


@pytest.mark.parametrize(
    ("query", "passed_s", "code"),
    [
        ("bill_date=2026-11-23", WECHAT_READY_S - 1, "STATEMENT_CREATING"),
        ("bill_date=2026-11-23", 0, "PARAM_ERROR"),
        ("bill_date=2026-11-22", WECHAT_READY_S, "NO_STATEMENT_EXIST"),
        ("bill_date=2026-08-01", 0, "PARAM_ERROR"),
        ("bill_date=20261123", WECHAT_READY_S, "PARAM_ERROR"),
        ("bill_type=ALL", WECHAT_READY_S, "PARAM_ERROR"),
        ("bill_date=2026-11-23&bill_type=NONE", WECHAT_READY_S, "PARAM_ERROR"),
        ("bill_date=2026-11-23&tar_type=ZIP", WECHAT_READY_S, "PARAM_ERROR"),
    ],
)
async def test_when_wechat_has_no_bill(tmp_path: Path, query: str, passed_s: int, code: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await w.pay(await code_url(w))
        w.clock.advance(passed_s * 1000)

        answer = await tradebill(w, query)

        assert (answer.status, answer.code) == (400, code)


@pytest.mark.parametrize(("passed_ms", "status"), [(299_999, 200), (300_000, 400)])
async def test_wechats_link_lives_five_minutes(tmp_path: Path, passed_ms: int, status: int) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await w.pay(await code_url(w))
        w.clock.advance(WECHAT_READY_S * 1000)
        where = urlsplit((await tradebill(w)).document["download_url"])
        w.clock.advance(passed_ms)

        file = await w.wechat().call("GET", f"/v3/billdownload/file?{where.query}")

        assert file.status == status


async def test_bills_have_bad_days_too(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await w.pay(await code_url(w))
        w.clock.advance(WECHAT_READY_S * 1000)
        fault: dict[str, Any] = {"wallet": "wechat", "operation": "bill", "fault": "system_error"}
        await w.post("/api/faults", **fault)

        first, second = await tradebill(w), await tradebill(w)

        assert (first.status, second.status) == (500, 200)
