"""Each law of the stream, broken: the judge names it, and nothing else."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import structs

from models.command import Action, ChargeCommand, Reason
from models.ids import ChargingEventId, CommandId, PolicyId, SessionId
from models.session import (
    Aggregated,
    Block,
    LatestOutcome,
    LatestTarget,
    Outcome,
    RegularTarget,
    Session,
    SessionState,
    Statistics,
    TariffCost,
    Valuation,
)
from simulator.judge import laws
from simulator.judge.findings import Finding, Update
from simulator.judge.laws import Ledger
from simulator.live.judging import ToldIntervals
from tests.builders import ANN, BOB, HOME, VEHICLE, minute

P1, P2 = PolicyId("p1"), PolicyId("p2")
TARGET: Final = RegularTarget(
    id=1, source="POLICY", battery_reserve=0.0, minimum_charge_target=80.0, ready_by=minute(600)
)
Step = Update | ChargeCommand | SessionId | tuple[PolicyId, ...]


def block(start: float, end: float, kwh: float = 1.0) -> Block:
    """A block from one minute to another."""
    return Block(type="REGULAR", kwh_sum=kwh, start_at=minute(start), end_at=minute(end))


def update(state: SessionState, version: int, at: float, intervals: ToldIntervals | None, **fields: Any) -> Update:
    """An update of session "s" and policy p1; `fields` are of the session, or of the update where it has them."""
    own = {name: fields.pop(name) for name in ("charging_event_id", "represents") if name in fields}
    head = Session(
        id=SessionId("s"),
        policy_id=P1,
        vehicle_id=VEHICLE,
        user_id=ANN,
        location_id=HOME,
        state=state,
        plugged_in_at=None,
        plugged_out_at=None,
        target=LatestTarget(latest=TARGET),
    )
    event_id = own.get("charging_event_id", ChargingEventId("e"))
    return Update(
        head=structs.replace(head, **fields),
        intervals=intervals,
        version=version,
        created_at=minute(at),
        charging_event_id=event_id,
        represents=own.get("represents", True),
    )


def awaited(version: int = 1, at: float = -10, **fields: Any) -> Update:
    """It waits for the plug-in."""
    return update(SessionState.UPCOMING, version, at, None, **fields)


def _going(state: SessionState, version: int, at: float, wh: Sequence[int], fields: dict[str, Any]) -> Update:
    start = fields.pop("start", 0)
    end = fields.pop("end", at)
    told = ToldIntervals(minute(start), minute(end), tuple(wh), (None,) * len(wh), fields.pop("count", len(wh)))
    is_settled = state is SessionState.SETTLED
    fields = {
        "plugged_in_at": minute(start),
        "plugged_out_at": minute(end) if is_settled else None,
        "statistics": Statistics(aggregated=Aggregated(kwh_sum=sum(wh) / 1_000, battery_from=50, battery_to=51)),
        "outcome": outcome("SUCCEEDED" if is_settled else "ON_TRACK"),
    } | fields
    return update(state, version, at, fields.pop("intervals", told), **fields)


def active(version: int = 2, at: float = 15, wh: Sequence[int] = (1_000,), **fields: Any) -> Update:
    """It charges since minute 0."""
    return _going(SessionState.ACTIVE_REGULAR, version, at, wh, fields)


def settled(version: int = 3, at: float = 30, wh: Sequence[int] = (1_000, 500), **fields: Any) -> Update:
    """It is over at minute 30."""
    return _going(SessionState.SETTLED, version, at, wh, fields)


def observed(name: str, start: float, end: float, **fields: Any) -> Update:
    """A session that nobody managed, of an event of its own."""
    plain: dict[str, Any] = {"id": SessionId(name), "policy_id": None, "charging_event_id": ChargingEventId(name)}
    plain |= {"target": LatestTarget(), "outcome": LatestOutcome()}
    return settled(1, end, (100,), start=start, **(plain | fields))


def outcome(state: str) -> LatestOutcome:
    """Of the first target."""
    told = Outcome(
        target_id=1,
        type="REGULAR",
        state=state,
        battery_level_at_ready_by=None,
        minimum_charge_target_reached_at=None,
    )
    return LatestOutcome(latest=told)


def target(number: int, percent: float) -> LatestTarget:
    """A target of that number."""
    return LatestTarget(latest=structs.replace(TARGET, id=number, minimum_charge_target=percent))


def command(at: float, session: str = "s", holds: float = 2, reason: Reason = Reason.WAITING) -> ChargeCommand:
    """A STOP that holds for so many minutes."""
    return ChargeCommand(
        command_id=CommandId(f"c{at}"),
        vehicle_id=VEHICLE,
        user_id=ANN,
        policy_id=P1,
        session_id=SessionId(session),
        action=Action.STOP,
        reason=reason,
        at=minute(at),
        valid_until=minute(at + holds),
    )


def found(steps: Sequence[Step]) -> list[str]:
    """The laws that a history breaks."""
    findings: list[Finding] = []
    ledger = Ledger(VEHICLE, findings.append, is_ordered=True)
    take: dict[type, Callable[[Any], None]] = {
        Update: ledger.take,
        ChargeCommand: lambda step: ledger.command(step, step.at),
        str: lambda step: ledger.erase(step, minute(0)),
        tuple: lambda step: ledger.after_step(step, minute(0)),
    }
    for step in steps:
        take[type(step)](step)
    return [finding.law for finding in findings]


COST: Final = Valuation(currency="EUR", tariff_cost=TariffCost(actual=1.0, baseline=3.0, savings=2.0))
GOOD: Final[dict[str, list[Step]]] = {
    "a session from its anticipation to its end": [
        awaited(), (P1,), active(), (P1,), settled(valuation=COST, blocks=(block(0, 20),)), (),
    ],
    "one that is withdrawn": [awaited(), SessionId("s"), ()],
    "its commands": [awaited(), active(), command(15), command(17), settled(), command(19, reason=Reason.RELEASED)],
    "nobody's": [observed("o1", 0, 30), observed("o2", 30, 60)],
    "a target that came and went": [awaited(), awaited(2, -5, target=target(3, 80))],
    "a guess, then the managed session, then what only was observed of one event": [
        observed("o1", 0, 30),
        settled(1, charging_event_id=ChargingEventId("o1")),
        observed("o2", 30, 60, charging_event_id=ChargingEventId("o1"), represents=False),
    ],
}  # fmt: skip
BROKEN: Final[list[tuple[str, list[Step]]]] = [
    ("final sessions stay", [settled(1), settled(2, 40)]),
    ("versions count 1, 2, 3", [awaited(2)]),
    ("versions count 1, 2, 3", [awaited(), active(3)]),
    ("unmanaged sessions are published settled", [awaited(policy_id=None)]),
    ("one current session a policy", [awaited(), awaited(id=SessionId("other"))]),
    ("one current session a policy", [awaited(), (P1, P2)]),
    ("one current session a policy", [awaited(), ()]),
    ("only awaited sessions are erased", [awaited(), active(), SessionId("s")]),
    ("one active session a vehicle", [active(1), active(1, id=SessionId("other"), policy_id=P2), (P1, P2)]),
    ("a command holds for 2 min from when it is written", [active(1), command(15, holds=1)]),
    ("a command holds for 2 min from when it is written", [active(1), command(15, holds=40)]),
    ("one command at a time", [active(1), command(15), command(16)]),
    ("commands are of active sessions", [awaited(), command(0)]),
    ("commands are of active sessions", [active(1), command(15, "other")]),
    ("whose session it is never changes", [awaited(), active(user_id=BOB)]),
    ("an active session never waits again", [active(1), awaited(2, 20)]),
    ("updates come in the order of their causes", [awaited(), active(at=-11, end=15)]),
    ("the plug-in stays", [active(1), active(2, 20, start=1)]),
    ("the plug-in stays", [active(1), active(2, 20, start=-1)]),
    ("an update brings news", [active(1), active(2)]),
    ("past blocks stay", [active(1, blocks=(block(0, 5),)), active(2, 20, blocks=(block(0, 6),))]),
    ("target ids grow with every change", [awaited(), awaited(2, -5, target=target(1, 70))]),
    ("target ids grow with every change", [awaited(), awaited(2, -5, target=target(2, 80))]),
    ("an awaited session knows only its target", [awaited(blocks=(block(0, 5),))]),
    ("an awaited session knows only its target", [awaited(target=LatestTarget())]),
    ("a session that began has a start and totals", [active(1, statistics=Statistics())]),
    ("plugged out is settled", [active(1, plugged_out_at=minute(15))]),
    ("the series adds up", [active(1, intervals=ToldIntervals(minute(0), minute(15), (999,), (None,), 1))]),
    ("an interval holds what can be charged in it", [active(1, 30, (-1, 1))]),
    ("an interval holds what can be charged in it", [active(1, wh=(100_001,))]),
    ("the series is as long as the session", [active(1, count=0)]),
    ("an unmanaged session has no plan", [observed("o", 0, 30, outcome=outcome("SUCCEEDED"))]),
    ("a managed session has target and outcome", [active(1, outcome=LatestOutcome())]),
    ("a managed session has target and outcome", [active(1, outcome=outcome("PERHAPS"))]),
    ("blocks lie in the session", [active(1, blocks=(block(-1, 5),))]),
    ("blocks lie in the session", [settled(1, blocks=(block(0, 31),))]),
    ("blocks do not overlap", [active(1, blocks=(block(0, 6), block(5, 10)))]),
    ("a block has a length", [active(1, blocks=(block(6, 5),))]),
    ("a block has a length", [active(1, blocks=(block(0, 5, -1.0),))]),
    ("blocks hold no more than the session", [settled(1, blocks=(block(0, 20, 1.501),))]),
    ("the series ends with the session", [settled(1, end=30, plugged_out_at=minute(31))]),
    ("a settled session has a verdict", [settled(1, outcome=outcome("ON_TRACK"))]),
    ("savings are baseline less actual", [settled(1, valuation=structs.replace(
        COST, tariff_cost=TariffCost(actual=1.0, baseline=3.0, savings=-2.0)))]),
    ("sessions do not overlap", [observed("o1", 0, 30), observed("o2", 29, 60)]),
    ("a session has a length", [settled(1, 30, (100,), plugged_out_at=minute(-1))]),
    ("the managed session represents its event, else the later", [active(1, represents=False)]),
    ("the managed session represents its event, else the later", [observed("o", 0, 30, represents=False)]),
    ("the managed session represents its event, else the later", [
        settled(1), observed("o", 30, 60, charging_event_id=ChargingEventId("e"))]),
]  # fmt: skip
# What waits again has lost its plug-in.
BESIDE: Final = {"an active session never waits again": ["the plug-in stays"]}


@pytest.mark.parametrize("steps", GOOD.values(), ids=GOOD)
def test_what_breaks_no_law_is_no_finding(steps: list[Step]) -> None:
    """A history that keeps every law finds nothing."""
    assert found(steps) == []


@pytest.mark.parametrize(("law", "steps"), BROKEN, ids=[f"{place} {law}" for place, (law, _) in enumerate(BROKEN)])
def test_a_law_that_is_broken_is_named(law: str, steps: list[Step]) -> None:
    """A history that breaks one law finds that one, and no other that can be kept."""
    assert found(steps) == [law, *BESIDE.get(law, ())]


def test_every_law_is_broken_once() -> None:
    """No law stands in the judge without a history here that breaks it."""
    text = Path(laws.__file__).read_text()
    known = set(re.findall(r'_report\(\s*"([^"]+)"', text))
    assert len(known) > 30
    assert known == {law for law, _ in BROKEN}


def test_what_was_told_before_the_judge_came_is_taken_as_it_stands() -> None:
    """Sessions of before are adopted without a word, and held to the laws from then on."""
    findings: list[Finding] = []
    ledger = Ledger(VEHICLE, findings.append, is_ordered=True)
    ledger.adopt(active(7))
    assert ledger.current == {P1: SessionId("s")}
    assert ledger.active_since == minute(0)
    ledger.take(settled(8))
    assert not findings
    assert not ledger.current
    ledger.adopt(settled(8))
    ledger.take(settled(9))
    assert [finding.law for finding in findings] == ["final sessions stay"]
    ledger.adopt(awaited(id=SessionId("next")))
    ledger.forget(SessionId("next"))
    assert ledger.current == {}


def test_messages_that_come_late_move_what_they_tell_of() -> None:
    """Where words come out of order, a plug-in may move back and causes may come late, but none moves forward."""
    findings: list[Finding] = []
    ledger = Ledger(VEHICLE, findings.append, is_ordered=False)
    ledger.take(active(1, 15))
    ledger.take(active(2, 10, start=-5, end=15))
    assert findings == []
    ledger.take(active(3, 20, start=1))
    assert [(finding.law, finding.at) for finding in findings] == [("the plug-in stays", minute(20))]
