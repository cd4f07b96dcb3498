"""What the output of any run must be, whatever broke during it. Plain JSON and plain Python: it shares no code with
the worker or the session logic, and knows of them what docs/reference/topics.md tells everybody.

Every function returns findings, one sentence each; an empty list is a clean bill.
"""

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from tests.support.chaos.log import Headers, Logged

SESSION_FIELDS: Final = frozenset(
    [
        "id",
        "policyId",
        "vehicleId",
        "userId",
        "locationId",
        "state",
        "pluggedInAt",
        "pluggedOutAt",
        "blocks",
        "statistics",
        "target",
        "outcome",
        "error",
        "valuation",
    ]
)
STATES: Final = frozenset({"UPCOMING", "ACTIVE:BATTERY_RESERVE", "ACTIVE:REGULAR", "ACTIVE:IMMEDIATE_START", "SETTLED"})
# What never changes from one version of a session to the next.
FIXED_FIELDS: Final = ("id", "policyId", "vehicleId", "userId")
# Findings of one kind beyond so many say nothing new.
TOLD_AT_MOST: Final = 20

Place = tuple[str, int, int]  # topic (without prefix), partition, offset


class Update(Struct, frozen=True, kw_only=True):
    """One version of one session, as it was published."""

    version: int
    partition: int
    value: bytes
    headers: Headers
    session: Mapping[str, Any]


def broken_laws(updates: Sequence[Logged]) -> list[str]:
    """What is wrong with the records of `flex.session.updated`, given in the order of each partition.

    Versions of a session are 1, 2, 3 ... each once and in order, on one partition; every body parses and agrees with
    its key and headers; a settled session never changes; a policy has one current session at a time.
    """
    findings: list[str] = []
    by_session: dict[bytes | None, list[Logged]] = defaultdict(list)
    for record in updates:
        by_session[record.key].append(record)
    for key, records in by_session.items():
        findings += _of_one_session(key, records)
    return _told(findings + _current_sessions(updates))


def differences(run: Sequence[Logged], undisturbed: Sequence[Logged]) -> list[str]:
    """How the final sessions of a run differ from those of an undisturbed run over the same input."""
    found, expected = _finals(run), _finals(undisturbed)
    missing = [f"{key!r} is missing" for key in expected.keys() - found.keys()]
    invented = [f"{key!r} is in no undisturbed run" for key in found.keys() - expected.keys()]
    altered = [
        f"{key!r} ends differently: {_difference(found[key], expected[key])}"
        for key in expected.keys() & found.keys()
        if found[key] != expected[key]
    ]
    return _told(sorted(missing) + sorted(invented) + sorted(altered))


def byte_differences(run: Sequence[Logged], undisturbed: Sequence[Logged]) -> list[str]:
    """How the updates of a run differ from those of another, session by session, in any byte of value or headers."""
    found, expected = _series(run), _series(undisturbed)
    findings = [f"{key!r} is in only one of the runs" for key in expected.keys() ^ found.keys()]
    for key in expected.keys() & found.keys():
        if len(found[key]) != len(expected[key]):
            findings.append(f"{key!r} has {len(found[key])} updates, not {len(expected[key])}")
        for number, (one, other) in enumerate(zip(found[key], expected[key], strict=False), start=1):
            if one != other:
                findings.append(f"{key!r}, update {number}: {_difference(one, other)}")
                break
    return _told(sorted(findings))


def dead_letter_findings(
    inputs: Mapping[Place, Logged],
    letters: Iterable[Logged],
    expected: Mapping[Place, str],
    may_refuse: Callable[[Logged], bool] = lambda _: False,
) -> list[str]:
    """What is wrong with the dead letters of a run.

    Every record that must be refused (`expected`: its reason; empty: any) has exactly one; of the others only those
    that may be refused have one or none. Each has the original's key, value and headers.
    """
    findings: list[str] = []
    places: Counter[Place] = Counter()
    for letter in letters:
        place = dead_letter_place(letter)
        if place is None or place not in inputs:
            findings.append(f"a dead letter of {place} that nobody wrote")
            continue
        places[place] += 1
        reason = letter.header("dlq-reason") or ""
        if place not in expected and not may_refuse(inputs[place]):
            findings.append(f"{place} was refused as {reason}: {letter.header('dlq-detail')}")
        elif expected.get(place) and expected[place] != reason:
            findings.append(f"{place} was refused as {reason}, not {expected[place]}")
        findings += _altered(place, letter, inputs[place])
    findings += [f"{place} must be refused, and was not" for place in sorted(expected.keys() - places.keys())]
    findings += [f"{place} has {count} dead letters" for place, count in sorted(places.items()) if count > 1]
    return _told(findings)


def unread(positions: Mapping[tuple[str, int], int], ends: Mapping[tuple[str, int], int]) -> list[str]:
    """Partitions whose records were not all taken: `positions` and `ends` are next offsets."""
    return [
        f"{topic} {partition}: taken up to {positions.get((topic, partition), 0)} of {end}"
        for (topic, partition), end in sorted(ends.items())
        if positions.get((topic, partition), 0) < end
    ]


def truth_findings(updates: Sequence[Logged], visits: Sequence["Visit"]) -> list[str]:
    """Where the settled sessions of a run are not what the vehicles really did, each sample of each visit counted."""
    settled = _settled(updates)
    findings: list[str] = []
    for visit in visits:
        known = settled.pop((visit.vehicle_id, visit.in_at), None)
        if known is None:
            findings.append(f"the visit of {visit.vehicle_id} at {visit.in_at} has no settled session")
        else:
            findings += _untrue(visit, known)
    findings += [f"{vehicle} settled a visit at {in_at} that nobody made" for vehicle, in_at in settled]
    return _told(findings)


class Visit(Struct, frozen=True, kw_only=True):
    """What a vehicle did between two plug events, told by whoever made it up.

    Times as they stand in the messages. `energy_kwh`: last counter less first. `quarters_kwh`: the same by quarter-hour
    (times of their beginnings, seconds since 1970, from plug-in on).
    """

    vehicle_id: str
    in_at: str
    out_at: str
    energy_kwh: float
    quarters_kwh: Mapping[int, float]


def dead_letter_place(letter: Logged) -> Place | None:
    """Which record a dead letter is about; None where it does not say."""
    topic, partition, offset = (letter.header(f"dlq-{name}") for name in ("topic", "partition", "offset"))
    return None if topic is None or partition is None or offset is None else (topic, int(partition), int(offset))


def _of_one_session(key: bytes | None, records: list[Logged]) -> list[str]:
    findings: list[str] = []
    last: Update | None = None
    is_erased = False
    if len({record.partition for record in records}) > 1:
        findings.append(f"{key!r} lies on several partitions")
    for record in records:
        if is_erased:
            findings.append(f"{key!r} goes on after its tombstone")
        if record.value is None:
            is_erased = True
            continue
        try:
            update = _parsed(record)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            findings.append(f"{key!r} at offset {record.offset}: {type(error).__name__}: {error}")
            continue
        expected = 1 if last is None else last.version + 1
        if update.version != expected:
            findings.append(f"{key!r}: version {update.version} where {expected} was due")
        if last is not None:
            findings += _wrong_step(key, last, update)
        last = update
    return findings


def _parsed(record: Logged) -> Update:
    assert record.value is not None
    body = json.loads(record.value)
    session = body["session"]
    version = int(record.header("session-version") or "")
    if body.keys() != {"event", "userId", "createdAt", "session"} or body["event"] != "flex:session:updated":
        raise ValueError(f"the body has {sorted(body)}")
    if session.keys() != SESSION_FIELDS or session["state"] not in STATES:
        raise ValueError(f"the session has {sorted(session)} and state {session.get('state')}")
    named = {
        (record.key or b"").decode(),
        session["id"],
        str(record.header("ce_subject")),
        str(record.header("ce_id")).removesuffix(f":{version}"),
    }
    if len(named) != 1:
        raise ValueError(f"key, body and headers name several sessions: {sorted(named)}")
    if record.header("vehicle-id") != session["vehicleId"] or body["userId"] != session["userId"]:
        raise ValueError("the headers name another vehicle, or the body another user")
    if record.header("ce_time") != body["createdAt"]:
        raise ValueError("ce_time is not createdAt")
    _add_up(session)
    return Update(
        version=version, partition=record.partition, value=record.value, headers=record.headers, session=session
    )


def _add_up(session: Mapping[str, Any]) -> None:
    total, series = session["statistics"]["aggregated"], session["statistics"]["timeseries"]
    if total is not None and abs(sum(each["kwh"] for each in series) - total["kwhSum"]) > 1e-6:
        raise ValueError(f"the intervals do not add up to {total['kwhSum']} kWh")
    if any(one["endAt"] != other["startAt"] for one, other in itertools.pairwise(series)):
        raise ValueError("the intervals are not contiguous")


def _wrong_step(key: bytes | None, last: Update, update: Update) -> list[str]:
    findings = [
        f"{key!r} changed its {name} at version {update.version}"
        for name in FIXED_FIELDS
        if last.session[name] != update.session[name]
    ]
    before, after = last.session["state"], update.session["state"]
    if before == "SETTLED":
        findings.append(f"{key!r} changed at version {update.version} after it had settled")
    if before.startswith("ACTIVE") and after == "UPCOMING":
        findings.append(f"{key!r} went from {before} back to UPCOMING")
    if last.session == update.session and _event(last.headers) == _event(update.headers):
        findings.append(f"{key!r}: version {update.version} says what the one before said")
    return findings


def _event(headers: Headers) -> set[tuple[str, bytes | None]]:
    """What the headers say beyond the body: for which charging event the session stands."""
    return {pair for pair in headers if "charging-event" in pair[0]}


def _current_sessions(updates: Sequence[Logged]) -> list[str]:
    """A policy never has two current sessions, by the order of its partition."""
    findings: list[str] = []
    current: dict[str, str] = {}
    policy_of: dict[str, str] = {}
    for record in updates:
        if record.value is None:
            gone = (record.key or b"").decode(errors="replace")
            if current.get(policy_of.get(gone, "")) == gone:
                del current[policy_of[gone]]
            continue
        try:
            session = json.loads(record.value)["session"]
            policy, number, state = session["policyId"], session["id"], session["state"]
        except (ValueError, KeyError, TypeError):
            continue  # `_of_one_session` tells of it
        if policy is None:
            continue
        policy_of[number] = policy
        if state == "SETTLED":
            if current.get(policy) == number:
                del current[policy]
        elif current.setdefault(policy, number) != number:
            findings.append(f"policy {policy} has {number} while {current[policy]} is current")
            current[policy] = number
    return findings


def _finals(updates: Sequence[Logged]) -> dict[bytes | None, tuple[bytes | None, Headers]]:
    return {record.key: (record.value, record.headers) for record in updates}


def _series(updates: Sequence[Logged]) -> dict[bytes | None, list[tuple[bytes | None, Headers]]]:
    series: dict[bytes | None, list[tuple[bytes | None, Headers]]] = defaultdict(list)
    for record in updates:
        series[record.key].append((record.value, record.headers))
    return series


def _difference(found: tuple[bytes | None, Headers], expected: tuple[bytes | None, Headers]) -> str:
    """Where two updates part, in words short enough for a line."""
    if found[0] is None or expected[0] is None or found[0] == expected[0]:
        return f"headers {dict(found[1])} instead of {dict(expected[1])}" if found[0] == expected[0] else "a tombstone"
    try:
        one, other = (json.loads(value)["session"] for value in (found[0], expected[0]))
        names = [name for name in SESSION_FIELDS if one.get(name) != other.get(name)]
        if names:
            name = min(names)
            return f"{name} is {str(one.get(name))[:200]} instead of {str(other.get(name))[:200]}"
    except (ValueError, KeyError, TypeError):
        pass  # not even JSON: the bytes tell it
    at = next(
        (i for i, (a, b) in enumerate(zip(*(each[0] or b"" for each in (found, expected)), strict=False)) if a != b), 0
    )
    return f"{found[0][max(0, at - 40) : at + 40]!r} instead of {expected[0][max(0, at - 40) : at + 40]!r}"


def _altered(place: Place, letter: Logged, original: Logged) -> list[str]:
    if letter.header("dlq-cut") is not None:
        return []
    kept = tuple(pair for pair in letter.headers if not pair[0].startswith("dlq-"))
    asked = tuple(pair for pair in original.headers if not pair[0].startswith("dlq-"))
    is_same = (letter.key, letter.value, kept) == (original.key, original.value, asked)
    if is_same:
        return []
    told = [
        name
        for name, one, other in (
            ("key", letter.key, original.key),
            ("value", letter.value, original.value),
            ("headers", kept, asked),
        )
        if one != other
    ]
    return [f"the dead letter of {place} differs in {', '.join(told)} from the record"]


def _settled(updates: Sequence[Logged]) -> dict[tuple[str, str], Mapping[str, Any]]:
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for record in updates:
        session = json.loads(record.value)["session"] if record.value is not None else {}
        if session.get("state") == "SETTLED":
            found[session["vehicleId"], session["pluggedInAt"]] = session
    return found


def _untrue(visit: Visit, session: Mapping[str, Any]) -> list[str]:
    who = f"the visit of {visit.vehicle_id} at {visit.in_at}"
    findings: list[str] = []
    if session["pluggedOutAt"] != visit.out_at:
        findings.append(f"{who} ended at {visit.out_at}, not {session['pluggedOutAt']}")
    energy_kwh = session["statistics"]["aggregated"]["kwhSum"]
    if abs(energy_kwh - visit.energy_kwh) > 0.0011:
        findings.append(f"{who} took {visit.energy_kwh} kWh, not {energy_kwh}")
    for point in session["statistics"]["timeseries"]:
        expected_kwh = visit.quarters_kwh.get(_quarter(point["startAt"]), 0.0)
        # Whole watt-hours, rounded cumulatively.
        if abs(point["kwh"] - expected_kwh) > 0.0021:
            findings.append(f"{who}: {point['kwh']} kWh from {point['startAt']} on, not {expected_kwh:.4f}")
            break
    return findings


def _quarter(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp()) // 900 * 900


def _told(findings: list[str]) -> list[str]:
    more = len(findings) - TOLD_AT_MOST
    return findings if more <= 0 else [*findings[:TOLD_AT_MOST], f"... and {more} more"]
