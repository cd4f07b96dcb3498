"""Names and labels of what the sidecar counts. No label holds an id of a session, vehicle, user or policy."""

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from api.durations import Durations

if TYPE_CHECKING:
    from collections.abc import Callable


class Metrics:
    """One registry per app, so that two apps in one process stay apart."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # Whoever counts in batches tells here what is not yet told.
        self.before_scrape: list[Callable[[], None]] = []
        self.applied = Counter(
            "flex_api_records_applied",
            "Records that changed the view.",
            ["topic"],
            registry=self.registry,
        )
        self.skipped = Counter(
            "flex_api_records_skipped",
            "Records that were not newer than what the view has.",
            ["topic"],
            registry=self.registry,
        )
        self.unreadable = Counter(
            "flex_api_records_unreadable",
            "Records that could not be read and were passed over.",
            ["topic"],
            registry=self.registry,
        )
        self.rebuilds = Counter(
            "flex_api_view_rebuilds",
            "Times the view was built from the topics, the first time included.",
            registry=self.registry,
        )
        self.lag = Gauge(
            "flex_api_lag_records",
            "Offsets between the view and the end of the partition.",
            ["topic", "partition"],
            registry=self.registry,
        )
        self.ready = Gauge("flex_api_ready", "1 while the view answers, else 0.", registry=self.registry)
        self.durations = Durations(
            "flex_api_request_duration_seconds", "Time to answer, by route template, method and status."
        )
        self.registry.register(self.durations)
        self.open = Gauge("flex_api_requests_open", "Requests under way, this scrape included.", registry=self.registry)
        self.refused = Counter(
            "flex_api_requests_refused",
            "Requests refused at the gate, before any route, by status: 401, 429 or 503.",
            ["status"],
            registry=self.registry,
        )
        self.key_looks = Counter(
            "flex_api_key_looks",
            "Attempts to read the issuer's keys, by result: read or failed.",
            ["result"],
            registry=self.registry,
        )
        self.streams = Gauge(
            "flex_api_streams_open", "Streams under way, by kind: events or csv.", ["kind"], registry=self.registry
        )
        self.streams_ended = Counter(
            "flex_api_streams_ended",
            "Streams that ended, by kind and reason; client: the client left.",
            ["kind", "reason"],
            registry=self.registry,
        )

    def told(self) -> None:
        """Have everyone tell what they hold back."""
        for tell in self.before_scrape:
            tell()

    def exposition(self) -> bytes:
        """All of it as of now, in the text format of Prometheus."""
        self.told()
        return generate_latest(self.registry)
