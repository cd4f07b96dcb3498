"""Plug visits: when one begins, what keeps it open, and when it is over.

Plug evidence is ordered by its event time. Of two that share a moment, the unplug stands; but a plug event says that
the plug was put in at that moment, so one that was in before has been out in between. Evidence that comes again, or
late, changes nothing, but for one thing: late news that the plug was in before we knew moves the plug-in back.
"""

from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from models.ids import LocationId
from sessions.counters import COUNTER_NOISE_WH
from sessions.dedup import guess_at
from sessions.evidence import Observation
from sessions.parts import (
    begin_part,
    context_of,
    leave,
    manage_visit,
    new_part,
    open_session,
    policy_for,
    settle_part,
)
from sessions.readings import Readings, counter_at
from sessions.samples import moved_back
from sessions.state import Elsewhere, Evidence, Part, Place, Vehicle, Visit
from sessions.steering import release
from sessions.step import Step
from sessions.transitions import Cause

# A location told so shortly before a plug-in is where the vehicle was plugged in.
PLACE_WINDOW: Final = timedelta(minutes=10)
# Two messages so far apart, not one stray position, say that the vehicle is elsewhere.
ELSEWHERE_TIME: Final = timedelta(seconds=60)
# So long a silence hides an unplug, a drive and a plug-in, where the energy counter began anew meanwhile.
MISSED_UNPLUG_SILENCE: Final = timedelta(minutes=30)


def confirm_unplug(step: Step) -> None:
    """The debounce is over: the visit ends at the first evidence of its unplug, at the time its timer was due."""
    unplugged_at = step.visit.unplugged_at
    assert unplugged_at is not None
    end_visit(step, unplugged_at, unplugged_at + step.rules.unplug_debounce)


def end_visit(step: Step, ended_at: datetime, at: datetime, *, is_silent: bool = False) -> None:
    """The visit is over: its session settles and, in the same step, its policy awaits the next one."""
    vehicle, part = step.vehicle, step.visit.part
    policy_id = part.policy_id
    settle_part(step, ended_at, at, Cause.UNPLUGGED, is_silent=is_silent)
    if policy_id is not None or not is_silent:
        leave(vehicle, max(ended_at, part.started_at))
    if vehicle.evidence is not None and (is_silent or not vehicle.evidence.is_plugged_in):
        # The last unplug may be later than the first, at which the visit ends. Of a visit that silence has ended, what
        # comes late may still tell, but not the plug-in that comes again.
        leave(vehicle, vehicle.evidence.at)
    # A part that began after that, with the end of a policy, was over as it began: no charge is inferred before it.
    over_at = visit_end(vehicle, max(ended_at, part.started_at))
    if vehicle.visit_over_at is None or over_at > vehicle.visit_over_at:
        vehicle.visit_over_at = over_at
    vehicle.visit = None
    if policy_id is not None:
        open_session(step, policy_id, at)


def visit_end(vehicle: Vehicle, ended_at: datetime) -> datetime:
    """Until when a visit that ends may have told something: what is told up to its last unplug is still its own."""
    evidence = vehicle.evidence
    return ended_at if evidence is None or evidence.is_plugged_in else max(ended_at, evidence.at)


def end_silent_visit(step: Step, at: datetime) -> None:
    """Nothing was heard for so long that the visit is over since its last evidence."""
    visit = step.visit
    end_visit(step, visit.unplugged_at or visit.newest_at, at, is_silent=True)


def begin_next_part(step: Step, at: datetime) -> None:
    """A part has lasted its longest time: it settles at its last evidence, and its policy goes on with the next one."""
    visit = step.visit
    policy_id = visit.part.policy_id
    settle_part(step, visit.unplugged_at or min(visit.newest_at, at), at, Cause.UNPLUGGED, is_too_long=True)
    begin_part(step, at)
    if policy_id is not None:
        open_session(step, policy_id, at)


def take_user(step: Step, seen: Observation) -> bool:
    """A message of another user ends the open visit at its last evidence.

    Tells whether the message may say more: one of another user that is older than the vehicle's newest may not, nor
    one that is older than the present user's time.
    """
    vehicle = step.vehicle
    if vehicle.user_id is None:
        return True
    if vehicle.user_id == seen.user_id:
        return vehicle.other_user_at is None or seen.at > vehicle.other_user_at
    if vehicle.newest_at is not None and seen.at <= vehicle.newest_at:
        return False
    visit = vehicle.visit
    if visit is not None:
        if visit.part.control is not None and _stays_stopped(vehicle, visit, seen):
            release(step, seen.at)
        end_visit(step, visit.unplugged_at or visit.newest_at, seen.at)
    vehicle.other_user_at = vehicle.newest_at
    # What the other user's messages told is no baseline of this one's visit.
    vehicle.readings = Readings(newest_us=vehicle.readings.newest_us, kept_from=vehicle.readings.kept_from)
    return True


def _stays_stopped(vehicle: Vehicle, visit: Visit, seen: Observation) -> bool:
    """Whether another user's vehicle still stands at the plug where ours stood, and no policy of theirs takes over."""
    if seen.is_plugged_in is False or seen.is_plug_event or seen.is_charging:
        return False
    is_here = seen.location_id is None or seen.location_id == visit.location_id
    return is_here and policy_for(vehicle, visit.location_id, seen.user_id) is None


def take_missed_unplug(step: Step, seen: Observation) -> None:
    """A plug-in after a silence, with a counter that began anew: the last visit was over at its last evidence."""
    visit = step.vehicle.visit
    if visit is None or not seen.is_plugged_in or seen.at < visit.newest_at + MISSED_UNPLUG_SILENCE:
        return
    run = visit.part.totals.tip.run
    if run is None or seen.counter_wh is None:
        return
    # Before the silence it may have stood below its highest already, after a fall that was taken for a drain.
    stood_wh = counter_at(step.vehicle.readings, run.read_us)
    if seen.counter_wh >= (run.highest_wh if stood_wh is None else stood_wh) - COUNTER_NOISE_WH:
        return
    if seen.is_charging is False and 2 * seen.counter_wh >= run.highest_wh:
        # It stands full and drains (docs/decisions/0005).
        return
    end_visit(step, visit.unplugged_at or visit.newest_at, seen.at)


def take_plug_evidence(step: Step, seen: Observation) -> None:
    """Apply what a message says of the plug."""
    vehicle, is_plugged_in = step.vehicle, seen.is_plugged_in
    if is_plugged_in is None or _is_last_of_charge(vehicle, seen):
        return
    known, visit = vehicle.evidence, vehicle.visit
    if known is not None and seen.at < known.at:
        if is_plugged_in:
            _move_plug_in_back(step, seen)
        return
    if known is not None and seen.at == known.at:
        _take_same_moment(step, known, seen)
        return
    news = Evidence(
        seen.at,
        is_plugged_in,
        was_plugged_in=visit is not None and visit.unplugged_at is None and visit.part.started_at < seen.at,
        charger_id=None if visit is None else visit.charger_id,
        is_in_told=is_plugged_in and seen.is_plug_event,
        is_out_told=not is_plugged_in,
    )
    if is_plugged_in:
        _take_plug_in(step, seen, news)
    else:
        vehicle.evidence = news
        _take_plug_out(step, seen)


def take_place(step: Step, seen: Observation) -> None:
    """Learn where the vehicle is, and by it where the open visit is; or that the vehicle has gone elsewhere."""
    if seen.location_id is None:
        return
    vehicle, visit = step.vehicle, step.vehicle.visit
    if vehicle.place is None or seen.at > vehicle.place.at:
        vehicle.place = Place(seen.at, seen.location_id)
    if visit is None or seen.at < visit.plugged_in_at - PLACE_WINDOW:
        return
    if visit.location_id is None and not _is_found_out(visit, seen):
        visit.location_id = seen.location_id
    if seen.location_id != visit.location_id:
        _take_elsewhere(step, visit, seen, seen.location_id)
        return
    if visit.here_at is None or seen.at > visit.here_at:
        visit.here_at = seen.at
    named = visit.elsewhere
    if named is not None and seen.at >= named.at:
        is_before = seen.at < named.named_at
        visit.elsewhere = structs.replace(named, at=named.named_at, last_here_at=seen.at) if is_before else None


def _is_found_out(visit: Visit, seen: Observation) -> bool:
    """Whether a sample finds the plug of that visit out: it may come from where the vehicle has driven since."""
    return seen.is_plugged_in is False and not seen.is_plug_event and seen.at > visit.plugged_in_at


def _take_elsewhere(step: Step, visit: Visit, seen: Observation, location_id: LocationId) -> None:
    """The second such message says that the vehicle was plugged in elsewhere, at the time of the first."""
    if (visit.here_at is not None and seen.at <= visit.here_at) or seen.at < visit.plugged_in_at:
        return
    if seen.is_plugged_in is False or visit.unplugged_at is not None:
        # It was unplugged here, and is on its way.
        return
    known = visit.elsewhere
    if known is None or (known.location_id != location_id and seen.at >= known.at):
        known = Elsewhere(location_id, seen.at, seen.at, min(visit.newest_at, seen.at))
    elif known.location_id != location_id:
        return
    elif seen.at < known.at:
        known = structs.replace(known, at=seen.at, last_here_at=min(known.last_here_at, seen.at))
    elif seen.at > known.named_at:
        known = structs.replace(known, named_at=seen.at)
    visit.elsewhere = known
    if known.named_at < known.at + ELSEWHERE_TIME:
        return
    here_at = known.last_here_at if visit.here_at is None else max(known.last_here_at, visit.here_at)
    end_visit(step, here_at, known.named_at)
    # A part may have begun since the first of the two; then the second is the first to tell of the next visit.
    plugged_in_at = known.named_at if _is_within_past(step.vehicle, known.at) else known.at
    if not _is_within_past(step.vehicle, plugged_in_at):
        evidence = step.vehicle.evidence
        if evidence is None or known.named_at > evidence.at:
            step.vehicle.evidence = Evidence(known.named_at, is_plugged_in=True)
        _begin_visit(step, plugged_in_at, seen, location_id)
        # Nobody knows which of the two places a plug-in from before that moment was told at.
        leave(step.vehicle, plugged_in_at)


def _take_same_moment(step: Step, known: Evidence, seen: Observation) -> None:
    """More evidence of the newest moment: with an unplug and a plug event, the plug is again as it was before."""
    vehicle, visit = step.vehicle, step.vehicle.visit
    if seen.is_plugged_in:
        if known.is_in_told or not seen.is_plug_event:
            return
        news = structs.replace(known, is_in_told=True, is_plugged_in=known.is_plugged_in or known.was_plugged_in)
        vehicle.evidence = news
        if news.is_plugged_in:
            _take_plug_in(step, seen, news)
    elif not known.is_out_told:
        is_again = known.is_in_told and known.was_plugged_in
        news = vehicle.evidence = structs.replace(known, is_out_told=True, is_plugged_in=is_again)
        charger_id = None if visit is None else visit.charger_id
        if visit is not None and is_again:
            visit.charger_id = known.charger_id
        _take_plug_out(step, seen)
        if is_again:
            back = structs.replace(seen, is_plugged_in=True, location_id=None, charger_id=charger_id)
            _take_plug_in(step, back, news)
            manage_visit(step, seen.at)


def _is_last_of_charge(vehicle: Vehicle, seen: Observation) -> bool:
    """The last readings of a charge often come after the unplug; they do not plug the vehicle in again.

    That holds for the whole debounce, however it ends, so that such a reading says as little when it comes again.
    """
    heard_after = vehicle.charge_heard_after
    return not seen.is_decisive and heard_after is not None and seen.at <= heard_after


def _take_plug_in(step: Step, seen: Observation, news: Evidence) -> None:
    vehicle, visit = step.vehicle, step.vehicle.visit
    if visit is not None and visit.unplugged_at is not None and _is_other_charger(visit, seen):
        end_visit(step, visit.unplugged_at, seen.at)
        visit = None
    # One that is out and in again at one moment ends a visit in it and begins the next.
    if visit is None and not (news.is_out_told and seen.at == vehicle.left_at) and _is_within_past(vehicle, seen.at):
        return
    vehicle.evidence = news
    if visit is None:
        _begin_visit(step, seen.at, seen, seen.location_id or _told_place(vehicle, seen.at))
        return
    if visit.unplugged_at is not None:
        # It is here: what was told until now of another place no longer counts.
        visit.unplugged_at = visit.elsewhere = None
        visit.here_at = max(seen.at, vehicle.newest_at or seen.at)
    if seen.charger_id is not None:
        visit.charger_id = seen.charger_id


def _is_within_past(vehicle: Vehicle, at: datetime) -> bool:
    """No visit begins before what is over: visits never overlap."""
    return vehicle.left_at is not None and at <= vehicle.left_at


def _told_place(vehicle: Vehicle, plugged_in_at: datetime) -> LocationId | None:
    """Where the vehicle is, by what it told shortly before that plug-in or since."""
    place = vehicle.place
    return None if place is None or place.at < plugged_in_at - PLACE_WINDOW else place.location_id


def _begin_visit(step: Step, plugged_in_at: datetime, seen: Observation, location_id: LocationId | None) -> None:
    vehicle = step.vehicle
    newest_at = max(seen.at, vehicle.newest_at or seen.at)
    level_percent = seen.level_percent if seen.at == plugged_in_at else None
    vehicle.visit = Visit(
        plugged_in_at=plugged_in_at,
        user_id=seen.user_id,
        # Not the plug-in's own time: one that comes late opens a visit of which later messages have already told.
        newest_at=newest_at,
        part=new_part(step, plugged_in_at, plugged_in_at, level_percent=level_percent),
        location_id=location_id,
        charger_id=seen.charger_id,
        # What was told before the visit was known of says nothing of its end.
        here_at=newest_at,
    )


def _take_plug_out(step: Step, seen: Observation) -> None:
    vehicle, visit = step.vehicle, step.vehicle.visit
    if visit is None:
        leave(vehicle, seen.at)
        return
    if visit.unplugged_at is None:
        visit.unplugged_at = seen.at
        # A visit that began without a plug event learns only here at which charger it was.
        visit.charger_id = visit.charger_id or seen.charger_id
        heard_after = seen.at + step.rules.unplug_debounce
        if vehicle.charge_heard_after is None or heard_after > vehicle.charge_heard_after:
            vehicle.charge_heard_after = heard_after
    if not step.rules.unplug_debounce:
        confirm_unplug(step)


def _move_plug_in_back(step: Step, seen: Observation) -> None:
    vehicle, visit, at = step.vehicle, step.vehicle.visit, seen.at
    if visit is None or at >= visit.plugged_in_at or visit.part.started_at != visit.plugged_in_at:
        return
    if _is_within_past(vehicle, at):
        return
    if visit.location_id is None:
        # What has been told since the visit began has taught its place, if it could.
        is_before = vehicle.place is not None and vehicle.place.at <= visit.plugged_in_at
        visit.location_id = seen.location_id or (_told_place(vehicle, at) if is_before else None)
    visit.plugged_in_at = visit.part.started_at = at
    _take_guess(step, visit.part, at)
    visit.part.kept = 0
    visit.part.totals = moved_back(
        vehicle.readings, visit.part.totals, context_of(step, visit), level_percent=seen.level_percent
    )


def _take_guess(step: Step, part: Part, at: datetime) -> None:
    """A part that now reaches back into a guess shows the same charging event."""
    guessed_id = guess_at(step.vehicle, at)
    if guessed_id is None or guessed_id == part.charging_event_id:
        return
    part.charging_event_id = guessed_id
    if part.policy_id is not None:
        managed, session = step.managed(part.policy_id)
        step.keep_session(managed.policy.id, structs.replace(session, charging_event_id=guessed_id))


def _is_other_charger(visit: Visit, seen: Observation) -> bool:
    return None not in {visit.charger_id, seen.charger_id} and visit.charger_id != seen.charger_id
