"""What Prometheus is told."""

from collections import Counter
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from models.topics import ENERGY_PRICES, SESSION_UPDATED
from streams.decision import refused_prices
from streams.figures import BUCKETS_S, Figures, Times
from streams.metrics import GAUGES, WorkerCollector
from streams.outbox import OutputRecord
from streams.processor import Decided


def told(figures: Figures, gauges: dict[str, dict[tuple[str, ...], float]]) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample by its name and the values of its labels."""
    registry = CollectorRegistry()
    registry.register(WorkerCollector(figures, lambda: gauges))
    families: Any = text_string_to_metric_families(generate_latest(registry).decode())
    return {(one.name, tuple(one.labels.values())): one.value for family in families for one in family.samples}


def test_a_time_falls_into_the_bucket_that_holds_it() -> None:
    """A bound belongs to its own bucket, and what is above the last one is counted as well."""
    times = Times()
    for took_s in (0.0, BUCKETS_S[0], BUCKETS_S[0] * 1.01, 1e6):
        times.add(took_s)
    counts, total_s = times.read()
    assert (counts[0], counts[1], counts[-1], sum(counts)) == (2, 1, 1, 4)
    assert total_s == BUCKETS_S[0] * 2.01 + 1e6


def test_a_batch_is_told() -> None:
    """Records, transactions, what was written, refusals and other facts, each under its own name."""
    figures = Figures()
    output = OutputRecord(SESSION_UPDATED, 3, b"k", b"v", [])
    batch = Decided(None, outputs=[output, output], tally=Counter({"refused TOO_OLD": 2, "command_written": 1}))
    figures.batch(3, batch, records=5, decide_s=0.002, commit_s=0.004)
    figures.batch(3, Decided(None), records=1, decide_s=0.002, commit_s=70.0)
    found = told(figures, {"open_visits": {("3",): 7.0}})
    assert found["flex_worker_records_total", ("3",)] == 6
    assert found["flex_worker_transactions_total", ("3",)] == 2
    assert found["flex_worker_written_total", (SESSION_UPDATED,)] == 2
    assert found["flex_worker_dead_letters_total", ("TOO_OLD",)] == 2
    assert found["flex_worker_facts_total", ("command_written",)] == 1
    assert found["flex_worker_commit_seconds_bucket", ("0.005",)] == 1
    assert found["flex_worker_commit_seconds_bucket", ("+Inf",)] == 2
    assert found["flex_worker_open_visits", ("3",)] == 7


def test_a_price_record_that_is_refused_is_told_by_its_reason() -> None:
    """Like every other refusal: an alert on a reason finds it."""
    letter = OutputRecord(ENERGY_PRICES, 0, None, b"", [("dlq-reason", b"INVALID_MESSAGE")])
    figures = Figures()
    figures.batch(0, refused_prices([letter, letter], None), records=0, decide_s=0.1, commit_s=0.1)
    assert told(figures, {})["flex_worker_dead_letters_total", ("INVALID_MESSAGE",)] == 2


def test_what_stood_of_a_partition_goes_with_it() -> None:
    """Lateness ends with the timers that were late, and of a partition that another has nothing is told."""
    figures = Figures()
    for partition in (0, 1):
        figures.timers_fired(partition, 1, 3_600.0)
        figures.recovered(partition, 2.0, 10)
    figures.none_late(0)
    figures.lost(1)
    assert figures.of_partitions() == {
        "timer_lateness_seconds": {0: 0.0},
        "recovery_seconds": {0: 2.0},
        "recovery_records": {0: 10},
    }


def test_every_gauge_has_its_labels() -> None:
    """A gauge that has a value is told with as many labels as it names; one without a value is not told."""
    gauges = {name: {tuple(labels): 1.0} for name, (_, labels) in GAUGES.items()}
    found = told(Figures(), gauges)
    assert {name for name, _ in found} >= {f"flex_worker_{name}" for name in GAUGES}
    assert not any(name == "flex_worker_lag_records" for name, _ in told(Figures(), {}))
