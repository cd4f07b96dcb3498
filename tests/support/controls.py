"""Small pieces of the control of a vehicle, in minutes since 08:00 UTC, for tests of one function at a time."""

from datetime import datetime, timedelta

from models.session import ImmediateStartTarget, RegularTarget
from sessions.battery import Battery
from sessions.planner import BlockType, Plan, PlannedBlock
from sessions.state import Charging, Control, StartedBlock
from tests.builders import ZERO, minute

REGULAR, RESERVE, AT_ONCE = BlockType.REGULAR, BlockType.BATTERY_RESERVE, BlockType.IMMEDIATE_START


def plan(*spans: tuple[float, float], power_w: int = 6_000, kind: BlockType = REGULAR) -> Plan:
    """Blocks of charging at one power."""
    return Plan(
        tuple(
            PlannedBlock(kind, minute(start), minute(end), round(power_w * (end - start) / 60)) for start, end in spans
        )
    )


def control(made: Plan | None = None, *, at: float = 0, checked: float | None = None) -> Control:
    """The control of a vehicle by a plan that was made at that minute."""
    now = minute(at if checked is None else checked)
    return Control(planned_at=minute(at), prices_at=minute(at), checked_at=now, plan=made or Plan(()))


def charging(*, since: float, is_on: bool = True, at: float | None = None) -> Charging:
    """What the vehicle tells."""
    return Charging(minute(since if at is None else at), is_on, minute(since))


def block(start: float, end: float | None = None, kind: BlockType = REGULAR) -> StartedBlock:
    """A block that began."""
    return StartedBlock(kind, minute(start), None if end is None else minute(end))


def battery(
    percent: float = 50.0, *, told: bool = True, limit: float = 100.0, complete: bool = False, efficiency: float = 1.0
) -> Battery:
    """A battery of 60 kWh."""
    return Battery(percent, told, 60_000, limit, complete, efficiency)


def wanted(percent: float = 80.0, by: float | None = 600, *, number: int = 1, source: str = "POLICY") -> RegularTarget:
    """A level by that minute."""
    due = None if by is None else minute(by)
    return RegularTarget(id=number, source=source, battery_reserve=0.0, minimum_charge_target=percent, ready_by=due)


def wanted_at_once(percent: float = 80.0, number: int = 1) -> ImmediateStartTarget:
    """A level at once."""
    return ImmediateStartTarget(id=number, minimum_charge_target=percent)


def minutes(moment: datetime | None) -> float | None:
    """The moment as a minute."""
    return None if moment is None else (moment - ZERO) / timedelta(minutes=1)
