"""The shell blocks of the manual that bring PostgreSQL back to a moment are run as they stand there."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.databases import PostgresCluster, _binary, _unprivileged
from tests.docs.pages import DOCS, code_blocks

MANUAL = (DOCS / "operations.md").read_text("utf-8")


@dataclass(frozen=True)
class Machine:
    """A database server in a folder of its own, and a shell in which the manual's words mean it."""

    folder: Path

    def run(self, script: str, **values: str) -> str:
        """What the script prints. Fails the test when a line of it fails."""
        environment = {
            "PATH": f"{Path(_binary('pg_ctl')).parent}:{os.environ['PATH']}",
            "PGDATA": str(self.folder / "data"),
            "ARCHIVE": str(self.folder / "archive"),
            "BACKUPS": str(self.folder / "backups"),
            "PGHOST": str(self.folder),
            "PGUSER": "postgres",
            "PGDATABASE": "postgres",
            **values,
        }
        # What pg_ctl starts keeps its standard output: into a file, or we would wait for its end.
        printed = self.folder / "printed"
        with printed.open("wb") as file:
            done = subprocess.run(
                [*_unprivileged(), "bash", "-euo", "pipefail", "-c", script],
                env=environment, stdout=file, stderr=subprocess.STDOUT, check=False, cwd=self.folder, timeout=120,
            )  # fmt: skip
        text = printed.read_text()
        assert done.returncode == 0, f"{script}\n{text}"
        return text

    def sql(self, statement: str) -> str:
        return self.run(f"psql --quiet --no-align --tuples-only --command {shlex.quote(statement)}").strip()


def blocks(heading: str) -> list[str]:
    """The shell blocks below a heading."""
    section = re.search(rf"^## {heading}$(.*?)(?=^## )", MANUAL, re.MULTILINE | re.DOTALL)
    assert section
    return [block for language, block in code_blocks(section[1]) if language == "sh"]


@pytest.fixture
def machine() -> Iterator[Machine]:
    cluster = PostgresCluster(is_durable=True)
    cluster.start()  # makes the folder and the data, owned by whom PostgreSQL runs as
    cluster.stop_server()
    assert cluster._folder is not None
    machine = Machine(cluster._folder)
    (machine.folder / "data" / "postgresql.auto.conf").write_text(
        f"listen_addresses = ''\nunix_socket_directories = '{machine.folder}'\n"
    )
    machine.run('pg_ctl --pgdata "$PGDATA" --wait --log started start')
    try:
        yield machine
    finally:
        machine.run('pg_ctl --pgdata "$PGDATA" --mode immediate --wait stop || true')
        cluster.stop()


def test_the_manuals_lines_bring_back_the_chosen_moment(machine: Machine) -> None:
    _, _, archive, backup = blocks("Backup")
    go_back, go_on = blocks("Point-in-time restore")
    machine.run(archive)
    machine.sql("CREATE TABLE orders (order_no BIGINT); INSERT INTO orders VALUES (1)")
    machine.run(backup)
    machine.sql("INSERT INTO orders VALUES (2)")
    moment = machine.sql("SELECT clock_timestamp()")
    machine.sql("DELETE FROM orders")
    base = machine.run('ls -d "$BACKUPS"/*').strip()

    machine.run(go_back, BASE=base, MOMENT=moment)
    seen = machine.sql("SELECT order_no FROM orders ORDER BY 1")
    machine.run(go_on)
    machine.sql("INSERT INTO orders VALUES (3)")

    assert seen.split() == ["1", "2"]
    assert machine.sql("SELECT order_no FROM orders ORDER BY 1").split() == ["1", "2", "3"]
    kept = machine.run('cat "$PGDATA/postgresql.auto.conf"')
    assert not re.search(r"^(restore|recovery)_", kept, re.MULTILINE)
