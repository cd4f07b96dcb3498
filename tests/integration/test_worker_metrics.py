"""What a worker says of itself to Prometheus, and that it does not take rest for a standstill."""

import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from local.ports import free_port
from models.topics import SESSION_UPDATED, VEHICLE_POLICIES
from tests.support.command import flex
from tests.support.records import Outgoing
from tests.support.system import Topics
from tests.support.waiting import wait_until
from tests.support.worker import new_vehicle, plug, running_system, sample

pytestmark = pytest.mark.integration

T0 = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)


def scraped(port: int) -> dict[str, dict[tuple[str, ...], float]]:
    """Every sample by its name, and by the values of its labels in the order of their names."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            found.setdefault(one.name, {})[tuple(one.labels[name] for name in sorted(one.labels))] = one.value
    return found


def test_what_a_worker_did_is_told(topics: Topics, tmp_path: Path) -> None:
    """Records, transactions, dead letters by reason, open visits, lag and recovery are told, and no vehicle's id."""
    port, vehicle = free_port(), new_vehicle("counted")
    with running_system(topics, tmp_path, worker_metrics_port=port) as system:
        system.send(system.policy(vehicle), plug(vehicle, T0, True, locationId="home"), sample(vehicle, T0))
        system.send(Outgoing(topic=VEHICLE_POLICIES, key="x", value=b"?", partition=0))
        system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR")
        wait_until(lambda: scraped(port).get("flex_worker_dead_letters_total"), 20, "the refusal")
        found = scraped(port)
        assert sum(found["flex_worker_records_total"].values()) >= 4
        assert found["flex_worker_dead_letters_total"] == {("MALFORMED_JSON",): 1.0}
        assert found["flex_worker_written_total"][SESSION_UPDATED,] == len(system.updates(vehicle))
        assert sum(found["flex_worker_open_visits"].values()) == 1
        assert sum(found["flex_worker_transactions_total"].values()) == found["flex_worker_commit_seconds_count"][()]
        assert set(found["flex_worker_recovery_seconds"]) == {("0",), ("1",)}
        assert vehicle not in str(found)


def test_rest_is_no_standstill(topics: Topics, tmp_path: Path) -> None:
    """Behind a policy that was put back, the log ends with a transaction's marker: the worker is not behind it."""
    port = free_port()
    with running_system(topics, tmp_path, worker_metrics_port=port, stall_limit_s=5) as system:
        system.send(Outgoing(topic=VEHICLE_POLICIES, key="x", value=b"?", partition=0))
        at = (topics.name(VEHICLE_POLICIES), "0")
        # It is put back in the transaction of its dead letter.
        wait_until(lambda: [one.key for one in system.dead_letters(VEHICLE_POLICIES)] == ["x"], 20, "the dead letter")
        wait_until(lambda: scraped(port).get("flex_worker_lag_records", {}).get(at[::-1]) == 0, 20, "no lag")
        with pytest.raises(AssertionError, match="not within"):
            wait_until(lambda: system.worker.process.poll() is not None, 9, "it to take its rest for a standstill")


def test_a_port_that_is_taken_is_told(topics: Topics, tmp_path: Path) -> None:
    """Where /metrics cannot be served, the worker does not start, and says why in one line."""
    port = free_port()
    with running_system(topics, tmp_path, worker_metrics_port=port):
        env = topics.env(state_dir=tmp_path / "other", worker_metrics_port=port)
        with flex("worker", env=env, folder=tmp_path) as second:
            wait_until(lambda: second.process.poll() is not None, 40, "the second worker to stop")
            assert second.process.returncode == 1
            assert f"/metrics cannot be served on 127.0.0.1:{port}" in second.stderr
