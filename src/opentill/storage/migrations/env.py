"""How Alembic reaches the database: everything in one transaction, which a second process waits for."""

import asyncio
import sqlite3

import asyncpg
from alembic import context
from sqlalchemy import Connection, Engine, create_engine, event, pool
from sqlalchemy.util.concurrency import greenlet_spawn

SQLITE_PREFIX = "sqlite:///"
LOCK_WAIT_S = 60.0
LOCK_KEY = 0x6F70656E74696C6C  # of PostgreSQL's advisory lock: "opentill"


def migrate(connection: Connection) -> None:
    """Run what is missing. The version is read inside the transaction, after whoever came first has committed."""
    with connection.begin():
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_WAIT_S:.0f}s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK_KEY})")
        context.configure(connection=connection, transactional_ddl=True)
        context.run_migrations()


def migrate_sqlite(url: str) -> None:
    path = url.removeprefix(SQLITE_PREFIX)
    engine = create_engine(
        "sqlite://",
        poolclass=pool.NullPool,
        # isolation_level: left alone, Python's sqlite3 commits before and after every CREATE.
        creator=lambda: sqlite3.connect(path, timeout=LOCK_WAIT_S, isolation_level=None),
    )

    @event.listens_for(engine, "begin")
    def _lock_at_once(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.connect() as connection:
        migrate(connection)


def migrate_postgres(url: str) -> None:
    # asyncpg reads the URL itself, so that it means here what it means when serving.
    engine: Engine = create_engine(
        "postgresql+asyncpg://",
        poolclass=pool.NullPool,
        # What `async_creator` of SQLAlchemy's asynchronous engine, which is not loaded here, stands for.
        creator=lambda: engine.dialect.dbapi.connect(async_creator_fn=lambda: asyncpg.connect(url)),  # type: ignore[union-attr]
    )
    with engine.connect() as connection:
        migrate(connection)


database_url: str = context.config.attributes["url"]
if database_url.startswith(SQLITE_PREFIX):
    migrate_sqlite(database_url)
else:
    # Not sqlalchemy.ext.asyncio: it loads the ORM, which takes longer than the migrations.
    asyncio.run(greenlet_spawn(migrate_postgres, database_url))
