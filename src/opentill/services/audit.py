"""Refusals that may be attacks are written down (protocol 8.4), a bounded number per app, kind and minute."""

from collections import Counter

from opentill.base.errors import GatewayError
from opentill.services.deployment import Deployment
from opentill.storage import history

AUDITED = frozenset(
    {
        "SIGN_INVALID",
        "SIGN_REUSED",
        "TIMESTAMP_INVALID",
        "TIMESTAMP_OUT_OF_RANGE",
        "APP_DISABLED",
        "TEST_IDENTITY_REFUSED",
        "OPERATOR_UNKNOWN",
        "OPERATOR_DISABLED",
        "COMMAND_NOT_ALLOWED",
        "SOURCE_NOT_ALLOWED",
        "NOTIFY_HOST_NOT_ALLOWED",
        "REFUND_REPEAT_DIFFERS",
        "REFUND_CEILING",
    }
)
PER_MINUTE = 20
"""Strangers can make us refuse as often as they like; they can't make the table grow as fast."""
MAX_COUNTED = 10_000


class AuditLog:
    """Writes refusals of one process."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._minute = 0
        self._counts: Counter[tuple[str, str]] = Counter()

    async def refused(self, error: GatewayError, *, app: str, command: str, source_ip: str) -> None:
        """Record a refusal if its kind is audited and this minute has room for it."""
        if error.name not in AUDITED or not self._has_room(app, error.name):
            return
        detail = {"command": command, "source": source_ip, "message": error.message}
        step = history.add_audit_event(
            now_ms=self._deployment.clock.now_ms(), actor=app, action=f"refused.{error.name}", subject=command,
            detail=detail,
        )  # fmt: skip
        await self._deployment.database.write([step])

    def _has_room(self, app: str, name: str) -> bool:
        minute = self._deployment.clock.now_ms() // 60_000
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
        if len(self._counts) >= MAX_COUNTED and (app, name) not in self._counts:
            return False
        self._counts[app, name] += 1
        return self._counts[app, name] <= PER_MINUTE
