"""What holds of every vehicle at every moment, whatever it told: the laws that each step of a test is held to.

Reads only what was published and what is remembered; knows nothing of how either came about.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from models.ids import PolicyId, SessionId
from models.session import Session, SessionState
from sessions.events import Decision, Output, SessionChanged, SessionErased
from sessions.state import Vehicle

_QUARTER_S: Final = 900


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
            assert latest[output.session_id].session.state is not SessionState.SETTLED
            erased.add(output.session_id)
        elif isinstance(output, SessionChanged):
            assert output.session.id not in erased
            check_successor(latest.get(output.session.id), output)
            check_session(output.session)
            latest[output.session.id] = output
    standing = [change for session_id, change in latest.items() if session_id not in erased]
    check_current([change.session for change in standing], vehicle)
    check_disjoint([change.session for change in standing])
    check_charging_events(standing)


def check_successor(known: SessionChanged | None, change: SessionChanged) -> None:
    """Versions count 1, 2, 3 ...; SETTLED is final; an update differs; and whose session it is never changes."""
    if known is None:
        assert change.version == 1
        return
    assert change.version == known.version + 1
    assert known.session.state is not SessionState.SETTLED
    assert change.session != known.session
    assert (change.session.policy_id, change.session.user_id) == (known.session.policy_id, known.session.user_id)


def check_session(session: Session) -> None:
    """What is awaited knows nothing yet; what has begun has a start, totals and a series that adds up."""
    totals, series = session.statistics.aggregated, session.statistics.timeseries
    if session.state is SessionState.UPCOMING:
        assert (session.plugged_in_at, session.plugged_out_at, totals, series) == (None, None, None, ())
        return
    assert session.plugged_in_at is not None
    assert totals is not None
    assert (session.plugged_out_at is not None) == (session.state is SessionState.SETTLED)
    assert session.plugged_out_at is None or session.plugged_out_at >= session.plugged_in_at
    assert sum(_wh(point.kwh) for point in series) == _wh(totals.kwh_sum)
    assert all(point.kwh >= 0 for point in series)
    _check_grid(session)


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


def check_disjoint(standing: Sequence[Session]) -> None:
    """No two sessions of a vehicle share a moment from plug-in to plug-out, and at most one is active."""
    begun = [session for session in standing if session.plugged_in_at is not None]
    spans = sorted(((_start(session), session.plugged_out_at) for session in begun), key=_by_start)
    for (_, end), (start, _) in pairwise(spans):
        assert end is not None
        assert end <= start


def check_charging_events(standing: Sequence[SessionChanged]) -> None:
    """Each charging event that has begun belongs to one session."""
    begun = [change.charging_event_id for change in standing if change.session.plugged_in_at is not None]
    assert len(begun) == len(set(begun))


def _start(session: Session) -> datetime:
    assert session.plugged_in_at is not None
    return session.plugged_in_at


def _by_start(span: tuple[datetime, datetime | None]) -> tuple[datetime, bool, datetime]:
    # An open session comes after those of its moment that have ended.
    return span[0], span[1] is None, span[1] or span[0]


def _lies_on_grid(moment: datetime) -> bool:
    return moment.timestamp() % _QUARTER_S == 0


def _wh(energy_kwh: float) -> int:
    energy_wh = round(energy_kwh * 1000)
    assert energy_wh / 1000 == energy_kwh
    return energy_wh
