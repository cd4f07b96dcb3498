"""Which charging event a session stands for, and whether it represents it (SPEC 3.9).

A charging event is one part of a visit. Two sessions share one only where the first was a guess (a charge inferred from
two levels, a visit closed by silence) and telemetry that came late shows the same time anew.
"""

from datetime import datetime, timedelta
from typing import Final

from models.ids import ChargingEventId
from sessions.identity import charging_event_id
from sessions.state import ChargingEvent, Vehicle

# Telemetry is at most a day late; a week leaves operators time to look.
KEPT: Final = timedelta(days=7)
# Of one vehicle, the newest: a re-plug every few minutes for a week is no charging.
EVENTS_LIMIT: Final = 1_000


def guess_at(vehicle: Vehicle, moment: datetime) -> ChargingEventId | None:
    """The charging event of the guess that covers this moment, if one does; what begins where it ends is another."""
    for event in reversed(vehicle.charging_events):
        if event.is_guess and event.started_at <= moment < event.ended_at:
            return event.id
    return None


def event_id_at(vehicle: Vehicle, started_at: datetime) -> ChargingEventId:
    """The charging event of a part that begins now: that of a guess which covers this moment, else a new one."""
    return guess_at(vehicle, started_at) or charging_event_id(vehicle.id, started_at)


def settle_event(vehicle: Vehicle, event: ChargingEvent) -> bool:
    """Note a settled session; tell whether it represents its charging event: the managed one does, else the later."""
    rivals = [
        known for known in vehicle.charging_events if known.id == event.id and known.session_id != event.session_id
    ]
    represents = event.is_managed or not any(known.is_managed for known in rivals)
    oldest_at = event.ended_at - KEPT
    kept = [known for known in vehicle.charging_events if known.ended_at >= oldest_at]
    vehicle.charging_events = (*kept[1 - EVENTS_LIMIT :], event)
    return represents
