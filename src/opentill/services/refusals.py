"""The integration log: every refused call is kept for its developer (protocol 8.4), a bounded number per minute."""

from collections.abc import Mapping

import msgspec

from opentill.base.errors import GatewayError
from opentill.domain.parties import App
from opentill.services.deployment import Deployment
from opentill.services.words import kept_form
from opentill.storage import refusals as rows
from opentill.storage.history import new_event_id

PER_MINUTE = 20
"""Kept per app and kind of refusal. Strangers can make us refuse as often as they like; the table grows no faster."""
MAX_COUNTED = 10_000


class _Count:
    """Refusals of one kind in one minute."""

    def __init__(self) -> None:
        self.seen = 0
        self.last_id = 0


class RefusalLog:
    """Writes the refusals of one process. What accepted calls cost does not change."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._minute = 0
        self._counts: dict[tuple[int, str], _Count] = {}

    async def add(
        self,
        error: GatewayError,
        *,
        command: str,
        source_ip: str,
        request_id: str,
        form: Mapping[str, str],
    ) -> None:
        """Keep a refused call, or count it when this minute has no more room for its kind."""
        app = await self._app_of(error, form)
        app_id = app.app_id if app else 0
        count = self._count(app_id, error.name)
        if count is None:
            return
        count.seen += 1
        if count.seen > PER_MINUTE:
            await self._count_up(app_id, count)
            return
        now_ms = self._deployment.clock.now_ms()
        count.last_id = new_event_id(now_ms)
        call = rows.RefusedCall(
            app_id=app_id,
            refusal_id=count.last_id,
            at_ms=now_ms,
            app=form.get("app", "")[:64],
            command=command,
            number=error.number,
            name=error.name,
            message=error.message,
            source_ip=source_ip,
            request_id=request_id,
            request=msgspec.json.encode(kept_form(form, app)).decode(),
            repeats=0,
        )
        await self._deployment.database.write([rows.insert(call)])

    async def _app_of(self, error: GatewayError, form: Mapping[str, str]) -> App | None:
        """None: a stranger's. All strangers share one count, for they can think up names without end."""
        if error.name == "APP_UNKNOWN" or not form.get("app"):
            return None
        app = await self._deployment.parties.app(form["app"])
        return None if app is None or app.is_internal else app

    def _count(self, app_id: int, name: str) -> _Count | None:
        minute = self._deployment.clock.now_ms() // 60_000
        if minute != self._minute:
            self._minute = minute
            self._counts = {}
        if len(self._counts) >= MAX_COUNTED and (app_id, name) not in self._counts:
            return None
        return self._counts.setdefault((app_id, name), _Count())

    async def _count_up(self, app_id: int, count: _Count) -> None:
        """The remainder is written at 1, 2, 4, 8, … more: seldom, and never more than half of it is missing."""
        more = count.seen - PER_MINUTE
        if more & (more - 1) == 0:
            await self._deployment.database.write([rows.set_repeats(app_id, count.last_id, repeats=more)])
