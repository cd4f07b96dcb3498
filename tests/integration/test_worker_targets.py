"""Target overrides by real messages: bad ones have their reason in the dead-letter topic, good ones do not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.topics import SESSION_TARGETS
from runtime.partitions import partition_of
from tests.support.records import Outgoing, Record
from tests.support.waiting import wait_until
from tests.support.worker import System, new_vehicle, stamp

pytestmark = pytest.mark.integration

T0 = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)


def value(vehicle: str, **changes: Any) -> dict[str, Any]:
    """An override to charge to 90 % at once."""
    target = {"type": "IMMEDIATE_START", "minimumChargeTarget": 90}
    return {"vehicleId": vehicle, "sessionId": "s-1", "at": stamp(T0), "target": target} | changes


def regular(ready_by: datetime) -> dict[str, Any]:
    return {"type": "REGULAR", "batteryReserve": 20, "minimumChargeTarget": 80, "readyBy": stamp(ready_by)}


def test_each_bad_override_is_kept_with_its_reason(system: System) -> None:
    """Whatever is wrong with an override, it is in the dead-letter topic with the reason; the good ones are not."""
    vehicle = new_vehicle("override")
    bad: list[tuple[Any, str]] = [
        (b"at once!", "MALFORMED_JSON"),
        (None, "NULL_VALUE"),
        (value(vehicle, target=regular(T0 + timedelta(days=9))), "INVALID_MESSAGE"),
        (value(vehicle, target={"type": "IMMEDIATE_START", "minimumChargeTarget": 101}), "INVALID_MESSAGE"),
        ({name: said for name, said in value(vehicle).items() if name != "target"}, "INVALID_MESSAGE"),
        (value("another"), "WRONG_KEY"),
        (value(vehicle, at="1970-01-01T00:00:00Z"), "TOO_OLD"),
        (value(vehicle, at="2100-01-01T00:00:00Z"), "IN_FUTURE"),
    ]
    good = [value(vehicle), value(vehicle, target=None), value(vehicle, target=regular(T0 + timedelta(hours=9)))]
    system.send(system.policy(vehicle))
    system.wait_for_states(vehicle, "UPCOMING")
    for said, _ in bad:
        system.send(
            Outgoing(topic=SESSION_TARGETS, key=vehicle, value=said, headers={"trace": "kept"}),
            *(Outgoing(topic=SESSION_TARGETS, key=vehicle, value=each) for each in good),
        )
    wrong = 1 - partition_of(vehicle, system.topics.partitions)
    system.send(Outgoing(topic=SESSION_TARGETS, key=vehicle, value=value(vehicle), partition=wrong))

    def letters() -> list[Record]:
        return [letter for letter in system.dead_letters(SESSION_TARGETS) if letter.key == vehicle]

    wait_until(lambda: len(letters()) > len(bad), 20, "all dead letters")
    by_partition = {letter.partition: [] for letter in letters()}  # type: dict[int, list[Record]]
    for letter in letters():
        by_partition[letter.partition].append(letter)
    assert [letter.headers["dlq-reason"] for letter in by_partition[1 - wrong]] == [reason for _, reason in bad]
    assert [letter.headers["dlq-reason"] for letter in by_partition[wrong]] == ["WRONG_PARTITION"]
    assert {letter.headers["trace"] for letter in by_partition[1 - wrong]} == {"kept"}
