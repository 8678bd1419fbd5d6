"""Orders as files: complete, readable by spreadsheets, harmless in them, and noted in the audit log."""

import csv
import io
import tracemalloc
import zipfile
from xml.etree import ElementTree as ET

import pytest

from opentill.domain.order import Order
from opentill.domain.people import Role
from opentill.services import audit, exports
from opentill.services.directory import directory
from opentill.services.exports import Export, Words
from opentill.services.search import scope_of
from opentill.storage import exports as rows
from opentill.storage.search import OrderFilter
from tests.databases import on_both_engines
from tests.orders import paid, scanned
from tests.web.console.kit import OTHER_MERCHANT_ID, Console, at, console
from tests.web.console.things import their_order

_CELL = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def read_xlsx(content: bytes) -> list[list[str]]:
    """The texts and numbers of the sheet, row by row; formulas would be seen as such."""
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        sheet = ET.fromstring(book.read("xl/worksheets/sheet1.xml"))
    assert sheet.findall(f".//{_CELL}f") == []
    return [["".join(cell.itertext()) for cell in row.iter(f"{_CELL}c")] for row in sheet.iter(f"{_CELL}row")]


async def download(c: Console, kind: str, *, as_: Role = Role.OWNER, export_id: str = "7", **filters: str) -> bytes:
    """The file as the browser gets it."""
    form = {"export_id": export_id, "format": kind, "csrf_token": await c.csrf_token(as_), **filters}
    cookie = f"{c.cookies.session_name}={await c.token_of(as_)}"
    url = f"{c.world.base_url}/console/orders/export"
    async with c.world.http.post(url, data=form, headers={"Cookie": cookie}) as reply:
        assert reply.status == 200
        return await reply.read()


@on_both_engines
async def test_a_csv_file_has_every_order_that_the_list_has(engine: str) -> None:
    async with console(engine) as c:
        waiting = (await scanned(c.world, channel=2, amount=100, local_order_no="MY-1")).order_no
        order_no = await paid(c.world, amount=123456, subject="一杯拿铁")

        found = read_csv((await download(c, "csv")).decode())
        only_paid = read_csv((await download(c, "csv", export_id="8", state="received")).decode())

        head = c.texts["exports"]
        assert [row[head["column_order_no"]].strip() for row in found] == [order_no, waiting]
        assert found[0][head["column_amount"]] == "1234.56"
        assert found[0][head["column_status"]] == c.texts["order_status"]["paid"]
        assert found[1][head["column_local_order_no"]] == "MY-1"
        assert len(only_paid) == 1


@on_both_engines
async def test_an_xlsx_file_has_numbers_as_numbers_and_long_numbers_as_text(engine: str) -> None:
    async with console(engine) as c:
        order_no = await paid(c.world, amount=123456)

        sheet = read_xlsx(await download(c, "xlsx"))

        assert sheet[0] == [c.texts["exports"][f"column_{name}"] for name in exports.COLUMNS]
        row = dict(zip(exports.COLUMNS, sheet[1], strict=True))
        assert (row["order_no"], row["amount"]) == (order_no, "1234.56")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", '=cmd|" /C calc"!A0'])
async def test_what_a_merchant_wrote_is_never_a_formula(text: str) -> None:
    async with console() as c:
        await scanned(c.world, subject=text)

        (row,) = read_csv((await download(c, "csv")).decode())
        sheet = read_xlsx(await download(c, "xlsx", export_id="8"))

        assert row[c.texts["exports"]["column_subject"]] == f"'{text}"
        assert text in sheet[1]


async def test_long_numbers_are_not_rounded_by_spreadsheets() -> None:
    async with console() as c:
        await scanned(c.world, local_order_no="123456789012345678")

        (row,) = read_csv((await download(c, "csv")).decode())

        assert row[c.texts["exports"]["column_local_order_no"]] == "123456789012345678\t"


async def test_an_export_has_nothing_of_another_merchant() -> None:
    async with console() as c:
        mine, theirs = (await scanned(c.world)).order_no, (await their_order(c)).order_no

        text = (await download(c, "csv", as_=Role.MANAGER)).decode()
        everything = (await download(c, "csv", export_id="8")).decode()

        assert (mine in text, theirs in text) == (True, False)
        assert theirs in everything


async def test_an_export_is_audited_and_tells_its_owner_how_far_it_is() -> None:
    async with console() as c:
        await scanned(c.world)

        before = await c.get("/orders/exports?id=7")
        await download(c, "csv", state="open")

        entry = (await c.world.rows("SELECT actor, detail FROM audit_events WHERE action = 'order.export'"))[0]
        assert (entry["actor"], '"state":"open"' in entry["detail"]) == ("owner", True)
        assert 'data-state="none"' in before.text
        assert 'data-state="done"' in (await c.get("/orders/exports?id=7")).text
        assert 'data-state="none"' in (await c.get("/orders/exports?id=7", as_=Role.MANAGER)).text
        assert await audit.verify_chain(c.world.database) is None


async def test_the_same_form_sent_twice_exports_once() -> None:
    async with console() as c:
        await download(c, "csv")

        again = await c.post("/orders/export", {"export_id": "7", "format": "csv"})

        assert (again.status, again.location) == (303, "/orders")


async def test_a_file_that_is_cut_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with console() as c:
        monkeypatch.setitem(exports.MOST_ROWS, "csv", 2)
        for _ in range(3):
            await scanned(c.world)

        found = read_csv((await download(c, "csv")).decode())

        created = c.texts["exports"]["column_created"]
        assert [bool(row[c.texts["exports"]["column_order_no"]]) for row in found] == [True, True, False]
        assert found[-1][created] == c.texts["exports"]["cut"].format(count=2)


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
async def test_memory_does_not_grow_with_the_file(kind: str) -> None:
    async with console() as c:
        order = await their_order(c)
        await _copies(c, order, 6_000)
        export = Export(
            export_id=7,
            scope=await scope_of(c.world.database, None),
            wanted=OrderFilter(),
            names=await directory(c.world.database, None),
            words=_words(c),
        )
        await c.world.database.write([rows.begin(7, 1, now_ms=1)])
        most, size = 0, 0

        tracemalloc.start()
        async for piece in exports.FORMATS[kind](c.world.deployment, export):
            size += len(piece)
            most = max(most, tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

        assert size > 100_000
        assert most < 16_000_000
        told = await rows.of_user(c.world.database, 7, 1)
        assert told is not None
        assert (told.state, told.rows_done) == (rows.DONE, 6_001)


async def _copies(c: Console, order: Order, count: int) -> None:
    """More orders like this one, made quickly."""
    columns = "local_order_no, attempt, merchant_id, store_id, operator_id, account_id, channel, way, state, amount_fen"
    more = "subject, goods, notify_url, device_create_ip, created_at_ms, expires_at_ms"
    await c.world.change(
        f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
        f"INSERT INTO orders (app_id, order_no, {columns}, {more}) SELECT app_id, substr(order_no, 1, 22) || "
        f"substr('0000000' || i, -7) || 'x', 'copy' || i, {columns.removeprefix('local_order_no, ')}, {more} "
        "FROM orders, n WHERE order_no = $1",
        order.order_no,
    )


def _words(c: Console) -> Words:
    t = c.texts
    return Words(
        columns={name: t["exports"][f"column_{name}"] for name in exports.COLUMNS},
        wallets={1: "支付宝", 2: "微信支付"},
        ways=dict.fromkeys(("SCAN", "BARCODE", "H5", "MP"), "x"),
        statuses=t["order_status"],
        cut=t["exports"]["cut"],
    )


async def test_people_without_the_right_cannot_export() -> None:
    async with console() as c:
        answers = [
            (await c.post("/orders/export", {"export_id": "7", "format": "csv"}, as_=as_)).status
            for as_ in (Role.CASHIER, Role.READER, at(Role.DEVELOPER, OTHER_MERCHANT_ID))
        ]

        assert answers == [403, 403, 403]
