"""Policies in a batch of one partition: whose they are, what is restored, and what a state of another release holds."""

from datetime import timedelta

import pytest
from msgspec import structs

from models.policy import ANSWERS_HEADER, FINGERPRINT_HEADER, RESTORED_HEADER
from models.topics import (
    SESSION_UPDATED,
    VEHICLE_POLICIES,
    dead_letter_topic,
)
from runtime.partitions import partition_of
from sessions.events import Rules
from sessions.prices import PriceBook
from sessions.targets import ready_by
from streams.logic import SessionLogic
from streams.records import InputRecord
from tests.support.processor_bench import CAR, HOME, NOW, PARTITIONS, T0, Bench, deletion, plug, policy, record
from tests.support.records import Outgoing
from tests.support.worker import policy_value


def test_a_deletion_finds_the_vehicle_of_its_policy() -> None:
    """A deletion names only the policy; the session of its vehicle is erased, and the policy forgotten."""
    bench = Bench()
    bench.take(policy())
    bench.take(deletion())
    assert bench.of(SESSION_UPDATED)[-1].value is None
    assert bench.policies == {}
    assert bench.vehicles[CAR].policies == ()


def test_a_policy_does_not_change_its_vehicle() -> None:
    """A known policy that names another vehicle is refused, and what stands is restored."""
    bench = Bench()
    other = next(name for name in map(str, range(99)) if partition_of(name, PARTITIONS) == HOME)
    bench.take(policy(), policy(vehicle=other))
    (refused,) = bench.of(dead_letter_topic(VEHICLE_POLICIES))
    assert dict(refused.headers)["dlq-reason"] == b"POLICY_IMMUTABLE"
    (restored,) = bench.of(VEHICLE_POLICIES)
    assert b'"vehicleId":"car"' in (restored.value or b"")
    assert bench.policies == {"p": CAR}


def test_a_restored_record_read_again_ends_the_matter() -> None:
    """What the worker restores, it takes as standing when it reads it: no record follows from it."""
    bench = Bench()
    bench.take(policy(), policy("rival"), record(Outgoing(topic=VEHICLE_POLICIES, key="p", value=b"garbled")))
    restored = bench.of(VEHICLE_POLICIES)
    assert [(out.key, out.value is None) for out in restored] == [(b"rival", True), (b"p", False)]
    before = len(bench.published)
    bench.take(*(InputRecord(out.topic, HOME, 9, out.key, out.value, T0, tuple(out.headers)) for out in restored))
    assert all(dict(out.headers)[RESTORED_HEADER] == b"ours" for out in restored)
    assert len(bench.published) == before


def test_what_another_state_restored_is_taken_where_nothing_is_known() -> None:
    """All that compaction left of a policy is what a worker, whose state is lost, put back: it stands, its vehicle is
    known by it, and its fingerprint goes with what is restored; a tombstone of that worker ends it.
    """
    former = Outgoing(
        topic=VEHICLE_POLICIES,
        key="p",
        value=policy_value(CAR, "p"),
        headers={RESTORED_HEADER: "another's", FINGERPRINT_HEADER: "f" * 64},
    )
    bench = Bench()
    bench.take(record(former))
    assert (bench.policies, bench.of(VEHICLE_POLICIES), len(bench.of(SESSION_UPDATED))) == ({"p": CAR}, [], 1)
    bench.take(record(Outgoing(topic=VEHICLE_POLICIES, key="p", value=b"garbled")))
    (restored,) = bench.of(VEHICLE_POLICIES)
    assert dict(restored.headers) == {
        RESTORED_HEADER: b"ours", FINGERPRINT_HEADER: b"f" * 64, ANSWERS_HEADER: b"0"
    }  # fmt: skip
    bench.take(record(Outgoing(topic=VEHICLE_POLICIES, key="p", value=None, headers={RESTORED_HEADER: "another's"})))
    assert (bench.policies, bench.of(VEHICLE_POLICIES)) == ({}, [restored])
    assert bench.vehicles[CAR].policies == ()


def test_what_another_state_restored_and_does_not_count_leaves_no_trace() -> None:
    """A policy that is known to be deleted does not come back by what was restored before: that is written over."""
    bench = Bench()
    bench.take(policy())
    bench.take(deletion())
    late = record(
        Outgoing(topic=VEHICLE_POLICIES, key="p", value=policy_value(CAR, "p"), headers={RESTORED_HEADER: "another's"})
    )
    bench.take(structs.replace(late, logged_at=NOW))
    assert bench.policies == {}
    assert [(out.key, out.value) for out in bench.of(VEHICLE_POLICIES)] == [(b"p", None)]


def test_a_fingerprint_that_no_api_wrote_is_not_kept() -> None:
    """A header of any length does not make a state of that length."""
    bench = Bench()
    long = {FINGERPRINT_HEADER: "f" * 65}
    bench.take(record(Outgoing(topic=VEHICLE_POLICIES, key="p", value=policy_value(CAR, "p"), headers=long)))
    assert [each.fingerprint for each in bench.vehicles[CAR].policies] == [None]


def test_a_policy_on_a_wrong_partition_is_overwritten_there() -> None:
    """A policy that lies on another vehicle's partition is refused, and a null value follows it there."""
    bench = Bench()
    astray = next(name for name in map(str, range(99)) if partition_of(name, PARTITIONS) != HOME)
    bench.take(policy(vehicle=astray))
    (restored,) = bench.of(VEHICLE_POLICIES)
    assert (restored.key, restored.value, restored.partition) == (b"p", None, HOME)


def with_zone_of_another_release(bench: Bench) -> None:
    """Policy p stands with a deadline and a zone that only another release has, as after a roll-back."""
    week = {"monday": {"deadline": "07:00", "minimumChargeTarget": 80}}
    former = policy(timezoneName="Mars/Base", schedule=week)
    bench.take(structs.replace(former, headers=((RESTORED_HEADER, b"another release"),)))
    assert bench.policies == {"p": CAR}


def test_a_policy_whose_zone_is_not_known_is_planned_without_deadlines(capsys: pytest.CaptureFixture[str]) -> None:
    """A worker begins anew with such a policy, asks its vehicle anew and takes its records; the log names it once."""
    bench = Bench()
    with_zone_of_another_release(bench)
    capsys.readouterr()
    bench.logic = SessionLogic(Rules(visit_timeout=timedelta(hours=1)), PriceBook())
    bench.start()
    assert bench.processor.ask_anew(10)
    bench.take(plug(0, True), plug(5, True))
    bench.fire(T0 + timedelta(minutes=30))
    (managed,) = bench.vehicles[CAR].policies
    assert managed.session is not None
    assert ready_by(managed.session.target) is None
    assert capsys.readouterr().out.count("the zone of a policy is not known") == 1


def test_a_policy_whose_zone_is_not_known_is_restored_once() -> None:
    """A refused record of such a policy puts back what stands, and what was put back is not refused for its zone."""
    bench = Bench()
    with_zone_of_another_release(bench)
    bench.take(policy(timezoneName="Mars/Outpost"))
    (refused,) = bench.of(dead_letter_topic(VEHICLE_POLICIES))
    assert dict(refused.headers)["dlq-reason"] == b"INVALID_MESSAGE"
    (restored,) = bench.of(VEHICLE_POLICIES)
    assert b'"timezoneName":"Mars/Base"' in (restored.value or b"")
    before = len(bench.published)
    bench.take(InputRecord(restored.topic, HOME, 9, restored.key, restored.value, T0, tuple(restored.headers)))
    assert len(bench.published) == before
