"""The clock: it moves forward only, from one due moment to the next, and the shift outlives a restart."""

from pathlib import Path

import pytest

from opentill.base.clock import MovableClock, frozen
from opentill.twin.app import Twin
from tests.twin.test_alipay_trades import qr_code
from tests.twin.test_wechat_refunds import paid, refund, refund_status
from tests.twin.test_wechat_trades import code_url
from tests.twin.world import NOON_MS, world


async def test_the_clock_tells_the_time_and_how_far_it_was_moved(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        before = await w.get("/api/clock")

        after = await w.post("/api/clock", advance_s=90)

        assert before == (200, {"now_ms": NOON_MS, "shift_ms": 0})
        assert after == (200, {"now_ms": NOON_MS + 90_000, "shift_ms": 90_000})


@pytest.mark.parametrize("advance_s", ["-1", "1.5", "", "x", "999999999999"])
async def test_the_clock_moves_forward_by_whole_seconds_only(tmp_path: Path, advance_s: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        status, answer = await w.post("/api/clock", advance_s=advance_s)

        assert (status, answer["error"]["code"]) == (400, "BAD_NUMBER")
        assert w.clock.now_ms() == NOON_MS


async def test_on_the_way_everything_happens_when_it_is_due(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        w.shop.answers = [(200, b"fail")] * 5
        await w.pay(await qr_code(w))

        await w.post("/api/clock", advance_s=86_400)

        times = [callback.form()["notify_time"][11:] for callback in w.shop.received]
        assert times == ["12:00:00", "12:04:00", "12:14:00", "12:24:00", "13:24:00", "15:24:00"]


async def test_refunds_succeed_and_are_announced_on_the_way(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await paid(w)
        await refund(w)

        await w.post("/api/clock", advance_s=5)

        assert await refund_status(w) == "SUCCESS"
        assert len(w.shop.received) == 1


class Neighbour:
    """Has something due an hour after noon, and notes when it was asked whether all is done."""

    def __init__(self, clock: MovableClock) -> None:
        self._clock = clock
        self.asked: list[int] = []

    async def quiet(self) -> None:
        self.asked.append(self._clock.now_ms() - NOON_MS)

    async def next_due_ms(self) -> int | None:
        due_ms = NOON_MS + 3_600_000
        return due_ms if self._clock.now_ms() < due_ms else None


async def test_moving_stops_where_a_neighbour_has_something_due_and_waits_for_it(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        neighbour = Neighbour(w.clock)
        w.twin.keep_pace_with(neighbour)

        await w.post("/api/clock", advance_s=7200)

        assert sorted(set(neighbour.asked)) == [0, 3_600_000, 7_200_000]


async def test_the_shift_outlives_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "twin.sqlite3"
    async with world(file) as w:
        code = await code_url(w)
        await w.post("/api/clock", advance_s=3600)

    shift_ms = Twin.stored_shift_ms(file)

    clock = MovableClock(shift_ms=shift_ms, source=frozen(NOON_MS))
    async with world(file, source=clock.now_ms) as w:
        assert shift_ms == 3_600_000
        assert (await w.pay(code))["status"] == "SUCCESS"


async def test_books_that_do_not_exist_have_no_shift(tmp_path: Path) -> None:
    (tmp_path / "empty.sqlite3").touch()

    assert Twin.stored_shift_ms(tmp_path / "nosuch.sqlite3") == 0
    assert Twin.stored_shift_ms(tmp_path / "empty.sqlite3") == 0
