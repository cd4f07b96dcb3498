"""The writer of input records and the replay command, on a real broker."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest import writer as writer_module
from ingest.errors import WriteError
from ingest.records import InputRecord
from ingest.writer import InputWriter, Target
from models.ids import LocationId, PolicyId, UserId, VehicleId
from models.policy import VehiclePolicy
from models.telemetry import ChargeSample, PlugEvent
from models.topics import VEHICLE_CHARGE, VEHICLE_PLUG, VEHICLE_POLICIES
from runtime.partitions import partition_of
from tests.support.captures import capture
from tests.support.command import run_flex
from tests.support.records import Record, read_all
from tests.support.system import Topics

pytestmark = pytest.mark.integration

AT = datetime(2026, 3, 1, tzinfo=UTC)


def _writer(topics: Topics) -> InputWriter:
    return InputWriter(Target(bootstrap_servers=topics.bootstrap, topic_prefix=topics.prefix))


def _charge(vehicle: str, second: int = 0) -> InputRecord:
    at = AT + timedelta(seconds=second)
    sample = ChargeSample(event_id=f"c{second}", vehicle_id=VehicleId(vehicle), user_id=UserId("u"), at=at)
    return InputRecord(at, VEHICLE_CHARGE, vehicle, sample)


def _plug(vehicle: str, second: int = 0) -> InputRecord:
    at = AT + timedelta(seconds=second)
    event = PlugEvent(event_id=f"p{second}", vehicle_id=VehicleId(vehicle), user_id=UserId("u"), at=at)
    return InputRecord(at, VEHICLE_PLUG, vehicle, event)


def _policy(number: int) -> InputRecord:
    policy = VehiclePolicy(
        id=PolicyId(f"policy-{number}"),
        user_id=UserId("u"),
        vehicle_id=VehicleId(f"vehicle-{number}"),
        location_id=LocationId("home"),
        is_enabled=True,
        at=AT,
    )
    return InputRecord(AT, VEHICLE_POLICIES, policy.id, policy)


def _deletion(number: int) -> InputRecord:
    return InputRecord(None, VEHICLE_POLICIES, f"policy-{number}", None)


def _read(topics: Topics, topic: str) -> list[Record]:
    return read_all(topics.bootstrap, topics.name(topic))


def test_every_record_is_on_its_vehicles_partition(topics: Topics) -> None:
    """Plug, charge and policy records of one vehicle share a partition number: that of murmur2 over its id."""
    with _writer(topics) as writer:
        for number in range(30):
            for record in (_policy(number), _plug(f"vehicle-{number}"), _charge(f"vehicle-{number}")):
                writer.write(record)
    assert dict(writer.delivered) == {VEHICLE_PLUG: 30, VEHICLE_CHARGE: 30, VEHICLE_POLICIES: 30}
    for topic in (VEHICLE_PLUG, VEHICLE_CHARGE, VEHICLE_POLICIES):
        found = _read(topics, topic)
        assert len(found) == 30
        for read in found:
            vehicle = json.loads(read.value or b"")["vehicleId"]
            assert read.partition == partition_of(vehicle, topics.partitions)


@pytest.mark.parametrize("same_run", [True, False])
def test_a_policys_deletion_follows_it(topics: Topics, same_run: bool) -> None:
    """A null policy value lands on the partition of the policy's vehicle, also in a later run."""
    with _writer(topics) as writer:
        for number in range(20):
            writer.write(_policy(number))
        if same_run:
            for number in range(20):
                writer.write(_deletion(number))
    if not same_run:
        with _writer(topics) as writer:
            for number in range(20):
                writer.write(_deletion(number))
    found = _read(topics, VEHICLE_POLICIES)
    deletions = [record for record in found if record.value is None]
    assert len(deletions) == 20
    for record in deletions:
        vehicle = str(record.key).replace("policy", "vehicle")
        assert record.partition == partition_of(vehicle, topics.partitions)


def test_the_deletion_of_an_unknown_policy_is_written_all_the_same(topics: Topics) -> None:
    """Nobody knows its vehicle, so it goes by its own key; an empty policies topic is read without waiting."""
    with _writer(topics) as writer:
        writer.write(_deletion(7))
    assert [(record.key, record.value) for record in _read(topics, VEHICLE_POLICIES)] == [("policy-7", None)]


def test_a_plug_record_stands_between_the_charge_records_around_it(topics: Topics) -> None:
    """In the log's own time no record of another topic is older than what was written before it."""
    order = [_charge("v", 0), _charge("v", 1), _plug("v", 2), _charge("v", 3), _policy(1), _plug("v", 5)]
    with _writer(topics) as writer:
        for record in order:
            writer.write(record)
    stamps = {}
    for topic in (VEHICLE_PLUG, VEHICLE_CHARGE, VEHICLE_POLICIES):
        for found in _read(topics, topic):
            body: dict[str, Any] = json.loads(found.value or b"")
            stamps[body.get("eventId", "policy")] = found.timestamp_ms
    told = [stamps[name] for name in ("c0", "c1", "p2", "c3", "policy", "p5")]
    assert told == sorted(told)


def test_a_record_that_is_not_taken_is_an_error(topics: Topics) -> None:
    """A message over the limit fails where it is written; what was written before it is there."""
    with _writer(topics) as writer:
        writer.write(_plug("v"))
        with pytest.raises(WriteError) as error:
            writer.write(InputRecord(None, VEHICLE_CHARGE, "v", b"x" * 2_000_000))
    assert "too large" in str(error.value)
    assert len(_read(topics, VEHICLE_PLUG)) == 1


def test_topics_that_are_not_there_are_named(topics: Topics, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer creates no topic: it says which is missing and what to type."""
    monkeypatch.setattr(writer_module, "CONNECT_LIMIT_S", 0.5)
    with pytest.raises(WriteError) as error:
        InputWriter(Target(bootstrap_servers=topics.bootstrap, topic_prefix="nobody.has.this."))
    assert "nobody.has.this.vehicle.plug" in str(error.value)
    assert "flex-sessions topics" in str(error.value)


def test_replay_of_recorded_events_sends_what_stands_there(
    flex_env: dict[str, str], topics: Topics, tmp_path: Path
) -> None:
    """Objects, nulls and raw strings arrive byte for byte, a 500 KB message too, in the order of the file."""
    values = [b'{"vehicleId": "v", "x": 1.50}', b"not json", b'"' + b"x" * 500_000]
    lines = [
        b'{"topic":"vehicle.charge","key":"v","value":' + values[0] + b"}",
        b'{"topic":"vehicle.charge","key":"v","value":"not json"}',
        b'{"topic":"vehicle.charge","key":"v","value":null}',
        b'{"topic":"vehicle.charge","key":"v","value":' + json.dumps(values[2].decode()).encode() + b"}",
    ]
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(lines))
    done = run_flex("replay", "--format", "events-jsonl", str(path), env=flex_env)
    assert (done.returncode, done.stdout) == (0, "wrote 4 records (vehicle.charge 4); skipped lines: 0\n")
    assert [record.value for record in _read(topics, VEHICLE_CHARGE)] == [*values[:2], None, values[2]]


def test_replay_stops_at_a_bad_line_and_names_it(flex_env: dict[str, str], topics: Topics, tmp_path: Path) -> None:
    """Exit 1, one line with file and line number; the lines before it are written, those after it are not."""
    path = tmp_path / "events.jsonl"
    good = '{"topic":"vehicle.charge","key":"v","value":{}}'
    path.write_text(f"{good}\noops\n{good}")
    done = run_flex("replay", "--format", "events-jsonl", str(path), env=flex_env)
    assert len(_read(topics, VEHICLE_CHARGE)) == 1
    assert done.returncode == 1
    assert done.stderr.startswith("error: events.jsonl:2: ")
    assert len(done.stderr.splitlines()) == 1


def test_replay_of_a_capture_writes_its_visit(flex_env: dict[str, str], topics: Topics) -> None:
    """The recorded visit stands on the topics: one plug-in, one plug-out, samples up to the last counter reading."""
    path = capture("tesla_fleet_telemetry/ChargingDetailedWithoutChargingState.txt")
    names = ("--vehicle", "car", "--user", "owner", "--location", "home")
    done = run_flex("replay", "--format", "tesla-fleet-telemetry", *names, str(path), env=flex_env)
    assert (done.returncode, done.stdout) == (
        0,
        "wrote 39 records (vehicle.charge 37, vehicle.plug 2); skipped lines: 0\n",
    )
    plugs = [json.loads(record.value or b"") for record in _read(topics, VEHICLE_PLUG)]
    assert [(plug["at"][:19], plug["isPluggedIn"]) for plug in plugs] == [
        ("2025-01-19T09:03:04", True),
        ("2025-01-19T09:51:28", False),
    ]
    samples = [json.loads(record.value or b"") for record in _read(topics, VEHICLE_CHARGE)]
    assert max(sample["energyAdded"] or 0 for sample in samples) == pytest.approx(7.66, abs=0.005)
    assert {(each["vehicleId"], each["userId"], each["locationId"]) for each in (*plugs, *samples)} == {
        ("car", "owner", "home")
    }
