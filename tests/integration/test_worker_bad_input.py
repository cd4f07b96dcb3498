"""Bad input by real messages: the worker lives, each bad record is in the dead-letter topic with its reason, and the
good ones around them are processed.
"""

import json
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Producer

from models.topics import VEHICLE_CHARGE, VEHICLE_PLUG, VEHICLE_POLICIES
from runtime.partitions import partition_of
from tests.support.records import Outgoing, Record, read_all
from tests.support.waiting import wait_until
from tests.support.worker import System, message, minutes, new_vehicle, plug, policy_value, sample

pytestmark = pytest.mark.integration

T0 = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
NOT_JSON = b"\xff\xfe not json {"


def raw(vehicle: str, value: bytes | None, topic: str = VEHICLE_CHARGE) -> Outgoing:
    """A record of any bytes with the vehicle's key."""
    return Outgoing(topic=topic, key=vehicle, value=value, headers={"trace": "kept"})


def the_one(system: System, topic: str, key: str, count: int = 1) -> list[Record]:
    """The dead letters of a topic with this key, once there are as many."""

    def found() -> list[Record] | None:
        letters = [letter for letter in system.dead_letters(topic) if letter.key == key]
        return letters if len(letters) == count else None

    return wait_until(found, 20, f"{count} dead letters of {key} on {topic}") or []


BAD_SAMPLES = {
    "not JSON": (NOT_JSON, "MALFORMED_JSON"),
    "an empty value": (b"", "MALFORMED_JSON"),
    "a JSON list": (b"[]", "INVALID_MESSAGE"),
    "deep nesting": (b'{"x":' + b"[" * 30_000, "MALFORMED_JSON"),
    "a null value": (None, "NULL_VALUE"),
    "500 KB": (b'{"x":"' + b"y" * 500_000 + b'"}', "TOO_LARGE"),
    "NaN": (
        b'{"eventId":"e","vehicleId":"%s","userId":"u","at":"2026-03-01T18:00:00Z","batteryLevel":NaN}',
        "MALFORMED_JSON",
    ),
    "a wrong type": (
        b'{"eventId":"e","vehicleId":"%s","userId":"u","at":"2026-03-01T18:00:00Z","isCharging":"yes"}',
        "INVALID_MESSAGE",
    ),
    "no vehicleId": (b'{"eventId":"e","userId":"u","at":"2026-03-01T18:00:00Z"}', "INVALID_MESSAGE"),
    "no time zone": (b'{"eventId":"e","vehicleId":"%s","userId":"u","at":"2026-03-01T18:00:00"}', "INVALID_MESSAGE"),
    "an id with a line break": (
        b'{"eventId":"e\\n","vehicleId":"%s","userId":"u","at":"2026-03-01T18:00:00Z"}',
        "INVALID_MESSAGE",
    ),
    "a date in 1970": (b'{"eventId":"e","vehicleId":"%s","userId":"u","at":"1970-01-01T00:00:00Z"}', "TOO_OLD"),
    "a date in the future": (b'{"eventId":"e","vehicleId":"%s","userId":"u","at":"2100-01-01T00:00:00Z"}', "IN_FUTURE"),
    "another key": (b'{"eventId":"e","vehicleId":"other","userId":"u","at":"2026-03-01T18:00:00Z"}', "WRONG_KEY"),
}


def test_each_bad_record_is_kept_with_its_reason_and_the_good_ones_around_it_count(system: System) -> None:
    """Whatever is wrong with a message, its bytes, key and headers are in the dead-letter topic with the reason."""
    vehicle = new_vehicle("bad")
    bad = [value.replace(b"%s", vehicle.encode()) if value else value for value, _ in BAD_SAMPLES.values()]
    system.send(system.policy(vehicle), plug(vehicle, T0, True, locationId="home"))
    for number, value in enumerate(bad):
        system.send(raw(vehicle, value), sample(vehicle, T0 + minutes(number + 1), energyAdded=float(number)))
    letters = the_one(system, VEHICLE_CHARGE, vehicle, len(bad))
    assert [(letter.value, letter.headers["dlq-reason"]) for letter in letters] == [
        (value, reason) for value, (_, reason) in zip(bad, BAD_SAMPLES.values(), strict=True)
    ]
    for letter in letters:
        assert letter.headers["trace"] == "kept"
        assert letter.headers["dlq-topic"] == VEHICLE_CHARGE
        assert letter.headers["dlq-partition"] == str(partition_of(vehicle, system.topics.partitions))
        assert int(letter.headers["dlq-offset"]) >= 0
        assert int(letter.headers["dlq-timestamp"]) > T0.timestamp() * 1_000
    energy_kwh = float(len(bad) - 1)
    wait_until(
        lambda: system.sessions(vehicle)[-1]["statistics"]["aggregated"]["kwhSum"] == energy_kwh, 20, "all energy"
    )


def test_a_record_larger_than_any_topic_takes_stops_nobody(system: System) -> None:
    """A record that only its compression let in is refused, cut to what the dead-letter topic takes."""
    vehicle = new_vehicle("bomb")
    producer = Producer(
        {
            "bootstrap.servers": system.topics.bootstrap,
            "partitioner": "murmur2_random",
            "message.max.bytes": 60_000_000,
            "compression.type": "gzip",
        }
    )
    producer.produce(system.topics.name(VEHICLE_CHARGE), key=vehicle, value=b"a" * 20_000_000)
    assert producer.flush(30) == 0
    (letter,) = the_one(system, VEHICLE_CHARGE, vehicle)
    assert letter.headers["dlq-reason"] == "TOO_LARGE"
    assert letter.headers["dlq-cut"] == "value from 20000000 to 3145728 bytes"
    system.send(system.policy(vehicle))
    system.wait_for_states(vehicle, "UPCOMING")


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_whatever_a_producer_compresses_with_is_read(system: System, codec: str) -> None:
    """The codec is the producer's choice, and the broker keeps it: a worker reads every one that Kafka has."""
    vehicle = new_vehicle(codec)
    producer = Producer(
        {
            "bootstrap.servers": system.topics.bootstrap,
            "partitioner": "murmur2_random",
            "compression.type": codec,
            "linger.ms": 100,
        }
    )
    for number in range(10):
        # Of one kind, or the client would send them as they are.
        producer.produce(system.topics.name(VEHICLE_CHARGE), key=vehicle, value=b"%d" % number + b"a" * 1_000)
    assert producer.flush(30) == 0
    letters = the_one(system, VEHICLE_CHARGE, vehicle, 10)
    assert [letter.value for letter in letters] == [b"%d" % number + b"a" * 1_000 for number in range(10)]
    system.send(system.policy(vehicle))
    system.wait_for_states(vehicle, "UPCOMING")


def test_an_original_is_found_by_its_offset(system: System) -> None:
    """`dlq-partition` and `dlq-offset` point at the record as it stands in its topic."""
    vehicle = new_vehicle("where")
    system.send(raw(vehicle, NOT_JSON, VEHICLE_PLUG))
    (letter,) = the_one(system, VEHICLE_PLUG, vehicle)
    original = next(
        record
        for record in read_all(system.topics.bootstrap, system.topics.name(VEHICLE_PLUG))
        if record.key == vehicle
    )
    assert (str(original.partition), str(original.offset)) == (
        letter.headers["dlq-partition"],
        letter.headers["dlq-offset"],
    )
    assert str(original.timestamp_ms) == letter.headers["dlq-timestamp"]


def test_a_record_on_another_vehicles_partition_is_refused(system: System) -> None:
    """A vehicle's record that lies on the wrong partition goes to the dead letter, on either kind of topic."""
    vehicle = new_vehicle("astray")
    wrong = 1 - partition_of(vehicle, system.topics.partitions)
    policy_id = f"policy-of-{vehicle}"
    system.send(
        Outgoing(topic=VEHICLE_CHARGE, key=vehicle, value=message(vehicle, T0), partition=wrong),
        Outgoing(topic=VEHICLE_POLICIES, key=policy_id, value=policy_value(vehicle, policy_id), partition=wrong),
    )
    (letter,) = the_one(system, VEHICLE_CHARGE, vehicle)
    assert letter.headers["dlq-reason"] == "WRONG_PARTITION"
    (letter,) = the_one(system, VEHICLE_POLICIES, policy_id)
    assert letter.headers["dlq-reason"] == "WRONG_PARTITION"


def test_a_message_a_day_behind_its_vehicle_is_refused(system: System) -> None:
    """More than 24 h behind the vehicle's newest message: dead letter; within it: taken."""
    vehicle = new_vehicle("late")
    system.send(sample(vehicle, T0))
    system.send(sample(vehicle, T0 - timedelta(hours=24)), sample(vehicle, T0 - timedelta(hours=24, seconds=1)))
    (letter,) = the_one(system, VEHICLE_CHARGE, vehicle)
    assert letter.headers["dlq-reason"] == "TOO_LATE"


def test_a_policy_that_breaks_a_rule_is_refused_and_the_topic_ends_as_the_worker_sees_it(system: System) -> None:
    """Two enabled policies for one place, or a new owner: dead letter, and what stands is written back."""
    vehicle = new_vehicle("rules")
    system.send(system.policy(vehicle))
    system.wait_for_states(vehicle, "UPCOMING")
    rival_id = f"rival-of-{vehicle}"
    system.send(system.policy(vehicle, id=rival_id), system.policy(vehicle, userId="user-2"))
    (rival,) = the_one(system, VEHICLE_POLICIES, rival_id)
    (stolen,) = the_one(system, VEHICLE_POLICIES, f"policy-of-{vehicle}")
    assert (rival.headers["dlq-reason"], stolen.headers["dlq-reason"]) == ("POLICY_CONFLICT", "POLICY_IMMUTABLE")

    def restored() -> bool:
        newest: dict[str | None, bytes | None] = {
            record.key: record.value
            for record in read_all(system.topics.bootstrap, system.topics.name(VEHICLE_POLICIES))
        }
        own = newest[f"policy-of-{vehicle}"] or b""
        return newest[rival_id] is None and b'"userId":"user-1"' in own

    wait_until(restored, 20, "what stands on the topic")
    assert len(system.sessions(vehicle)) == 1


def test_an_unreadable_policy_record_is_overwritten_by_what_stands(system: System) -> None:
    """A policy record that is no policy goes to the dead letter, and the topic ends with the policy that stands."""
    vehicle = new_vehicle("garbled")
    policy_id = f"policy-of-{vehicle}"
    partition = partition_of(vehicle, system.topics.partitions)
    zone = policy_value(vehicle, policy_id, timezoneName="Mars/Olympus")
    system.send(system.policy(vehicle))
    system.wait_for_states(vehicle, "UPCOMING")
    system.send(
        Outgoing(topic=VEHICLE_POLICIES, key=policy_id, value=NOT_JSON, partition=partition),
        Outgoing(topic=VEHICLE_POLICIES, key=policy_id, value=zone, partition=partition),
    )
    letters = the_one(system, VEHICLE_POLICIES, policy_id, 2)
    assert [letter.headers["dlq-reason"] for letter in letters] == ["MALFORMED_JSON", "INVALID_MESSAGE"]

    def records() -> list[Record]:
        everything = read_all(system.topics.bootstrap, system.topics.name(VEHICLE_POLICIES))
        return [record for record in everything if record.key == policy_id]

    found = wait_until(lambda: [records()] if len(records()) == 5 else None, 20, "both restored")
    assert found is not None
    assert found[0][-1].value is not None
    assert json.loads(found[0][-1].value)["timezoneName"] == "Europe/Berlin"
    assert len(system.sessions(vehicle)) == 1


def test_a_number_out_of_range_counts_as_null_and_the_rest_stands(system: System) -> None:
    """A battery level of 65535 % says nothing; the energy in the same message counts."""
    vehicle = new_vehicle("absurd")
    system.send(
        system.policy(vehicle),
        plug(vehicle, T0, True, locationId="home", batteryLevel=50),
        sample(vehicle, T0 + minutes(1), energyAdded=0.0, batteryLevel=65_535),
        sample(vehicle, T0 + minutes(31), energyAdded=3.5, batteryLevel=-3, chargeLimit=900, extra={"any": "thing"}),
    )
    system.wait_for_states(vehicle, "UPCOMING", "ACTIVE:REGULAR")
    wait_until(
        lambda: (
            system.sessions(vehicle)[-1]["statistics"]["aggregated"]
            == {"kwhSum": 3.5, "batteryFrom": 50, "batteryTo": 50}
        ),
        20,
        "the energy without the levels",
    )
    assert not [letter for letter in system.dead_letters(VEHICLE_CHARGE) if letter.key == vehicle]


def test_a_deletion_of_an_unknown_policy_is_ignored(system: System) -> None:
    """A null value for an unknown policy changes nothing, and is no bad input."""
    vehicle, marker = new_vehicle("nobody"), new_vehicle("nobody-marker")
    system.send(system.policy(vehicle, delete=True), system.policy(marker))
    system.wait_for_states(marker, "UPCOMING")
    assert not [letter for letter in system.dead_letters(VEHICLE_POLICIES) if letter.key == f"policy-of-{vehicle}"]
