"""The checker itself: it passes what is right, and names each way in which a log of updates can be wrong."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.chaos.checker import (
    SESSION_FIELDS,
    Visit,
    broken_laws,
    byte_differences,
    dead_letter_findings,
    differences,
    truth_findings,
    unread,
)
from tests.support.chaos.log import Logged

Log = list[Logged]


def session(name: str, state: str, kwh: float, **changes: Any) -> dict[str, Any]:
    """A session object with every field of the contract."""
    fields: dict[str, Any] = dict.fromkeys(SESSION_FIELDS)
    points = [{"startAt": "2026-03-02T06:00:00Z", "endAt": "2026-03-02T06:15:00Z", "kwh": kwh, "batteryLevel": None}]
    return fields | {
        "id": name,
        "policyId": f"policy-{name}",
        "vehicleId": "v",
        "userId": "u",
        "state": state,
        "pluggedInAt": "2026-03-02T06:00:00Z",
        "pluggedOutAt": "2026-03-02T06:30:00Z" if state == "SETTLED" else None,
        "blocks": [],
        "statistics": {"aggregated": {"kwhSum": kwh}, "timeseries": points},
        **changes,
    }


def update(name: str, version: int, state: str, kwh: float, offset: int, **changes: Any) -> Logged:
    """One record of the topic."""
    at = f"2026-03-02T06:{version:02}:00Z"
    body = {
        "event": "flex:session:updated",
        "userId": "u",
        "createdAt": at,
        "session": session(name, state, kwh, **changes),
    }
    headers: dict[str, str] = {
        "ce_id": f"{name}:{version}",
        "ce_subject": name,
        "ce_time": at,
        "session-version": str(version),
        "vehicle-id": "v",
    }
    return Logged(
        topic="t",
        partition=0,
        offset=offset,
        timestamp_ms=0,
        key=name.encode(),
        value=json.dumps(body).encode(),
        headers=tuple((key, text.encode()) for key, text in headers.items()),
    )


def good_log() -> Log:
    """Two sessions of two policies, all is well."""
    states = ("UPCOMING", "ACTIVE:REGULAR", "ACTIVE:REGULAR", "SETTLED")
    return [
        update(name, version, state, version / 10, 10 * version + shift)
        for version, state in enumerate(states, start=1)
        for shift, name in enumerate(("a", "b"))
    ]


def lost(log: Log) -> Log:
    return [record for record in log if record.offset != 21]


def first_lost(log: Log) -> Log:
    return log[1:]


def doubled(log: Log) -> Log:
    return [*log[:3], log[2], *log[3:]]


def doubled_later(log: Log) -> Log:
    return [*log, log[2]]


def reordered(log: Log) -> Log:
    return [*log[:2], log[4], log[3], log[2], *log[5:]]


def on_two_partitions(log: Log) -> Log:
    return [*log[:-1], rewritten(log[-1], partition=1)]


def changed_after_settling(log: Log) -> Log:
    return [*log, update("a", 5, "SETTLED", 9.9, 99)]


def gone_back(log: Log) -> Log:
    return [*log[:6], update("a", 4, "UPCOMING", 0.4, 40), log[7]]


def truncated(log: Log) -> Log:
    return [*log[:-1], rewritten(log[-1], value=(log[-1].value or b"")[:-3])]


def of_another_vehicle(log: Log) -> Log:
    return [*log[:-1], update("b", 4, "SETTLED", 0.4, 41, vehicleId="w")]


def not_adding_up(log: Log) -> Log:
    return [*log[:-1], update("b", 4, "SETTLED", 0.4, 41, statistics={"aggregated": {"kwhSum": 9.0}, "timeseries": []})]


def said_again(log: Log) -> Log:
    return [*log[:6], update("a", 4, "ACTIVE:REGULAR", 0.3, 40), log[7]]


def two_current(log: Log) -> Log:
    return [*log, update("c", 1, "UPCOMING", 0.1, 60), update("d", 1, "UPCOMING", 0.1, 61, policyId="policy-c")]


def risen_again(log: Log) -> Log:
    return [*log, rewritten(log[-1], value=None), log[-1]]


def rewritten(record: Logged, **changes: Any) -> Logged:
    """The record with some fields changed."""
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    return Logged(**(fields | changes))


def test_a_right_log_has_no_findings() -> None:
    """What keeps every law is reported clean, and equal to itself."""
    log = good_log()
    assert broken_laws(log) == differences(log, log) == byte_differences(log, log) == []


@pytest.mark.parametrize(
    "damage",
    [
        lost,
        first_lost,
        doubled,
        doubled_later,
        reordered,
        on_two_partitions,
        changed_after_settling,
        gone_back,
        truncated,
        of_another_vehicle,
        not_adding_up,
        said_again,
        two_current,
        risen_again,
    ],
)
def test_each_broken_law_is_found(damage: Callable[[Log], Log]) -> None:
    """A lost, doubled, reordered, moved, contradictory or unreadable update is a finding without any comparison."""
    assert broken_laws(damage(good_log()))


def test_a_lost_last_update_is_found_by_comparison() -> None:
    """Versions alone cannot show that the last one is missing: the undisturbed run does."""
    log = good_log()
    assert broken_laws(log[:-1]) == []
    assert differences(log[:-1], log)
    assert byte_differences(log[:-1], log)


def test_a_lost_or_invented_session_is_found_by_comparison() -> None:
    """A session that is in only one of two runs is a finding."""
    log = good_log()
    without = [record for record in log if record.key == b"a"]
    assert differences(without, log) == ["b'b' is missing"]
    assert differences(log, without) == ["b'b' is in no undisturbed run"]


def test_an_altered_update_is_found_by_comparison() -> None:
    """One digit of a body, or one header, that differs from the undisturbed run is a finding that names the place."""
    log = good_log()
    other_body = [*log[:-1], update("b", 4, "SETTLED", 0.5, 41)]
    assert broken_laws(other_body) == []
    (finding,) = differences(other_body, log)
    assert "statistics" in finding
    in_between = [*log[:4], update("a", 3, "ACTIVE:REGULAR", 0.31, 30), *log[5:]]
    assert broken_laws(in_between) == differences(in_between, log) == []
    assert byte_differences(in_between, log)
    other_header = [*log[:-1], rewritten(log[-1], headers=(*log[-1].headers, ("represents-charging-event", b"false")))]
    assert broken_laws(other_header) == []
    assert differences(other_header, log)


REFUSED = Logged(topic="in", partition=0, offset=7, timestamp_ms=0, key=b"k", value=b"{", headers=(("h", b"1"),))


def letter(**changes: Any) -> Logged:
    """A right dead letter of REFUSED, or a wrong one."""
    own = (("dlq-reason", b"MALFORMED_JSON"), ("dlq-topic", b"in"), ("dlq-partition", b"0"), ("dlq-offset", b"7"))
    right = {"topic": "in.dead-letter", "offset": 0, "headers": (*REFUSED.headers, *own)}
    return rewritten(REFUSED, **(right | changes))


def test_dead_letters_are_counted_one_to_one() -> None:
    """A refused record without, with two, or with an altered dead letter is a finding, so is a letter of a good one."""
    inputs = {("in", 0, 7): REFUSED}
    expected = {("in", 0, 7): "MALFORMED_JSON"}
    assert dead_letter_findings(inputs, [letter()], expected) == []
    assert dead_letter_findings(inputs, [], expected)
    assert dead_letter_findings(inputs, [letter(), letter(offset=1)], expected)
    assert dead_letter_findings(inputs, [letter(value=b"[")], expected)
    assert dead_letter_findings(inputs, [letter(headers=letter().headers[1:])], expected)
    assert dead_letter_findings(inputs, [letter()], {})
    assert dead_letter_findings(inputs, [letter()], {("in", 0, 7): "WRONG_KEY"})
    assert dead_letter_findings({}, [letter()], {})


def test_records_that_were_not_taken_are_found() -> None:
    """A partition whose position is below its end, or that has none, is a finding."""
    assert unread({("in", 0): 8}, {("in", 0): 8, ("in", 1): 0}) == []
    assert unread({("in", 0): 7}, {("in", 0): 8}) == ["in 0: taken up to 7 of 8"]
    assert unread({}, {("in", 0): 8})


def test_a_lost_sample_shows_in_the_truth() -> None:
    """A settled session has the energy of each quarter-hour, the bounds and the visit that the vehicle knows."""
    visit = Visit(
        vehicle_id="v",
        in_at="2026-03-02T06:00:00Z",
        out_at="2026-03-02T06:30:00Z",
        energy_kwh=0.4,
        quarters_kwh={1772431200: 0.4},
    )
    log = good_log()[-2:]
    assert truth_findings(log[-1:], [visit]) == []
    assert truth_findings([], [visit])
    assert truth_findings(log[-1:], [])
    for altered in (
        Visit(**{**_fields(visit), "energy_kwh": 0.5}),
        Visit(**{**_fields(visit), "out_at": "2026-03-02T06:31:00Z"}),
        Visit(**{**_fields(visit), "quarters_kwh": {1772431200: 0.3}}),
    ):
        assert truth_findings(log[-1:], [altered])


def _fields(visit: Visit) -> dict[str, Any]:
    return {name: getattr(visit, name) for name in visit.__struct_fields__}
