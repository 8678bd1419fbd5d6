"""`/gatewayOpen.htm`: every call of the merchants' API (design 4)."""

import secrets
import time
from collections.abc import Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from opentill.base.errors import GatewayError
from opentill.base.logs import logger
from opentill.commands import registry
from opentill.commands.registry import Command, Replay
from opentill.protocol import reply
from opentill.protocol.forms import read_form
from opentill.protocol.params import read_values, read_version
from opentill.services import access, signatures
from opentill.services.deployment import Deployment
from opentill.services.refusals import RefusalLog
from opentill.services.replies import Asked
from opentill.storage.database import DatabaseOverloaded, DatabaseUnavailable
from opentill.web.bodies import BodyTooLarge, read_body
from opentill.web.source import source_ip

PATH = "/gatewayOpen.htm"
# protocol 1: which name was used is all a caller can see of us before it is known.
_UNKNOWN_COMMAND = "-"
_HEADERS = [(b"content-type", reply.CONTENT_TYPE.encode()), (b"cache-control", b"no-store")]

_log = logger("gateway")


class Gateway:
    """Answers calls; at most `max_open_requests` at a time, the rest get the busy error at once."""

    def __init__(self, deployment: Deployment, commands: Mapping[str, Command]) -> None:
        self._deployment = deployment
        self._commands = commands
        self._open_requests = 0
        self._refusals = RefusalLog(deployment)

    def routes(self) -> list[Route]:
        # Without a list of methods: a wrong one gets the protocol's own error, with HTTP 200 like every reply.
        return [Route(PATH, self)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application of its own: Starlette wraps functions, which costs as much as reading the form."""
        response = await self._admitted(Request(scope, receive, send))
        await response(scope, receive, send)

    async def _admitted(self, request: Request) -> ASGIApp:
        if self._open_requests >= self._deployment.settings.max_open_requests:
            error = GatewayError("BUSY")
            self._deployment.metrics.requests.labels(_UNKNOWN_COMMAND, str(error.number)).inc()
            return _Reply(reply.failure(error), {})
        self._open_requests += 1
        try:
            return await self._answer(request)
        finally:
            self._open_requests -= 1
            if not self._open_requests:
                self._deployment.replies.begin()

    async def _answer(self, request: Request) -> ASGIApp:
        started = time.monotonic()
        request_id = secrets.token_hex(8)
        call = _Call(request, request_id, source_ip(request, self._deployment.settings.trusted_proxies))
        headers = {"X-Request-Id": request_id}
        try:
            body, is_replay = await self._handle(call)
            if is_replay:
                headers["X-OpenTill-Replayed"] = "true"
            number = 0
        except GatewayError as error:
            body, number = reply.failure(error), error.number
            call.note = f"{error.name} {error.note}".strip()
            await self._keep(error, call)
            self._note(error, call)
        except (DatabaseUnavailable, DatabaseOverloaded) as error:
            is_nothing_done = isinstance(error, DatabaseOverloaded) and not call.has_begun
            refusal = GatewayError("BUSY" if is_nothing_done else "STORAGE_UNAVAILABLE")
            body, number = reply.failure(refusal), refusal.number
            call.note = str(error)
            self._note(refusal, call)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception:
            _log.exception("fault", request_id=request_id, command=call.command)
            refusal = GatewayError("SYSTEM_ERROR", request_id=request_id)
            body, number = reply.failure(refusal), refusal.number
            self._note(refusal, call)
        self._tell(call, number, time.monotonic() - started)
        return _Reply(body, headers)

    async def _handle(self, call: "_Call") -> tuple[bytes, bool]:
        deployment = self._deployment
        form = call.form = await call.read_form(deployment.settings.max_body_bytes)
        command = registry.find_command(self._commands, form)
        call.command, call.app = command.name, form.get("app", "")[:64]
        version = read_version(form)
        caller = await access.identify(
            deployment.parties,
            form,
            signed=command.signed,
            clock=deployment.clock,
            source_ip=call.source_ip,
            is_sandbox=deployment.is_sandbox,
        )
        call.asked = Asked(caller, command.name, form, call.request_id)
        access.check_command(caller.app, command.name)
        if command.sends_money_back:
            signatures.check_sends_money_back(caller, form, deployment.clock)
        if command.is_bound:
            signatures.check_not_opening(caller, form, signed=command.signed)
            await signatures.bind(deployment, caller, command.name, form)
        now_ms = deployment.clock.now_ms()
        asked = registry.Request(
            caller=caller, values=read_values(form, command.params), version=version, now_ms=now_ms
        )
        call.has_begun = True
        result = await command.handle(deployment, asked)
        replies = deployment.replies
        if isinstance(result, Replay):
            replies.answered(call.asked, "", {}, is_replay=True)
            return result.body, True
        values = {**result.values, "timestamp": str(deployment.clock.now_ms())}
        body = reply.success(values, command.all_reply_fields, version=version, key=deployment.platform_key)
        if result.keep is not None:
            await result.keep(body)
        # The request that made an order is on its timeline already; one about an order that exists is not.
        (replies.answered if command.is_bound else replies.opened)(call.asked, result.order_no, values)
        return body, False

    async def _keep(self, error: GatewayError, call: "_Call") -> None:
        try:
            await self._refusals.add(
                error, command=call.command, source_ip=call.source_ip, request_id=call.request_id, form=call.form
            )
        except (DatabaseUnavailable, DatabaseOverloaded):
            _log.warning("refusal not kept", request_id=call.request_id, code=error.number)

    def _note(self, error: GatewayError, call: "_Call") -> None:
        """For the timeline of the order that the call names, once it is known who called."""
        if call.asked is not None:
            self._deployment.replies.refused(call.asked, error)

    def _tell(self, call: "_Call", number: int, elapsed_s: float) -> None:
        metrics = self._deployment.metrics
        metrics.requests.labels(call.command, str(number)).inc()
        metrics.request_seconds.labels(call.command).observe(elapsed_s)
        _log.info(
            "request",
            request_id=call.request_id,
            command=call.command,
            app=call.app,
            code=number,
            note=call.note,
            elapsed_ms=round(elapsed_s * 1000, 1),
        )


class _Call:
    """One HTTP request and what is learnt of it for the log."""

    def __init__(self, request: Request, request_id: str, source: str) -> None:
        self._request = request
        self.request_id = request_id
        self.source_ip = source
        self.command = _UNKNOWN_COMMAND
        self.app = ""
        self.note = ""
        self.form: Mapping[str, str] = {}
        self.asked: Asked | None = None
        self.has_begun = False
        """Whether something of the call may have been done, so that it can't simply be repeated."""

    async def read_form(self, limit: int) -> dict[str, str]:
        request = self._request
        query: bytes = request.scope["query_string"]
        try:
            body = b"" if request.method == "GET" else await read_body(request, limit=limit)
        except BodyTooLarge as error:
            raise GatewayError("BODY_TOO_LARGE", limit=limit) from error
        content_type = request.headers.get("content-type", "").encode("latin-1")
        return read_form(request.method, query, content_type, body)


class _Reply:
    """A reply as bytes. Starlette's `Response` can say more, for 10 µs."""

    __slots__ = ("_body", "_headers")

    def __init__(self, body: bytes, headers: Mapping[str, str]) -> None:
        self._body = body
        self._headers = [
            *_HEADERS,
            *[(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
            (b"content-length", b"%d" % len(body)),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's own shape
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body})
