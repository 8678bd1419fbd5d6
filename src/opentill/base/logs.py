"""Logs: one JSON line per request, callback, delivery and job. No bodies, no secrets."""

import logging
import sys
from typing import TextIO

import structlog

# Field names whose values never reach a log line, whoever passes them by mistake.
_SECRET_NAMES = frozenset(
    {"key", "sign", "signature", "password", "pin", "token", "private_key", "authorization", "body"}
)


def configure(*, level: str = "info", stream: TextIO | None = None) -> None:
    """Write JSON lines of `level` and above to `stream` (default: standard error)."""
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_secrets,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=stream or sys.stderr),
        cache_logger_on_first_use=False,
    )


def logger(area: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of one area of the code, e.g. `gateway`, `notify`."""
    return structlog.get_logger(area=area)  # type: ignore[no-any-return]


def _without_secrets(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for name in _SECRET_NAMES & event.keys():
        event[name] = "***"
    return event
