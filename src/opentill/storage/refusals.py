"""SQL of refused calls: what an app's developer sees of the calls that were not accepted."""

from collections.abc import Collection

import msgspec

from opentill.storage.database import Database, Step, Value

_COLUMNS = "app_id, refusal_id, at_ms, app, command, number, name, message, source_ip, request_id, request, repeats"


class RefusedCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call and why it was refused. `request`: its parameters as JSON, secrets masked.

    `app_id` 0: no app of ours. `repeats`: at least so many more like it came in the same minute and were not kept.
    """

    app_id: int
    refusal_id: int
    at_ms: int
    app: str
    command: str
    number: int
    name: str
    message: str
    source_ip: str
    request_id: str
    request: str
    repeats: int


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which refused calls are asked for. `app_ids` None: of everybody, strangers too. Empty texts and 0: any."""

    app_ids: Collection[int] | None = None
    name: str = ""
    command: str = ""
    from_ms: int = 0
    to_ms: int = 0


def insert(call: RefusedCall) -> Step:
    return Step(
        f"INSERT INTO refused_calls ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        msgspec.structs.astuple(call),
        rows=1,
    )


def set_repeats(app_id: int, refusal_id: int, *, repeats: int) -> Step:
    """Any number of rows: it may have been pruned."""
    return Step(
        "UPDATE refused_calls SET repeats = $3 WHERE app_id = $1 AND refusal_id = $2", (app_id, refusal_id, repeats)
    )


def forget_before(*, at_ms: int) -> Step:
    return Step("DELETE FROM refused_calls WHERE at_ms < $1", (at_ms,))


async def find(database: Database, wanted: Filter, *, before_id: int, limit: int) -> list[RefusedCall]:
    """Newest first; `before_id` 0: from the newest, else from the one after that id."""
    if wanted.app_ids is not None and not wanted.app_ids:
        return []
    tests = ["true"]
    args: list[Value] = []

    def test(condition: str, *values: Value) -> None:
        args.extend(values)
        numbers = range(len(args) - len(values) + 1, len(args) + 1)
        tests.append(condition.format(*(f"${n}" for n in numbers)))

    if wanted.app_ids is not None:
        test(f"app_id IN ({', '.join('{}' for _ in wanted.app_ids)})", *sorted(wanted.app_ids))
    if wanted.name:
        test("name = {}", wanted.name)
    if wanted.command:
        test("command = {}", wanted.command)
    if wanted.from_ms:
        test("at_ms >= {}", wanted.from_ms)
    if wanted.to_ms:
        test("at_ms < {}", wanted.to_ms)
    if before_id:
        test("refusal_id < {}", before_id)
    rows = await database.read(
        f"SELECT {_COLUMNS} FROM refused_calls WHERE {' AND '.join(tests)} "
        f"ORDER BY refusal_id DESC LIMIT ${len(args) + 1}",
        *args,
        limit,
    )
    return [RefusedCall(**dict(row)) for row in rows]


async def one(database: Database, app_id: int, refusal_id: int) -> RefusedCall | None:
    row = await database.read_one(
        f"SELECT {_COLUMNS} FROM refused_calls WHERE app_id = $1 AND refusal_id = $2", app_id, refusal_id
    )
    return RefusedCall(**dict(row)) if row else None


async def counts_by_name(database: Database, app_ids: Collection[int] | None, *, from_ms: int) -> dict[str, int]:
    """How many were refused since then, by the error's name, the uncounted remainder included."""
    if app_ids is not None and not app_ids:
        return {}
    apps = sorted(app_ids or ())
    among = f"AND app_id IN ({', '.join(f'${n}' for n in range(2, len(apps) + 2))}) " if app_ids is not None else ""
    rows = await database.read(
        "SELECT name, CAST(count(*) + sum(repeats) AS BIGINT) AS calls FROM refused_calls "
        f"WHERE at_ms >= $1 {among}GROUP BY name ORDER BY calls DESC, name",
        from_ms,
        *apps,
    )
    return {row["name"]: row["calls"] for row in rows}
