"""The table of limits, waits and lifetimes in the operations page, as they are in the code."""

from opentill.base import outbound
from opentill.base.config import Settings
from opentill.cli import connections, serve, server
from opentill.cli.reference_markdown import ENGLISH, code, duration, table
from opentill.commands import barcode
from opentill.domain import notification, order, parties, refund
from opentill.services import access, asking, notifications, opening, places, replies
from opentill.storage import sessions, sqlite
from opentill.worker import loop, notify, poll
from opentill.worker import refund as refund_job


def limits_table() -> str:
    """What, how much, what happens beyond it."""
    groups = (_requests(), _wallets(), _orders(), _merchants(), _databases())
    return table(("What", "How much", "And then"), [row for rows in groups for row in rows])


Rows = tuple[tuple[str, str, str], ...]


def _requests() -> Rows:
    return (
        (
            "Requests at the same time, per process",
            _setting("max_open_requests"),
            "error `BUSY` at once; nothing was done",
        ),
        ("Body of a request or callback", f"{_setting('max_body_bytes')} bytes", "error `BODY_TOO_LARGE`"),
        ("Connections open, per process", _setting("max_connections"), "error `BUSY`, pages 503; nothing was done"),
        ("Connections beyond that are still told so", str(connections.MAX_REFUSING), "more are closed at once"),
        ("Connections waiting to be accepted", str(server.BACKLOG), "the system refuses them"),
        ("Request line and headers", f"{connections.MAX_HEAD_BYTES} bytes", "HTTP 400, closed"),
        ("A request arrives within", _s(connections.ARRIVAL_TIMEOUT_S), "closed; nothing was done"),
        ("A connection is kept for the next request", _s(connections.KEEP_ALIVE_S), "closed"),
        ("Kept connections are still answered after SIGTERM", _s(server.FAREWELL_S), "closed"),
        ("Finishing what was begun, at a stop", f"{server.GRACE_S} s", "cut off; the worker settles what is open"),
        ("A change of an app, cashier or account is felt after", _ms(2 * access.VERSION_CHECK_MS), ""),
    )


def _wallets() -> Rows:
    return (
        ("One answer of a wallet", f"{_setting('wallet_timeout_s')} s", "unknown; asked again"),
        ("One answer while a query waits", _s(asking.QUERY_TIMEOUT_S), "the database answers"),
        ("An answer counts as fresh for", _ms(asking.FRESH_MS), "a query asks the wallet anew"),
        ("Connections to wallets", f"{places.PER_WALLET} for each of them", "the worker's calls wait"),
        (
            "Calls waiting for one wallet, whatever for, per process",
            str(places.PER_WALLET),
            "error `BUSY` at once; nothing was done, and the other wallet is not concerned",
        ),
    )


def _orders() -> Rows:
    return (
        ("Life of an order", _ms(parties.DEFAULT_ORDER_LIFE_MS), "closed at the wallet, then here"),
        ("A QR code is dead for certain, after its life", _ms(order.DEAD_MARGIN_MS), "an unknown trade is closed here"),
        ("A charge of a payment code", _ms(barcode.LIFE_MS), "undone at the wallet"),
        ("A CREATED order belongs to its request for", _ms(opening.CREATE_LEASE_MS), "the worker asks the wallet"),
        ("A lease of the worker", _ms(poll.LEASE_MS), "another worker takes over"),
        ("A refund waits for certainty before it answers 4", _ms(asking.REFUND_WAIT_MS), "the worker goes on"),
        ("A refund without an end", _ms(refund.STUCK_AFTER_MS), "alarm; it is still asked about"),
    )


def _merchants() -> Rows:
    return (
        ("Connecting to a merchant", _s(notification.CONNECT_TIMEOUT_S), "the attempt failed"),
        ("A merchant's whole answer", _s(notification.TOTAL_TIMEOUT_S), "the attempt failed"),
        ("What is read of it", f"{notifications.MAX_ANSWER_BYTES} bytes", "not `success`"),
        ("Attempts", str(len(notification.WAITS_MS) + 1), "the notification is dead; alarm"),
        ("Connections to merchants, in all / per host", _connections(), "the others wait"),
        ("Attempts at the same time, per receiving host", str(notify.PER_RECEIVER), "the others wait"),
        ("Questions at the same time, per app", str(poll.PER_ACCOUNT), "the others wait"),
        ("Refunds at the same time, per app", str(refund_job.PER_APP), "the others wait"),
        ("Work under way, per kind and process", str(loop.MAX_IN_FLIGHT), "the rest waits"),
    )


def _databases() -> Rows:
    return (
        ("PostgreSQL does not answer at a start", _s(serve.DATABASE_PATIENCE_S), "the process ends with exit code 1"),
        ("PostgreSQL connections, per process", _setting("database_connections"), "work waits, see below"),
        ("Waiting for a connection", f"{sessions.MAX_WAITING}, {_s(sessions.MAX_WAIT_S)}", "error `BUSY`"),
        ("A statement / a lock on PostgreSQL", _statements(), "error `STORAGE_UNAVAILABLE`"),
        ("SQLite: writes waiting", str(sqlite.MAX_WAITING_UNITS), "error `BUSY`"),
        (
            "Replies waiting for their orders' timelines, per process",
            str(replies.MAX_WAITING),
            "not shown there; `opentill_replies_not_kept` counts them",
        ),
        ("Replies of one interface kept for one order, per process", str(replies.MAX_ROWS), "not shown there"),
        ("SQLite: another process writes", _ms(sqlite.BUSY_TIMEOUT_MS), "error `STORAGE_UNAVAILABLE`"),
    )


def _setting(name: str) -> str:
    variable = f"{Settings.model_config.get('env_prefix', '')}{name}".upper()
    return f"{code(variable)}, default {Settings.model_fields[name].default:g}"


def _connections() -> str:
    return f"{outbound.MAX_CONNECTIONS} / {outbound.MAX_CONNECTIONS_PER_HOST}"


def _statements() -> str:
    return f"{_ms(sessions.STATEMENT_TIMEOUT_MS)} / {_ms(sessions.LOCK_TIMEOUT_MS)}"


def _ms(ms: int) -> str:
    return duration(ms, ENGLISH)


def _s(seconds: float) -> str:
    return duration(round(seconds * 1000), ENGLISH)
