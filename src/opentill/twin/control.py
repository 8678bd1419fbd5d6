"""Controls of the twin's world: faults, the clock."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opentill.twin.context import Context
from opentill.twin.faults import BadFault
from opentill.twin.travel import MAX_ADVANCE_S, Travel
from opentill.twin.web import Asked, answering, number_of, read_values, reply, truth_of

MAX_TIMES = 1_000_000
MAX_DELAY_S = 86_400


class Control:
    """The routes below `/api` that belong to the world around the wallets."""

    def __init__(self, twin: Context, travel: Travel) -> None:
        self._twin = twin
        self._travel = travel

    def routes(self) -> list[Route]:
        return [
            Route("/faults", answering(self.faults), methods=["GET", "POST", "DELETE"]),
            Route("/clock", answering(self.clock), methods=["GET", "POST"]),
        ]

    async def faults(self, request: Request) -> Response:
        """GET lists, DELETE clears; POST adds.

        `{"wallet", "operation", "fault", "times"? | "rate"?, "seed"?, "delay_s"?, "acts"?}`
        """
        if request.method == "DELETE":
            self._twin.faults.clear()
        elif request.method == "POST":
            self._add_fault(await read_values(request))
        return reply({"faults": self._twin.faults.listed()})

    async def clock(self, request: Request) -> Response:
        """GET tells the time; POST `{"advance_s"}` moves it forward and answers when everything is quiet again."""
        if request.method == "POST":
            values = await read_values(request)
            await self._travel.forward(number_of(values, "advance_s", most=MAX_ADVANCE_S) * 1000)
        return reply({"now_ms": self._twin.clock.now_ms(), "shift_ms": self._twin.clock.shift_ms})

    def _add_fault(self, values: dict[str, str]) -> None:
        try:
            self._twin.faults.add(
                wallet=values.get("wallet", ""),
                operation=values.get("operation", ""),
                fault=values.get("fault", ""),
                times=_number(values, "times", most=MAX_TIMES),
                rate=_rate(values),
                seed=_number(values, "seed", most=2**63) or 0,
                delay_s=_number(values, "delay_s", most=MAX_DELAY_S),
                acts=truth_of(values, "acts"),
            )
        except BadFault as error:
            raise Asked(400, "BAD_FAULT", str(error)) from None


def _number(values: dict[str, str], name: str, *, most: int) -> int | None:
    return number_of(values, name, most=most) if values.get(name) else None


def _rate(values: dict[str, str]) -> float | None:
    try:
        return msgspec.convert(values.get("rate") or None, float | None, strict=False)
    except msgspec.ValidationError:
        raise Asked(400, "BAD_FAULT", "rate is a number from 0 to 1") from None
