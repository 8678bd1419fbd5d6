"""SQL of signature bindings: which command a compatible app's signature was first used with (protocol 8.1)."""

from opentill.storage.database import Database, Step


def bind(app_id: int, sign: str, *, command: str, expires_at_ms: int) -> Step:
    """Any number of rows: none when the signature was bound before."""
    return Step(
        "INSERT INTO sign_bindings (app_id, sign, command, expires_at_ms) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT DO NOTHING",
        (app_id, sign, command, expires_at_ms),
    )


async def bound_command(database: Database, app_id: int, sign: str) -> str | None:
    row = await database.read_one("SELECT command FROM sign_bindings WHERE app_id = $1 AND sign = $2", app_id, sign)
    return row["command"] if row else None


def forget_expired(*, now_ms: int) -> Step:
    return Step("DELETE FROM sign_bindings WHERE expires_at_ms < $1", (now_ms,))
