"""The simulated fleet as a process, on a real broker."""

import json
import signal
import time
from pathlib import Path

import pytest

from models.topics import VEHICLE_CHARGE, VEHICLE_PLUG, VEHICLE_POLICIES
from runtime.partitions import partition_of
from tests.support.command import flex
from tests.support.records import read_all
from tests.support.system import Topics
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration

STOP_LIMIT_S = 2


def test_the_fleet_runs_stops_and_goes_on(flex_env: dict[str, str], topics: Topics, tmp_path: Path) -> None:
    """Policies and events arrive, SIGINT and SIGTERM end it within 2 s with exit 0, and a restart goes on."""
    kept = Path(flex_env["FLEX_STATE_DIR"]) / "simulator.json"
    reached = [""]
    for number in (signal.SIGINT, signal.SIGTERM):
        with flex("simulate", "--vehicles", "20", env=flex_env, folder=tmp_path) as fleet:
            wait_until(lambda: kept.exists() and _reached(kept) > reached[-1], 30, "a later position")
            began_s = time.monotonic()
            assert fleet.end(number) == 0
            assert time.monotonic() - began_s < STOP_LIMIT_S
        reached.append(_reached(kept))
    policies = read_all(topics.bootstrap, topics.name(VEHICLE_POLICIES))
    assert sorted(str(record.key) for record in policies) == [f"sim-policy-{number:04d}" for number in range(1, 21)]
    for topic in (VEHICLE_PLUG, VEHICLE_CHARGE):
        for record in read_all(topics.bootstrap, topics.name(topic)):
            assert record.partition == partition_of(str(record.key), topics.partitions)
            assert json.loads(record.value or b"")["at"] <= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _reached(kept: Path) -> str:
    return str(json.loads(kept.read_bytes())["reached"])
