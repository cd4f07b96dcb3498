"""The simulated fleet as a process, on a real broker."""

import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import simulator.live.reading
from ingest.errors import WriteError, WriteInterrupted
from local.ports import free_port
from models.topics import CHARGE_COMMANDS, ENERGY_PRICES, VEHICLE_CHARGE, VEHICLE_PLUG, VEHICLE_POLICIES
from runtime.partitions import partition_of
from simulator.live.position import FILE_NAME, Keeper, Position
from simulator.live.reading import KafkaOutputs
from simulator.world.moments import millis
from tests.support.command import Running, flex, run_flex
from tests.support.records import Outgoing, produce, read_all
from tests.support.system import Topics
from tests.support.waiting import wait_until
from tests.support.worker import stamp

pytestmark = pytest.mark.integration

STOP_LIMIT_S = 2
# Nobody refuses a command, presses a button or pulls the plug in the night. Of so many cars a few obey within seconds.
VEHICLES = 60
RULY = ("simulate", "--vehicles", str(VEHICLES), "--start-ago", "16", "--unruly", "0")
# A car follows within 70 s, and tells so at once.
FOLLOWED_S = 90


def test_the_fleet_runs_stops_and_goes_on(flex_env: dict[str, str], topics: Topics, tmp_path: Path) -> None:
    """Prices, policies and events arrive, SIGINT and SIGTERM end it within 2 s with exit 0, a restart goes on, also
    after kill -9, and tells nothing twice that differs.
    """
    keeper = Keeper(Path(flex_env["FLEX_STATE_DIR"]))
    reached = 0
    for number in (signal.SIGINT, signal.SIGKILL, signal.SIGTERM):
        with flex("simulate", "--vehicles", "20", env=flex_env, folder=tmp_path) as fleet:
            wait_until(partial(is_beyond, keeper, reached), 30, "a later position, in the present")
            if number is signal.SIGKILL:
                os.kill(fleet.pid, number)
                fleet.process.wait(10)
            else:
                end(fleet, number)
                assert "nothing found" in fleet.stdout
        reached = kept(keeper).reached_ms
    tag = kept(keeper).tag
    policies = read_all(topics.bootstrap, topics.name(VEHICLE_POLICIES))
    assert {f"{tag}policy-{number}.1" for number in range(1, 21)} <= {str(record.key) for record in policies}
    prices = read_all(topics.bootstrap, topics.name(ENERGY_PRICES))
    assert {json.loads(record.value or b"").get("zone") or "" for record in policies} <= {
        *(str(record.key) for record in prices),
        "",
    }
    for topic in (VEHICLE_PLUG, VEHICLE_CHARGE, ENERGY_PRICES):
        said: dict[tuple[Any, ...], bytes | None] = {}
        for record in read_all(topics.bootstrap, topics.name(topic)):
            partitions = 1 if topic == ENERGY_PRICES else topics.partitions
            assert record.partition == partition_of(str(record.key), partitions)
            message = json.loads(record.value or b"")
            assert message["at"] <= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            name = (record.key, message["at"], message.get("eventId"), message.get("startAt"))
            assert said.setdefault(name, record.value) == record.value


def test_vehicles_obey_stop_and_start(flex_env: dict[str, str], topics: Topics, tmp_path: Path) -> None:
    """A STOP to a plugged-in vehicle, and its next sample says stopped; a START, and it charges again, also after the
    fleet was restarted; what is foreign is passed over, what is expired is not followed, what cannot be read is found;
    times never fall, and the counter agrees with the level.
    """
    keeper = Keeper(Path(flex_env["FLEX_STATE_DIR"]))
    with flex(*RULY, env=flex_env, folder=tmp_path) as fleet:
        wait_until(lambda: is_beyond(keeper, 0), 30, "the present")
        tag = kept(keeper).tag
        began = command_all(topics, tag, "START")
        charging = wait_until(lambda: telling(topics, began, charging=True), FOLLOWED_S, "vehicles that charge")
        send(topics, command(tag, 1, "STOP", vehicleId="somebody-else"), command(tag, 1, "STOP", userId="somebody"))
        send(topics, command(tag, 1, "STOP", validUntil=stamp(datetime.now(UTC))))
        produce(topics.bootstrap, [Outgoing(topic=topics.name(CHARGE_COMMANDS), key=f"{tag}true-1", value=b"{")])
        stop = command_all(topics, tag, "STOP")
        stopped = wait_until(
            lambda: charging & telling(topics, stop, charging=False), FOLLOWED_S, "some of them stopped"
        )
        end(fleet, signal.SIGTERM)
        assert "what is published can be read" in fleet.stdout
    with flex(*RULY, env=flex_env, folder=tmp_path) as fleet:
        wait_until(lambda: "fleet runs" in fleet.stderr, 30, "the restart")
        assert '"is_restart": true' in fleet.stderr
        again = command_all(topics, tag, "START")
        wait_until(lambda: stopped & telling(topics, again, charging=True), FOLLOWED_S, "some of them charging again")
        end(fleet, signal.SIGINT)
    for vehicle in stopped:
        check_history(topics, vehicle, stop, again)


def test_without_the_topics_nothing_is_read(topics: Topics, monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic that is not there is named, with what to do."""
    monkeypatch.setattr(simulator.live.reading, "CONNECT_LIMIT_S", 0.5)
    prefix = f"{topics.prefix}nowhere."
    with pytest.raises(WriteError, match=rf"no topic {prefix}.*flex-sessions topics"):
        KafkaOutputs(topics.bootstrap, prefix, interrupted=lambda: False)


def test_a_stop_is_heard_while_there_is_no_broker() -> None:
    """Whoever waits for the topics ends when told to."""
    with pytest.raises(WriteInterrupted):
        KafkaOutputs(f"127.0.0.1:{free_port()}", "", interrupted=lambda: True)


def test_a_feed_that_is_none_is_refused(flex_env: dict[str, str]) -> None:
    """The line names those there are."""
    done = run_flex("simulate", "--feed", "dirty", env=flex_env)
    assert done.returncode == 2
    assert "placeholder-zeros" in done.stderr


def end(fleet: Running, number: signal.Signals) -> None:
    began_s = time.monotonic()
    assert fleet.end(number) == 0
    assert time.monotonic() - began_s < STOP_LIMIT_S


def kept(keeper: Keeper) -> Position:
    found = keeper.load()
    assert found is not None
    return found


def is_beyond(keeper: Keeper, reached_ms: int) -> bool:
    """Whether the fleet has been in the present since then."""
    found = keeper.load()
    near_ms = millis(datetime.now(UTC) - timedelta(seconds=10))
    return found is not None and found.reached_ms > max(reached_ms, near_ms)


def command(tag: str, number: int, action: str, **changes: str) -> dict[str, str]:
    """A command that holds for ten minutes from now."""
    now = datetime.now(UTC)
    return {
        "commandId": f"{number}-{now.timestamp()}",
        "vehicleId": f"{tag}true-{number}",
        "userId": f"{tag}user-{number}.0",
        "policyId": f"{tag}policy-{number}.1",
        "sessionId": "session",
        "action": action,
        "reason": "REGULAR",
        "at": stamp(now),
        "validUntil": stamp(now + timedelta(minutes=10)),
    } | changes


def send(topics: Topics, *commands: dict[str, str]) -> None:
    topic = topics.name(CHARGE_COMMANDS)
    produce(topics.bootstrap, [Outgoing(topic=topic, key=each["vehicleId"], value=each) for each in commands])


def command_all(topics: Topics, tag: str, action: str) -> str:
    """Command every vehicle; the time from which they may have heard of it."""
    began = stamp(datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1))
    send(topics, *(command(tag, number, action) for number in range(1, VEHICLES + 1)))
    return began


def messages(topics: Topics, topic: str) -> Iterator[dict[str, Any]]:
    return (json.loads(record.value or b"") for record in read_all(topics.bootstrap, topics.name(topic)))


def telling(topics: Topics, since: str, *, charging: bool) -> set[str]:
    """The plugged-in vehicles that have told this of themselves since then, in their newest sample."""
    newest = {one["vehicleId"]: one for one in messages(topics, VEHICLE_CHARGE) if one["at"] >= since}
    return {vehicle for vehicle, one in newest.items() if one["isCharging"] is charging and one["isPluggedIn"]}


def check_history(topics: Topics, vehicle: str, stop: str, again: str) -> None:
    """Times never fall, whoever was stopped did not charge until told to, and counter and level rise together."""
    own = [one for one in messages(topics, VEHICLE_CHARGE) if one["vehicleId"] == vehicle]
    assert all(one["at"] < other["at"] or one == other for one, other in pairwise(own))
    after = stamp(datetime.fromisoformat(stop) + timedelta(seconds=75))
    assert not any(one["isCharging"] for one in own if after < one["at"] < again)
    capacity = {
        one["vehicleId"]: one["batteryCapacity"] for one in messages(topics, VEHICLE_PLUG) if one["batteryCapacity"]
    }[vehicle]
    for one, other in pairwise(own):
        if one["isPluggedIn"] and other["isPluggedIn"] and one["energyAdded"] <= other["energyAdded"]:
            risen_kwh = (other["batteryLevel"] - one["batteryLevel"]) / 100 * capacity
            assert 0.85 * (other["energyAdded"] - one["energyAdded"]) - 0.03 <= risen_kwh
            assert risen_kwh <= 0.97 * (other["energyAdded"] - one["energyAdded"]) + 0.03


def test_a_fleet_that_begins_anew_has_names_of_its_own(
    flex_env: dict[str, str], topics: Topics, tmp_path: Path
) -> None:
    """Another seed is another fleet, and so is one that is told to begin afresh."""
    del topics
    folder = Path(flex_env["FLEX_STATE_DIR"])
    tags = []
    for arguments in ((), ("--fresh",), ("--seed", "2")):
        with flex(
            "simulate", "--vehicles", "3", "--start-ago", "1", *arguments, env=flex_env, folder=tmp_path
        ) as fleet:
            wait_until(lambda: '"fleet runs"' in fleet.stderr and (folder / FILE_NAME).exists(), 30, "a position")
            end(fleet, signal.SIGTERM)
        tags.append(kept(Keeper(folder)).tag)
    assert len(set(tags)) == 3
