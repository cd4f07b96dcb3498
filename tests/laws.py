"""What holds of every vehicle at every moment, whatever it told: the laws that each step of a test is held to.

Reads only what was published and what is remembered; knows nothing of how either came about.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from msgspec import structs

from models.codec import encode
from models.ids import PolicyId, SessionId
from models.session import Session, SessionState
from models.webhook import SessionUpdated
from sessions.events import Decision, Event, Output, SessionChanged, SessionErased, TelemetryReceived
from sessions.faults import newest_fault
from sessions.public import visit_session
from sessions.series import Series
from sessions.state import Vehicle, managed_by
from sessions.totals import Totals
from streams.updates import UpdateEncoder

_QUARTER_S: Final = 900
# Later than anything that is told.
_FAR: Final = datetime(9999, 1, 1, tzinfo=UTC)


def check_step(before: Vehicle, decision: Decision) -> None:
    """A refused event leaves the state as it was and changes no session."""
    if decision.refused is not None:
        assert decision.vehicle == before
        assert not any(isinstance(output, SessionChanged | SessionErased) for output in decision.outputs)


def check_history(outputs: Sequence[Output], vehicle: Vehicle) -> None:
    """Every law, over all that a vehicle has published from its first event on."""
    latest: dict[SessionId, SessionChanged] = {}
    erased: set[SessionId] = set()
    for output in outputs:
        if isinstance(output, SessionErased):
            assert latest[output.session_id].head.state is not SessionState.SETTLED
            erased.add(output.session_id)
        elif isinstance(output, SessionChanged):
            assert output.head.id not in erased
            check_successor(latest.get(output.head.id), output)
            check_session(output.session)
            latest[output.head.id] = output
    standing = [change for session_id, change in latest.items() if session_id not in erased]
    check_current([change.head for change in standing], vehicle)
    check_disjoint(standing)
    check_charging_events(standing)


def check_later(before: Vehicle, event: Event, decision: Decision) -> None:
    """What is known only moves on; and late word of the plug, without a place, neither opens nor closes a visit."""
    after = decision.vehicle
    for earlier, later in zip(_moments(before), _moments(after), strict=True):
        assert earlier is None or (later is not None and later >= earlier)
    if not isinstance(event, TelemetryReceived) or event.message.location_id is not None:
        return
    known, visit, message = before.evidence, before.visit, event.message
    if known is None or message.at >= known.at:
        return
    assert after.evidence == known
    if visit is None or after.visit is None:
        assert after.visit is visit
        return
    assert after.visit.unplugged_at == visit.unplugged_at
    assert after.visit.plugged_in_at <= visit.plugged_in_at


def _moments(vehicle: Vehicle) -> tuple[datetime | None, ...]:
    evidence_at = None if vehicle.evidence is None else vehicle.evidence.at
    return vehicle.newest_at, vehicle.left_at, evidence_at, vehicle.session_opened_at


def check_published(outputs: Sequence[Output], vehicle: Vehicle) -> None:
    """What the newest update of an active session says is what is remembered, but for time that passed idly."""
    visit = vehicle.visit
    if visit is None or visit.part.control is None:
        return
    managed = managed_by(vehicle, PolicyId(str(visit.part.policy_id)))
    assert managed is not None
    session = managed.session
    assert session is not None
    assert session.state is not None
    newest = next(
        output for output in reversed(outputs) if isinstance(output, SessionChanged) and output.head.id == session.id
    )
    until = max(visit.newest_at, visit.part.started_at)
    error = newest_fault(visit.part.control)
    head = visit_session(vehicle, visit, session, session.state, until, error=error)
    assert _without_block_energies(head) == _without_block_energies(newest.head)
    series = newest.series
    assert series is not None
    assert _without_idle_end(visit.part.totals) == _without_idle_end(series)


def check_series(decision: Decision, encoder: UpdateEncoder) -> None:
    """An update whose bytes are made from those of the one before is as it would be without them."""
    for output in decision.outputs:
        if isinstance(output, SessionChanged):
            session = output.session
            update = SessionUpdated(user_id=session.user_id, created_at=output.created_at, session=session)
            assert encoder.encode(output) == encode(update)


def check_successor(known: SessionChanged | None, change: SessionChanged) -> None:
    """Versions count 1, 2, 3 ...; SETTLED is final; an update differs; and whose session it is never changes."""
    if known is None:
        assert change.version == 1
        return
    assert change.version == known.version + 1
    assert known.head.state is not SessionState.SETTLED
    assert change.session != known.session
    assert (change.head.policy_id, change.head.user_id) == (known.head.policy_id, known.head.user_id)
    check_target(known.head, change.head)


def check_target(known: Session, session: Session) -> None:
    """Target ids grow by one with every change of the target, and with nothing else."""
    before, after = known.target.latest, session.target.latest
    assert before is not None
    assert after is not None
    if structs.replace(before, id=0) == structs.replace(after, id=0):
        # A target may have come and gone between two updates of one step.
        assert after.id == before.id or after.id >= before.id + 2
    else:
        assert after.id > before.id


def check_session(session: Session) -> None:
    """What is awaited knows nothing yet; what has begun has a start, totals and a series that adds up."""
    totals, series = session.statistics.aggregated, session.statistics.timeseries
    if session.state is SessionState.UPCOMING:
        assert (session.plugged_in_at, session.plugged_out_at, totals, series) == (None, None, None, ())
        assert (session.blocks, session.outcome.latest, session.error.latest) == ((), None, None)
        assert session.target.latest is not None
        return
    assert session.plugged_in_at is not None
    assert totals is not None
    assert (session.plugged_out_at is not None) == (session.state is SessionState.SETTLED)
    assert session.plugged_out_at is None or session.plugged_out_at >= session.plugged_in_at
    assert sum(_wh(point.kwh) for point in series) == _wh(totals.kwh_sum)
    assert all(point.kwh >= 0 for point in series)
    _check_grid(session)
    check_blocks(session)
    if session.policy_id is None:
        assert (session.blocks, session.target.latest, session.outcome.latest, session.valuation) == (
            (),
            None,
            None,
            None,
        )
    else:
        assert session.target.latest is not None


def check_blocks(session: Session) -> None:
    """Blocks follow one another without overlap within the visit; those that began hold no more than the session."""
    totals = session.statistics.aggregated
    assert totals is not None
    assert session.plugged_in_at is not None
    for one, other in pairwise(session.blocks):
        assert one.end_at <= other.start_at
    for block in session.blocks:
        assert session.plugged_in_at <= block.start_at <= block.end_at
        assert block.kwh_sum >= 0
    if session.state is SessionState.SETTLED and session.plugged_out_at is not None:
        assert all(block.end_at <= session.plugged_out_at for block in session.blocks)
        assert sum(_wh(block.kwh_sum) for block in session.blocks) <= _wh(totals.kwh_sum)


def _check_grid(session: Session) -> None:
    """The series runs from plug-in to its end (plug-out) without a gap, cut at the UTC quarter-hours."""
    series = session.statistics.timeseries
    if not series:
        assert session.plugged_out_at in {None, session.plugged_in_at}
        return
    assert series[0].start_at == session.plugged_in_at
    assert session.plugged_out_at in {None, series[-1].end_at}
    for one, other in pairwise(series):
        assert one.end_at == other.start_at
        assert _lies_on_grid(one.end_at)
    for point in series:
        assert point.end_at - point.start_at <= timedelta(seconds=_QUARTER_S)
        assert point.end_at > point.start_at or len(series) == 1


def check_current(standing: Sequence[Session], vehicle: Vehicle) -> None:
    """Each enabled policy has exactly one current session, and no other policy has one."""
    current = sorted(str(session.policy_id) for session in standing if session.state is not SessionState.SETTLED)
    enabled = sorted(managed.policy.id for managed in vehicle.policies if managed.policy.is_enabled)
    assert current == enabled
    remembered = {managed.policy.id: managed.session for managed in vehicle.policies}
    for session in standing:
        if session.state is not SessionState.SETTLED:
            kept = remembered[PolicyId(str(session.policy_id))]
            assert kept is not None
            assert (kept.id, kept.state) == (session.id, session.state)


def check_disjoint(standing: Sequence[SessionChanged]) -> None:
    """Of all sessions of a vehicle that have begun, at most one is active, and no two share a moment.

    Two that stand for the same charging event may: the first of them was a guess.
    """
    begun = sorted((change for change in standing if change.head.plugged_in_at is not None), key=_by_start)
    assert sum(change.head.plugged_out_at is None for change in begun) <= 1
    latest: SessionChanged | None = None
    for change in begun:
        if latest is not None and latest.charging_event_id != change.charging_event_id:
            end = latest.head.plugged_out_at
            assert end is not None
            assert end <= _start(change.head)
        if latest is None or _end(change) >= _end(latest):
            latest = change


def check_charging_events(standing: Sequence[SessionChanged]) -> None:
    """Each charging event that has begun is represented: by its managed session where it has one."""
    events: dict[str, list[SessionChanged]] = {}
    for change in standing:
        if change.head.plugged_in_at is not None:
            events.setdefault(change.charging_event_id, []).append(change)
    for sharing in events.values():
        assert sum(change.head.policy_id is not None for change in sharing) <= 1
        assert any(change.represents_charging_event for change in sharing)


def _without_block_energies(session: Session) -> Session:
    """When a vehicle charged within an interval may be learnt later than how much: that moves no energy of its own."""
    return structs.replace(session, blocks=tuple(structs.replace(block, kwh_sum=0.0) for block in session.blocks))


def _without_idle_end(series: Totals | Series) -> tuple[object, ...]:
    energy_wh = list(series.energy_wh)
    while energy_wh and not energy_wh[-1]:
        energy_wh.pop()
    levels = list(series.levels[: len(energy_wh)])
    # Behind the last level there may be rows without one, or none.
    while levels and levels[-1] is None:
        levels.pop()
    return energy_wh, levels


def _start(session: Session) -> datetime:
    assert session.plugged_in_at is not None
    return session.plugged_in_at


def _by_start(change: SessionChanged) -> tuple[datetime, bool, datetime]:
    # An open session comes after those of its moment that have ended.
    start, end = _start(change.head), change.head.plugged_out_at
    return start, end is None, end or start


def _end(change: SessionChanged) -> datetime:
    return change.head.plugged_out_at or _FAR


def _lies_on_grid(moment: datetime) -> bool:
    return moment.timestamp() % _QUARTER_S == 0


def _wh(energy_kwh: float) -> int:
    energy_wh = round(energy_kwh * 1000)
    assert energy_wh / 1000 == energy_kwh
    return energy_wh
