"""Time as a parameter (design 7, Clock)."""

import asyncio

import pytest

from opentill.base.clock import MovableClock, frozen


def test_a_frozen_clock_moves_only_when_told() -> None:
    clock = MovableClock(source=frozen(1_000))

    clock.advance(5)

    assert (clock.now_ms(), clock.shift_ms) == (1_005, 5)


def test_it_never_goes_back() -> None:
    times = iter([1_000, 900, 1_001])
    clock = MovableClock(source=lambda: next(times))

    assert [clock.now_ms() for _ in range(3)] == [1_000, 1_000, 1_001]
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)


async def test_a_wait_ends_when_the_clock_gets_there() -> None:
    clock = MovableClock(source=frozen(0))
    waiting = asyncio.create_task(clock.wait_until(100))

    clock.advance(99)
    await asyncio.sleep(0)
    assert not waiting.done()

    clock.advance(1)
    await waiting


async def test_a_wait_ends_early_when_woken() -> None:
    clock = MovableClock(source=frozen(0))
    wake = asyncio.Event()
    waiting = asyncio.create_task(clock.wait_until(1_000_000, wake))
    await asyncio.sleep(0)

    wake.set()

    await waiting
    assert clock.now_ms() == 0


async def test_a_time_that_has_come_is_not_waited_for() -> None:
    await MovableClock(source=frozen(10)).wait_until(10)
