"""A managed visit as it was published and as it truly was, and the judge that holds one against the other.

The car plugs in at minute 0 with 50 % of 100 kWh, charges for an hour at 10 kW, and is unplugged at minute 180.
"""

from typing import Any, Final

from msgspec import structs

from models.ids import ChargingEventId, PolicyId, SessionId
from models.session import (
    Block,
    LatestError,
    LatestOutcome,
    LatestTarget,
    Outcome,
    RegularTarget,
    Session,
    SessionState,
)
from simulator.judge.courses import Courses
from simulator.judge.findings import Finding, Update
from simulator.live.judging import ToldIntervals
from simulator.world.battery import ChargeCurve
from simulator.world.car import Car
from simulator.world.market import Market
from simulator.world.moments import DAY_MS, millis
from simulator.world.oracle import Stretch, TruePart
from simulator.world.people import person
from tests.builders import ANN, HOME, VEHICLE, minute, policy

ID: Final = SessionId("s")
# Told every 5 minutes; nothing refused.
PERSON: Final = structs.replace(
    person(1, 1), capacity_kwh=100.0, limit_percent=90.0, plugged_every_s=300, refuses_share=0.0
)
REGULAR, RESERVE = SessionState.ACTIVE_REGULAR, SessionState.ACTIVE_BATTERY_RESERVE
LEVELS: Final = (52, 55, 57, *(60,) * 9)
START_MS: Final = millis(minute(0))


class Judged:
    """A car, the judge of its sessions, and what that has found."""

    def __init__(self, *, is_whole: bool = True, is_commanded: bool = True, tells_again: bool = True) -> None:
        self.findings: list[Finding] = []
        self.market = Market(1, START_MS, is_calm=True)
        self.market.publish(START_MS + 5 * DAY_MS)
        self.car = Car(PERSON, iter(()), START_MS)
        report = self.findings.append
        self.courses = Courses(
            self.car, self.market, report, is_whole=is_whole, is_commanded=is_commanded, tells_again=tells_again
        )

    def tell(self, *updates: Update) -> "Judged":
        """Publish these."""
        for update in updates:
            self.courses.take(update)
        return self

    @property
    def laws(self) -> list[str]:
        """What was broken, in order."""
        return [finding.law for finding in self.findings]


def target(percent: float = 60.0, ready: float | None = 100, number: int = 1) -> RegularTarget:
    """A policy's target, to be reached by that minute."""
    return RegularTarget(
        id=number,
        source="POLICY",
        battery_reserve=0.0,
        minimum_charge_target=percent,
        ready_by=None if ready is None else minute(ready),
    )


def told(at: float, state: SessionState = REGULAR, **fields: Any) -> Update:
    """What was published at that minute."""
    intervals = fields.pop("intervals", None)
    named, error = fields.pop("target", target()), fields.pop("error", None)
    head = Session(
        id=ID,
        policy_id=PolicyId("p1"),
        vehicle_id=VEHICLE,
        user_id=ANN,
        location_id=HOME,
        state=state,
        plugged_in_at=minute(0),
        plugged_out_at=minute(at) if state is SessionState.SETTLED else None,
        target=LatestTarget(latest=named),
        error=LatestError(latest=error),
    )
    return Update(
        head=structs.replace(head, **fields),
        intervals=intervals,
        version=1,
        created_at=minute(at),
        charging_event_id=ChargingEventId("e"),
        represents=True,
    )


def settled(
    state: str = "SUCCEEDED",
    *,
    number: int = 1,
    kind: str = "REGULAR",
    levels: tuple[int | None, ...] = LEVELS,
    energy_wh: tuple[int, ...] = (2_500,) * 4,
    level: int | None = 60,
    **fields: Any,
) -> Update:
    """The last update: verdict, kind of its one block, and levels of its quarter-hours."""
    outcome = Outcome(
        target_id=number,
        type="REGULAR",
        state=state,
        battery_level_at_ready_by=level,
        minimum_charge_target_reached_at=None,
    )
    return told(
        180,
        SessionState.SETTLED,
        outcome=LatestOutcome(latest=outcome),
        blocks=(Block(type=kind, kwh_sum=10.0, start_at=minute(0), end_at=minute(60)),),
        intervals=ToldIntervals(minute(0), minute(180), energy_wh, levels, 12),
        **fields,
    )


def part(**fields: Any) -> TruePart:
    """What really happened."""
    curve = ChargeCurve(rate_kw=10.0, capacity_kwh=100.0, knee_percent=99.0, end_share=0.5)
    true = TruePart(
        user_id=ANN,
        location_id=HOME,
        plugged_in_ms=START_MS,
        started_ms=START_MS,
        level_from=50.0,
        ended_ms=millis(minute(180)),
        known_ms=millis(minute(181)),
        level_to=60.0,
        policy=policy(0).policy,
        managed_ms=START_MS,
        stretches=[Stretch(START_MS, millis(minute(60)), 50.0, 90.0, curve)],
    )
    return structs.replace(true, **fields)
