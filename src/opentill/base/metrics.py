"""Metrics, in Prometheus form at `GET /metrics`. Every metric is declared here and nowhere else."""

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.metrics import MetricWrapperBase

# A creation time beside every counter doubles the text and says nothing.
disable_created_metrics()  # type: ignore[no-untyped-call]

_LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "opentill_requests",
            "Calls of the merchants' API by command and error number (0 is success).",
            ["command", "code"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "opentill_request_seconds",
            "Time to answer a call of the merchants' API, seconds.",
            ["command"],
            buckets=_LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.wallet_calls = Counter(
            "opentill_wallet_calls",
            "Calls to the wallets by channel, operation and outcome.",
            ["channel", "operation", "outcome"],
            registry=self.registry,
        )
        self.callbacks = Counter(
            "opentill_callbacks",
            "Callbacks received from the wallets by channel and what became of them.",
            ["channel", "result"],
            registry=self.registry,
        )
        self.moves = Counter(
            "opentill_order_moves",
            "Orders that changed their state, by the new state.",
            ["state"],
            registry=self.registry,
        )
        self.deliveries = Counter(
            "opentill_deliveries",
            "Attempts to deliver a notification by result.",
            ["result"],
            registry=self.registry,
        )
        self.replies_not_kept = Counter(
            "opentill_replies_not_kept",
            "Replies that their order's timeline will not show: too many waited, or the database refused them.",
            registry=self.registry,
        )
        self.alarms = Counter(
            "opentill_alarms", "Events that need a person, by kind.", ["kind"], registry=self.registry
        )
        for metric in (self.requests, self.request_seconds, self.wallet_calls, self.moves):
            _remember_children(metric)

    def text(self) -> bytes:
        """The exposition text of all metrics."""
        return generate_latest(self.registry)


def _remember_children(metric: MetricWrapperBase) -> None:
    """Finding the child of some labels checks them and takes a lock, 5 µs each time; it is always the same child."""
    metric.labels = cache(metric.labels)  # type: ignore[method-assign]
