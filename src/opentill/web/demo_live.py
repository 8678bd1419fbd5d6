"""What the demo pages watch in the sandbox: a receiver of notifications, and an order's state as it changes."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from opentill.base.errors import GatewayError
from opentill.domain.order import Order
from opentill.protocol.forms import read_form
from opentill.protocol.words import status_number
from opentill.services import notifications, orders
from opentill.services.deployment import Deployment
from opentill.services.replies import REPLIED
from opentill.storage.database import DatabaseOverloaded, DatabaseUnavailable
from opentill.web.bodies import BodyTooLarge, read_body
from opentill.web.timeline import word_of

RECEIVER_PATH = "/test/api/notify"

MAX_RECEIVED = 200
MAX_RECEIVED_BYTES = 16_384
MAX_ANSWER = 200
MAX_STREAMS = 64
STREAM_LIFE_S = 4.0
"""A stream ends by itself, so that a server that stops never waits long; the browser opens the next one."""
LOOK_EVERY_S = 0.25
BREATH_EVERY_LOOKS = 6
"""Looks without news before a comment is sent: it finds out whether the reader is still there."""


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """One form that the receiver got, exactly as it came, and what was answered."""

    at_ms: int
    body: str
    fields: dict[str, str]
    answer: str


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of an order at one moment. `order` is None while nobody has taken the number."""

    order: dict[str, Any] | None
    events: list[dict[str, Any]]
    notifications: list[dict[str, Any]]
    received: list[Received]


class Receiver:
    """Stands in for a merchant: remembers the latest forms and answers `success`, or what `?answer=` says."""

    def __init__(self, deployment: Deployment) -> None:
        self._clock = deployment.clock
        self._received: deque[Received] = deque(maxlen=MAX_RECEIVED)

    async def endpoint(self, request: Request) -> Response:
        try:
            body = await read_body(request, limit=MAX_RECEIVED_BYTES)
        except BodyTooLarge:
            return PlainTextResponse("too large", status_code=413)
        except ClientDisconnect:
            return Response(status_code=400)
        answer = request.query_params.get("answer", "success")[:MAX_ANSWER]
        content_type = request.headers.get("content-type", "").encode("latin-1")
        try:
            fields = read_form("POST", b"", content_type, body)
        except GatewayError:
            fields = {}  # kept all the same: what could not be read is worth seeing
        text = body.decode(errors="replace")
        self._received.append(Received(at_ms=self._clock.now_ms(), body=text, fields=fields, answer=answer))
        return PlainTextResponse(answer, headers={"X-Content-Type-Options": "nosniff"})

    def about(self, order_no: str) -> list[Received]:
        """What came about one order, oldest first."""
        return [received for received in self._received if received.fields.get("cbOrderNo") == order_no]


class LiveOrders:
    """`/test/api/status` and `/test/api/events`. Sandbox only: whoever asks is answered."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._receiver = Receiver(deployment)
        self._streams = 0

    def routes(self) -> list[Route]:
        return [
            Route(RECEIVER_PATH, self._receiver.endpoint, methods=["POST"]),
            Route("/test/api/status", self.status, methods=["GET"]),
            Route("/test/api/events", self.events, methods=["GET"]),
        ]

    async def status(self, request: Request) -> Response:
        try:
            return _json(await self._look(request))
        except (DatabaseUnavailable, DatabaseOverloaded):
            return JSONResponse({"error": "the database does not answer"}, status_code=503)

    async def events(self, request: Request) -> Response:
        """The same as server-sent events named `order`: one at once, then one per change."""
        if self._streams >= MAX_STREAMS:
            return JSONResponse({"error": "too many streams"}, status_code=503)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._changes(request), media_type="text/event-stream", headers=headers)

    async def _changes(self, request: Request) -> AsyncIterator[bytes]:
        # These waits pace a browser, not the business: they follow real time even where the clock stands still.
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + STREAM_LIFE_S
        self._streams += 1
        try:
            yield b"retry: 300\n\n"
            latest, quiet_looks = b"", 0
            while loop.time() < ends_at:
                document = msgspec.json.encode(await self._look(request))
                quiet_looks += 1
                if document != latest:
                    latest, quiet_looks = document, 0
                    yield b"event: order\ndata: " + document + b"\n\n"
                elif quiet_looks % BREATH_EVERY_LOOKS == 0:
                    yield b": still here\n\n"
                await asyncio.sleep(LOOK_EVERY_S)
        except (DatabaseUnavailable, DatabaseOverloaded):
            return  # the stream ends; the browser opens another one
        finally:
            self._streams -= 1

    async def _look(self, request: Request) -> Snapshot:
        query = request.query_params
        app = await self._deployment.parties.app(query.get("app", ""))
        names = {"order_no": query.get("order_no", ""), "local_order_no": query.get("local_order_no", "")}
        order = await orders.find_order(self._deployment, app.app_id, **names) if app and any(names.values()) else None
        if order is None:
            return Snapshot(order=None, events=[], notifications=[], received=[])
        events = await orders.timeline(self._deployment, order.app_id, order.order_no)
        told = await notifications.of_order(self._deployment, order.app_id, order.order_no)
        return Snapshot(
            order=_order_view(order),
            events=[
                {"at_ms": event.at_ms, "kind": event.kind, "word": word_of(event), "detail": event.detail}
                for event in events
                if event.kind != REPLIED  # the page shows its reply in full, above all this
            ],
            notifications=[_told_view(each) for each in told],
            received=self._receiver.about(order.order_no),
        )


def _order_view(order: Order) -> dict[str, Any]:
    """`status` is the protocol's number (4.8); amounts in fen, times in ms, 0 for not yet."""
    return {
        "order_no": order.order_no,
        "local_order_no": order.local_order_no,
        "channel_trade_no": order.channel_trade_no,
        "channel": order.channel,
        "state": order.state.value,
        "status": status_number(order.state, received_fen=order.received_fen, refunded_fen=order.refunded_fen),
        "amount_fen": order.amount_fen,
        "received_fen": order.received_fen,
        "discount_fen": order.discount_fen,
        "refunding_fen": order.refunding_fen,
        "refunded_fen": order.refunded_fen,
        "created_at_ms": order.created_at_ms,
        "expires_at_ms": order.expires_at_ms,
        "paid_at_ms": order.paid_at_ms,
    }


def _told_view(told: notifications.Told) -> dict[str, Any]:
    notification = told.notification
    return {
        "url": notification.url,
        "state": notification.state.value,
        "due_at_ms": notification.due_at_ms,
        "attempts": told.attempts,
    }


def _json(document: object) -> Response:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(msgspec.json.encode(document), media_type="application/json", headers=headers)
