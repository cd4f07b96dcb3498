"""Fleets in virtual time, for the tests of the simulator: what they tell between two moments, and commands to them."""

from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import strategies as st

from ingest.records import InputRecord
from models.command import Action, ChargeCommand, Reason
from models.ids import CommandId, PolicyId, SessionId
from models.telemetry import ChargeSample, PlugEvent
from simulator.fleet import Fleet
from simulator.households import Household, household
from simulator.telling import record_of
from simulator.vehicle import NEVER_S, Told, Vehicle

START_S = int(datetime(2026, 3, 1, 11, 7, 3, tzinfo=UTC).timestamp())
HOUR_S = 3_600
DAY_S = 24 * HOUR_S
NO_LIMIT_STEPS = 10**9
SEEDS = st.integers(0, 2**32)
MOMENTS = st.integers(
    int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()), int(datetime(2028, 1, 1, tzinfo=UTC).timestamp())
)


def until(fleet: Fleet, end_s: int, live_from_s: int = NEVER_S) -> list[InputRecord]:
    """What the fleet tells up to that moment, itself included."""
    return list(fleet.events(end_s, live_from_s, NO_LIMIT_STEPS))


def told(seed: int, size: int, start_s: int, end_s: int) -> list[InputRecord]:
    """What a fleet that begins at `start_s` tells up to `end_s` if nobody commands it."""
    return until(Fleet(seed, size, start_s), end_s)


def second(record: InputRecord) -> int:
    """The record's time in seconds since 1970."""
    assert record.at is not None
    return int(record.at.timestamp())


def lived(vehicle: Vehicle, end_s: int, live_from_s: int = NEVER_S) -> list[ChargeSample]:
    """The samples of a vehicle up to that moment, itself included, without any defect."""
    found = []
    while vehicle.next_s <= end_s:
        told_now = vehicle.step(live_from_s)
        if told_now is Told.SAMPLE:
            message = record_of(vehicle, told_now).message
            assert isinstance(message, ChargeSample)
            found.append(message)
    return found


def plugs(records: Sequence[InputRecord], vehicle_id: str) -> list[PlugEvent]:
    """The plug events of a vehicle."""
    return [one.message for one in records if one.key == vehicle_id and isinstance(one.message, PlugEvent)]


def command(owner: Household, action: Action, at_s: int, **changes: object) -> ChargeCommand:
    """A command to this household's vehicle, valid for 15 minutes; `changes` by field name."""
    fields: dict[str, object] = {
        "command_id": CommandId(f"command-{action.value}-{at_s}"),
        "vehicle_id": owner.vehicle_id,
        "user_id": owner.user_id,
        "policy_id": PolicyId("policy"),
        "session_id": SessionId("session"),
        "action": action,
        "reason": Reason.REGULAR,
        "at": datetime.fromtimestamp(at_s, UTC),
        "valid_until": datetime.fromtimestamp(at_s + 900, UTC),
    }
    return ChargeCommand(**(fields | changes))  # type: ignore[arg-type]


def at_home_s(owner: Household, after_s: int) -> tuple[int, int]:
    """Plug-in and plug-out of the vehicle's first whole visit at home after this moment."""
    found = plugs(told(owner.seed, owner.number, after_s, after_s + 3 * DAY_S), owner.vehicle_id)
    start = next(one for one in found if one.is_plugged_in and one.location_id == owner.home)
    end = next(one for one in found if not one.is_plugged_in and one.at > start.at)
    return int(start.at.timestamp()), int(end.at.timestamp())


def smart(seed: int, *, is_smart: bool = True) -> Household:
    """The first household of this seed with (or without) a smart wall box."""
    return next(one for one in (household(seed, number) for number in range(1, 100)) if one.has_smart_box == is_smart)
