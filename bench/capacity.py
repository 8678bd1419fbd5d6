"""`python -m bench.capacity`: how many machines so many orders per second take, and what gives way first.

Reads `figures.toml` (measured and assumed numbers, apart) and writes the tables of docs/scale.md, in both languages,
and its picture. Standard library only.
"""

import argparse
import heapq
import math
import random
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
FIGURES = HERE / "figures.toml"
PAGES = {"en": "scale.md", "zh": "scale.zh-CN.md"}
PICTURE = "images/scale.svg"
RATES = (10, 100, 1_000, 10_000, 100_000, 583_000)
"""Orders per second. The last is the largest peak made public (docs/scale.md names the source)."""
PAGE_BYTES = 8192
SHORT_WAIT_MS = 1.0
SIMULATED_UNITS = 40_000
SEED = 1


@dataclass(frozen=True)
class Figures:
    """Of one order's whole life unless the name says otherwise; µs are of CPU where the name does not say time."""

    scan_us: float
    callback_and_notification_us: float
    query_us: float
    database_us: float
    wal_bytes: float
    row_bytes: float
    sqlite_bytes: float
    round_trips: float
    commits: float
    queries: float
    utilisation: float
    round_trip_time_us: float
    commit_time_us: float
    counter_lock_time_us: float
    cores_per_node: float
    wal_bytes_per_s_per_node: float
    writes_per_s_per_node: float
    flushes_per_s_per_node: float
    connections_per_node: float
    page_writes_factor: float
    peak_hours_per_day: float

    @property
    def web_us(self) -> float:
        return self.scan_us + self.callback_and_notification_us + self.queries * self.query_us

    @property
    def per_web_core(self) -> float:
        """Orders per second of one core that is as busy as we want it."""
        return self.utilisation * 1e6 / self.web_us

    @property
    def per_database_core(self) -> float:
        return self.utilisation * 1e6 / self.database_us

    @property
    def held_us(self) -> float:
        """How long one order keeps a connection, all its units together."""
        return self.round_trips * self.round_trip_time_us + self.commits * self.commit_time_us + self.database_us

    @property
    def per_counter(self) -> float:
        """Payments per second that one row of the statistics takes: each holds it until its commit is durable."""
        return 1e6 / self.counter_lock_time_us


@dataclass(frozen=True)
class Demand:
    """What a rate takes. `nodes` is the largest of `shares`, which name what each resource alone would take."""

    rate: int
    web_cores: int
    database_cores: int
    connections: int
    wal_bytes_per_s: float
    writes_per_s: float
    bytes_per_day: float
    counters: int
    nodes: int
    first: str


def read_figures(path: Path = FIGURES) -> Figures:
    tables = tomllib.loads(path.read_text("utf-8"))
    return Figures(**tables["measured"], **tables["assumed"])


def demand(figures: Figures, rate: int) -> Demand:
    """What so many orders per second take, at the wanted utilisation."""
    pages = rate * figures.row_bytes / PAGE_BYTES * figures.page_writes_factor
    connections = rate * figures.held_us / 1e6 / figures.utilisation
    cores = rate / figures.per_database_core
    shares = {
        "cores": cores / figures.cores_per_node,
        "wal": rate * figures.wal_bytes / figures.wal_bytes_per_s_per_node,
        "writes": pages / (figures.writes_per_s_per_node - figures.flushes_per_s_per_node),
        "connections": connections / figures.connections_per_node,
    }
    first = max(shares, key=lambda name: shares[name])
    nodes = math.ceil(shares[first])
    return Demand(
        rate=rate,
        web_cores=math.ceil(rate / figures.per_web_core),
        database_cores=math.ceil(cores),
        connections=math.ceil(connections),
        wal_bytes_per_s=rate * figures.wal_bytes,
        # Commits that come together are flushed together.
        writes_per_s=pages + min(rate * figures.commits, nodes * figures.flushes_per_s_per_node),
        bytes_per_day=rate * figures.row_bytes * figures.peak_hours_per_day * 3600,
        counters=math.ceil(rate / figures.per_counter),
        nodes=nodes,
        first=first,
    )


def most_of_a_node(figures: Figures) -> int:
    """Orders per second of one database node, in hundreds."""
    hundreds = 1
    while demand(figures, (hundreds + 1) * 100).nodes == 1:
        hundreds += 1
    return hundreds * 100


def smallest_pool(figures: Figures) -> int:
    """Connections with which one unit in a hundred waits no longer than SHORT_WAIT_MS."""
    connections = 1
    while wait_p99_ms(figures, connections) > SHORT_WAIT_MS:
        connections += 1
    return connections


def wait_p99_ms(figures: Figures, connections: int, *, seed: int = SEED) -> float:
    """How long one unit in a hundred waits in a process that is as busy as we want it: a simulation.

    Units come at random, keep a connection for a random time of the mean that the figures give, and queue in order.
    """
    chance = random.Random(seed)
    gap_s = 1 / (figures.per_web_core * figures.commits)
    held_s = figures.held_us / figures.commits / 1e6
    free_at = [0.0] * connections
    now_s = 0.0
    waits = []
    for _ in range(SIMULATED_UNITS):
        now_s += chance.expovariate(1 / gap_s)
        start_s = max(now_s, heapq.heappop(free_at))
        waits.append(start_s - now_s)
        heapq.heappush(free_at, start_s + chance.expovariate(1 / held_s))
    return sorted(waits)[len(waits) * 99 // 100] * 1000


_HEADS = {
    "en": {
        "growth": ("Orders/s", "Web cores", "Database cores", "Connections busy", "WAL", "Writes/s", "Rows per day",
                   "Database nodes", "First to give way", "Counter rows"),
        "one": ("One …", "carries"),
    },
    "zh": {
        "growth": ("每秒订单", "网关核数", "数据库核数", "占用连接", "WAL", "每秒写盘", "每日数据",
                   "数据库节点", "最先不足", "统计行"),
        "one": ("一个……", "可承受"),
    },
}  # fmt: skip
_WORDS = {
    "en": {
        "cores": "cores", "wal": "WAL", "writes": "disk writes", "connections": "connections",
        "web core": "web core", "database core": "database core", "SQLite": "process with SQLite",
        "node": "database node of {cores} cores", "counter": "row of the statistics (one cashier, one wallet)",
        "pool": "pool of {pool} connections: 99 of 100 units wait less than {wait} ms",
        "rate": "{rate} orders/s", "payments": "{rate} payments/s",
    },
    "zh": {
        "cores": "核数", "wal": "WAL", "writes": "写盘", "connections": "连接",
        "web core": "网关核", "database core": "数据库核", "SQLite": "使用SQLite的进程",
        "node": "{cores}核的数据库节点", "counter": "统计行（一名收银员、一个钱包）",
        "pool": "{pool}个连接的池：百分之九十九的事务等待不到{wait}毫秒",
        "rate": "每秒{rate}笔订单", "payments": "每秒{rate}笔付款",
    },
}  # fmt: skip


def tables(figures: Figures, language: str) -> dict[str, str]:
    """The tables of the page by name."""
    words = _WORDS[language]
    rows = [
        (
            f"{each.rate:,}", f"{each.web_cores:,}", f"{each.database_cores:,}", f"{each.connections:,}",
            f"{_size(each.wal_bytes_per_s)}/s", f"{each.writes_per_s:,.0f}", _size(each.bytes_per_day),
            f"{each.nodes:,}", words[each.first], f"{each.counters:,}",
        )
        for each in (demand(figures, rate) for rate in RATES)
    ]  # fmt: skip
    return {
        "growth": _table(_HEADS[language]["growth"], rows),
        "one": _table(_HEADS[language]["one"], _ones(figures, words)),
    }


def _ones(figures: Figures, words: Mapping[str, str]) -> list[tuple[str, str]]:
    def text(name: str, **values: object) -> str:
        return words[name].format(**values)

    return [
        (text("web core"), text("rate", rate=f"{figures.per_web_core:,.0f}")),
        (text("SQLite"), text("rate", rate=f"{figures.per_web_core:,.0f}")),
        (text("database core"), text("rate", rate=f"{figures.per_database_core:,.0f}")),
        (text("node", cores=f"{figures.cores_per_node:.0f}"), text("rate", rate=f"{most_of_a_node(figures):,}")),
        (text("counter"), text("payments", rate=f"{figures.per_counter:,.0f}")),
        (
            text("pool", pool=str(smallest_pool(figures)), wait=f"{SHORT_WAIT_MS:.0f}"),
            text("rate", rate=f"{figures.per_web_core:,.0f}"),
        ),
    ]


def picture(figures: Figures) -> str:
    """Both axes by powers of ten."""
    lines: list[tuple[str, str, Callable[[Demand], int]]] = [
        ("web cores", "#2563eb", lambda each: each.web_cores),
        ("database cores", "#d97706", lambda each: each.database_cores),
        ("database nodes", "#059669", lambda each: each.nodes),
    ]
    rates = [10 * 10 ** (step / 8) for step in range(39)]
    drawn = []
    for name, colour, get in lines:
        points = [(rate, max(get(demand(figures, round(rate))), 1)) for rate in rates]
        path = " ".join(f"{_x(rate):.0f},{_y(value):.0f}" for rate, value in points)
        last_rate, last = points[-1]
        drawn.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{_x(last_rate) + 6:.0f}" y="{_y(last) + 4:.0f}" fill="{colour}">{name}</text>'
        )
    grid = [
        f'<line x1="{_x(10**power)}" y1="20" x2="{_x(10**power)}" y2="320" stroke="#e2e8f0"/>'
        f'<text x="{_x(10**power)}" y="338" text-anchor="middle">{10**power:,}</text>'
        for power in range(1, 7)
    ] + [
        f'<line x1="60" y1="{_y(10**power):.0f}" x2="560" y2="{_y(10**power):.0f}" stroke="#e2e8f0"/>'
        f'<text x="52" y="{_y(10**power) + 4:.0f}" text-anchor="end">{10**power:,}</text>'
        for power in range(5)
    ]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 370" font-family="sans-serif" font-size="12" '
        f'fill="#475569"><title>Cores and nodes against orders per second</title>{"".join(grid)}{"".join(drawn)}'
        f'<text x="310" y="360" text-anchor="middle">orders per second</text></svg>\n'
    )


def filled(page: str, language: str, figures: Figures) -> str:
    """The page with every table between its marks written anew."""
    for name, table in tables(figures, language).items():
        page, count = re.subn(
            rf"(<!-- table {name} -->\n).*?(<!-- end -->)",
            lambda found, table=table: f"{found[1]}{table}\n{found[2]}",  # type: ignore[misc]
            page,
            flags=re.DOTALL,
        )
        assert count == 1, f"the page has {count} places for the table {name}"
    return page


def _x(rate: float) -> float:
    return 60 + 100 * (math.log10(rate) - 1)


def _y(value: float) -> float:
    return 320 - 70 * math.log10(value)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---:" if number else "---" for number in range(len(heads))], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _size(count: float) -> str:
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} PB"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.capacity")
    parser.add_argument("--write", action="store_true", help="write the tables and the picture into docs/")
    figures = read_figures()
    if parser.parse_args().write:
        for language, name in PAGES.items():
            path = DOCS / name
            path.write_text(filled(path.read_text("utf-8"), language, figures), encoding="utf-8")
        (DOCS / PICTURE).write_text(picture(figures), encoding="utf-8")
    print("\n\n".join(tables(figures, "en").values()))


if __name__ == "__main__":
    main()
