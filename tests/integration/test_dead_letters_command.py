"""`flex-sessions dead-letters` beside a worker: what was refused is found, shown, and put back, once for each wish."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from cli.dead_letters import REASONS, TOPICS
from models.codec import Refusal
from models.topics import INPUT_TOPICS, VEHICLE_CHARGE, VEHICLE_PLUG, VEHICLE_POLICIES
from runtime.partitions import partition_of
from tests.support.command import run_flex
from tests.support.records import Outgoing, Record, read_all
from tests.support.system import Topics
from tests.support.waiting import wait_until
from tests.support.worker import System, body, message, minutes, new_vehicle, plug, policy_value, sample

pytestmark = pytest.mark.integration

T0 = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
BINARY = b"\xff\xfe\x00\x1b[31m not json {"


def letters_of(system: System, topic: str, key: str, count: int) -> list[Record]:
    """The dead letters of a topic with this key, notes of replays left out, once there are as many."""

    def found() -> list[Record] | None:
        letters = [each for each in system.dead_letters(topic) if each.key == key and "dlq-reason" in each.headers]
        return letters if len(letters) == count else None

    return wait_until(found, 30, f"{count} dead letters of {key} on {topic}") or []


def place(topic: str, letter: Record) -> str:
    return f"{topic}/{letter.partition}/{letter.offset}"


def run(system: System, *arguments: str) -> str:
    """The command's output; it must succeed."""
    done = run_flex("dead-letters", *arguments, env=system.topics.env())
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(system: System, *arguments: str) -> list[dict[str, Any]]:
    """`list --json`, parsed."""
    return [json.loads(line) for line in run(system, "list", "--json", *arguments).splitlines()]


def inputs(system: System, topic: str, key: str) -> list[Record]:
    """Records of an input topic with this key."""
    return [record for record in read_all(system.topics.bootstrap, system.topics.name(topic)) if record.key == key]


def raw(vehicle: str, value: bytes, topic: str = VEHICLE_CHARGE) -> Outgoing:
    """A record of any bytes with the vehicle's key."""
    return Outgoing(topic=topic, key=vehicle, value=value, headers={"trace": "kept"})


def test_the_words_are_those_of_the_topics() -> None:
    """What the options offer is every input topic and every reason that there is."""
    assert TOPICS == INPUT_TOPICS
    assert set(REASONS) == {reason.value for reason in Refusal}


def test_letters_are_listed_by_topic_reason_time_key_and_limit(system: System) -> None:
    """Each filter leaves out what it says, and the limit keeps the newest."""
    vehicle = new_vehicle("listed")
    system.send(raw(vehicle, BINARY), raw(vehicle, b"[]"), raw(vehicle, BINARY, VEHICLE_PLUG))
    first, second = letters_of(system, VEHICLE_CHARGE, vehicle, 2)
    (third,) = letters_of(system, VEHICLE_PLUG, vehicle, 1)
    both, all_three = [place(VEHICLE_CHARGE, first), place(VEHICLE_CHARGE, second)], listed(system, "--key", vehicle)
    assert {each["place"] for each in all_three} == {*both, place(VEHICLE_PLUG, third)}
    assert [each["place"] for each in listed(system, "--key", vehicle, "--topic", VEHICLE_CHARGE)] == both
    (malformed,) = listed(system, "--key", vehicle, "--topic", VEHICLE_CHARGE, "--reason", "MALFORMED_JSON")
    assert (malformed["place"], malformed["offset"]) == (both[0], int(first.headers["dlq-offset"]))
    (newest,) = listed(system, "--key", vehicle, "--topic", VEHICLE_CHARGE, "--limit", "1")
    assert newest["place"] == both[1]
    at = datetime.fromtimestamp(int(second.headers["dlq-timestamp"]) / 1_000, UTC).isoformat()
    since = listed(system, "--key", vehicle, "--topic", VEHICLE_CHARGE, "--since", at)
    until = listed(system, "--key", vehicle, "--topic", VEHICLE_CHARGE, "--until", at)
    assert both[1] in [each["place"] for each in since]
    assert sorted(each["place"] for each in since + until) == sorted(both)
    line = run(system, "list", "--key", vehicle, "--reason", "INVALID_MESSAGE")
    assert line.startswith(f"{both[1]}  ")
    assert "INVALID_MESSAGE" in line


def test_one_letter_is_shown_with_headers_and_bytes(system: System) -> None:
    """`show` tells why, where, the original headers and the value; `--raw` gives the very bytes; nothing of a value
    reaches the terminal unescaped.
    """
    vehicle = new_vehicle("shown")
    system.send(raw(vehicle, BINARY), raw(vehicle, b'{"a": "\x1b[31m"}'))
    first, second = letters_of(system, VEHICLE_CHARGE, vehicle, 2)
    said = run(system, "show", place(VEHICLE_CHARGE, first))
    assert "MALFORMED_JSON" in said
    assert "trace: kept" in said
    assert "dlq-reason" not in said
    assert f"00000000  {BINARY[:16].hex(' ')}" in said
    assert "\x1b" not in said + run(system, "show", place(VEHICLE_CHARGE, second))
    with_bytes = run_flex("dead-letters", "show", "--raw", place(VEHICLE_CHARGE, second), env=system.topics.env())
    assert with_bytes.stdout == '{"a": "\x1b[31m"}'


def test_a_record_on_the_wrong_partition_is_put_right(system: System) -> None:
    """What lay on another vehicle's partition is replayed to its own, and its session comes to what it should."""
    vehicle = new_vehicle("astray")
    home = partition_of(vehicle, system.topics.partitions)
    policy_id = f"policy-of-{vehicle}"
    astray = sample(vehicle, T0 + minutes(31), energyAdded=3.0)
    system.send(
        Outgoing(topic=VEHICLE_POLICIES, key=policy_id, value=policy_value(vehicle, policy_id), partition=1 - home),
        plug(vehicle, T0, True, locationId="home"),
        sample(vehicle, T0 + minutes(1), energyAdded=0.0),
        Outgoing(topic=astray.topic, key=vehicle, value=astray.value, partition=1 - home),
    )
    (policy,) = letters_of(system, VEHICLE_POLICIES, policy_id, 1)
    (lost,) = letters_of(system, VEHICLE_CHARGE, vehicle, 1)
    assert {letter.headers["dlq-reason"] for letter in (policy, lost)} == {"WRONG_PARTITION"}
    said = run(system, "replay", place(VEHICLE_POLICIES, policy), place(VEHICLE_CHARGE, lost))
    assert said == "replayed 2 dead letter(s)\n"
    wait_until(lambda: energies(system, vehicle)[-1:] == [3.0], 30, "the energy of the record that was astray")
    (back,) = (each for each in inputs(system, VEHICLE_CHARGE, vehicle) if "replay-of" in each.headers)
    assert (back.partition, back.value) == (home, lost.value)
    assert (back.headers["replay-of"], back.headers["replay-attempt"]) == (
        f"{VEHICLE_CHARGE}.dead-letter/{lost.partition}/{lost.offset}",
        "1",
    )
    assert letters_of(system, VEHICLE_CHARGE, vehicle, 1) == [lost]


def energies(system: System, vehicle: str) -> list[float]:
    """Energy in kWh of each update that has one."""
    bodies = (body(record)["session"]["statistics"]["aggregated"] for record in system.updates(vehicle))
    return [each["kwhSum"] for each in bodies if each is not None]


def test_nothing_is_replayed_twice_by_accident_and_attempts_are_counted(system: System) -> None:
    """A second replay leaves out what the first wrote; `--again` writes it with the next attempt, and a letter that
    comes of a replay knows which attempt it was.
    """
    vehicle = new_vehicle("twice")
    system.send(raw(vehicle, b"[]"))
    (letter,) = letters_of(system, VEHICLE_CHARGE, vehicle, 1)
    assert run(system, "replay", "--all", "--key", vehicle, "--dry-run").endswith("would replay 1 dead letter(s)\n")
    assert len(inputs(system, VEHICLE_CHARGE, vehicle)) == 1
    assert run(system, "replay", "--all", "--key", vehicle) == "replayed 1 dead letter(s)\n"
    letters_of(system, VEHICLE_CHARGE, vehicle, 2)
    again = run(system, "replay", place(VEHICLE_CHARGE, letter))
    assert again == "replayed 0 dead letter(s); left out 1 that were replayed before (--again)\n"
    first, second = listed(system, "--key", vehicle)
    assert [(each["attempt"], each["replays"]) for each in (first, second)] == [(0, 1), (1, 0)]
    run(system, "replay", "--again", place(VEHICLE_CHARGE, letter))
    run(system, "replay", second["place"])
    letters_of(system, VEHICLE_CHARGE, vehicle, 4)
    attempts = [record.headers.get("replay-attempt") for record in inputs(system, VEHICLE_CHARGE, vehicle)]
    assert attempts == [None, "1", "2", "2"]
    assert all(record.headers["trace"] == "kept" for record in inputs(system, VEHICLE_CHARGE, vehicle))


def test_a_wrong_key_is_put_right_when_that_is_asked_for(system: System) -> None:
    """`--key-from-value` gives a WRONG_KEY record the vehicle that it names; without it, the record goes as it was."""
    vehicle, other = new_vehicle("keyed"), new_vehicle("other")
    value = message(vehicle, T0, isPluggedIn=True)
    system.send(Outgoing(topic=VEHICLE_PLUG, key=other, value=value))
    (letter,) = letters_of(system, VEHICLE_PLUG, other, 1)
    run(system, "replay", place(VEHICLE_PLUG, letter))
    letters_of(system, VEHICLE_PLUG, other, 2)
    run(system, "replay", "--again", "--key-from-value", place(VEHICLE_PLUG, letter))
    (right,) = inputs(system, VEHICLE_PLUG, vehicle)
    assert right.partition == partition_of(vehicle, system.topics.partitions)
    marker = new_vehicle("marker")
    system.send(system.policy(marker))
    system.wait_for_states(marker, "UPCOMING")
    assert [each for each in system.dead_letters(VEHICLE_PLUG) if each.key == vehicle] == []


def test_a_letter_that_is_not_whole_is_not_replayed(system: System, topics: Topics) -> None:
    """What was cut to fit cannot be put back: one line says so, and the exit code is 1."""
    vehicle = new_vehicle("cut")
    headers = {
        "dlq-reason": "TOO_LARGE",
        "dlq-detail": "large",
        "dlq-topic": VEHICLE_CHARGE,
        "dlq-partition": "0",
        "dlq-offset": "7",
        "dlq-timestamp": "1772388000000",
        "dlq-cut": "value from 20000000 to 3145728 bytes",
    }
    system.send(Outgoing(topic=f"{VEHICLE_CHARGE}.dead-letter", key=vehicle, value=b"{", headers=headers))
    (letter,) = letters_of(system, VEHICLE_CHARGE, vehicle, 1)
    done = run_flex("dead-letters", "replay", place(VEHICLE_CHARGE, letter), env=system.topics.env())
    assert (done.returncode, done.stdout) == (1, "replayed 0 dead letter(s)\n")
    assert "the letter is not whole" in done.stderr
    assert inputs(system, VEHICLE_CHARGE, vehicle) == []
    assert topics.prefix != system.topics.prefix


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "nowhere"),
        ("show", "vehicle.plug/0/x"),
        ("replay",),
        ("replay", "--all", "vehicle.plug/0/1"),
        ("list", "--since", "2026-03-01T00:00:00"),
        ("list", "--since", "yesterday"),
        ("list", "--limit", "0"),
        ("list", "--reason", "BAD"),
    ],
)
def test_a_wrong_option_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    """A place, a time, a limit or a reason that is none is exit code 2, before any broker is asked."""
    done = run_flex("dead-letters", *arguments, env={"FLEX_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error" in done.stderr


def test_a_place_without_a_letter_is_one_line(topics: Topics) -> None:
    """Where nothing lies, `show` says so and exits with 1; an empty box lists nothing."""
    env = topics.env()
    done = run_flex("dead-letters", "show", "vehicle.plug/0/5", env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: there is no dead letter at vehicle.plug/0/5\n"
    empty = run_flex("dead-letters", "list", env=env)
    assert (empty.returncode, empty.stdout, empty.stderr) == (0, "", "0 of 0 dead letter(s)\n")


def test_a_broker_that_is_away_is_one_line() -> None:
    """Without a broker the command ends within its bound, in one line that names it."""
    done = run_flex("dead-letters", "list", env={"FLEX_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: Kafka at 127.0.0.1:1 does not answer")
