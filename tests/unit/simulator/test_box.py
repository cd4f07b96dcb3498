"""The smart wall box of a past in which nobody commands."""

from datetime import UTC, datetime

from msgspec import structs

from models.command import Action
from models.ids import LocationId, PolicyId, UserId, VehicleId
from models.policy import Deadline, Schedule, VehiclePolicy
from simulator.world.battery import home_charger
from simulator.world.box import SmartBox
from simulator.world.market import ZONES, Market
from simulator.world.moments import DAY_MS, HOUR_MS, MINUTE_MS, QUARTER_MS, millis, moment

PLUGGED_MS = millis(datetime(2026, 3, 10, 19, 7, tzinfo=UTC))
DEADLINE_MS = millis(datetime(2026, 3, 11, 6, tzinfo=UTC))
_WISH = Deadline(deadline="07:00", minimum_charge_target=80)
POLICY = VehiclePolicy(
    id=PolicyId("p"), user_id=UserId("u"), vehicle_id=VehicleId("v"), location_id=LocationId("home"), is_enabled=True,
    at=moment(0), timezone_name="Europe/Berlin", zone=ZONES[0].name, battery_reserve=30,
    schedule=Schedule(tuesday=_WISH, wednesday=_WISH),
)  # fmt: skip
CURVE = home_charger(10, 60)


def market() -> Market:
    found = Market(1, PLUGGED_MS - 3 * DAY_MS, is_calm=True)
    found.publish(PLUGGED_MS)
    return found


def box(*pasts: tuple[int, int]) -> SmartBox:
    return SmartBox(market(), pasts or ((0, PLUGGED_MS + HOUR_MS),))


def test_it_charges_to_the_reserve_at_once_and_then_in_the_cheapest_hours() -> None:
    """Charging by its orders reaches the target before the deadline, the reserve first, and no quarter-hour that it
    leaves out is cheaper than one that it takes.
    """
    orders = box().plan(POLICY, PLUGGED_MS, 20, CURVE)
    assert orders is not None
    assert [action for _, action in orders] == [Action.START, Action.STOP] * (len(orders) // 2)
    times = [at_ms for at_ms, _ in orders]
    assert times == sorted(set(times))
    spans = list(zip(times[::2], times[1::2], strict=True))
    assert spans[0][0] <= PLUGGED_MS + MINUTE_MS
    level, reserve_ms = 20.0, 0
    for start_ms, end_ms in spans:
        level = CURVE.level_after(level, (end_ms - start_ms) / 1_000, 100)
        reserve_ms = reserve_ms or end_ms
    assert level >= 80
    assert times[-1] <= DEADLINE_MS
    assert reserve_ms <= PLUGGED_MS + HOUR_MS
    taken = {quarter for start, end in spans[1:] for quarter in range(start // QUARTER_MS, end // QUARTER_MS)}
    free = set(range(reserve_ms // QUARTER_MS + 1, (DEADLINE_MS - QUARTER_MS) // QUARTER_MS)) - taken
    prices = {each: market().price(ZONES[0].name, each, PLUGGED_MS) for each in taken | free}
    assert None not in prices.values()
    assert max(prices[each] or 0 for each in taken) <= min(prices[each] or 0 for each in free)


def test_it_leaves_the_present_to_others() -> None:
    """In a visit that begins at the end of a past or later, or where nothing is wished or priced, it has no plan."""
    assert box((0, PLUGGED_MS)).plan(POLICY, PLUGGED_MS, 20, CURVE) is None
    assert box((0, PLUGGED_MS + 1)).plan(POLICY, PLUGGED_MS, 20, CURVE) is not None
    for changes in ({"schedule": Schedule()}, {"zone": None}):
        assert box().plan(structs.replace(POLICY, **changes), PLUGGED_MS, 20, CURVE) is None
    unpriced = SmartBox(Market(1, PLUGGED_MS), ((0, PLUGGED_MS + 1),))
    assert unpriced.plan(POLICY, PLUGGED_MS, 20, CURVE) is None


def test_what_is_full_enough_needs_no_hour() -> None:
    """A car that comes home with more than its target is not charged."""
    assert box().plan(POLICY, PLUGGED_MS, 90, CURVE) == []
