"""What a feed delivered of a meter, and how far that lets an energy be off: no further than the rates are wrong."""

import pytest
from msgspec import structs

from models.ids import UserId, VehicleId
from models.telemetry import ChargeSample
from simulator.judge.metered import Metered
from simulator.world.moments import MINUTE_MS, moment
from simulator.world.oracle import Stretch, TruePart

Told = tuple[int, float | None, float | None, bool]


def metered(*words: Told) -> Metered:
    """Words by minute, counter (kWh; null: lost), rate (kW; null: lost), and whether the car said that it charged."""
    found = Metered()
    for minute, counter_kwh, rate_kw, is_charging in words:
        true = ChargeSample(
            event_id="e",
            vehicle_id=VehicleId("v"),
            user_id=UserId("u"),
            at=moment(minute * MINUTE_MS),
            is_charging=is_charging,
            energy_added=0.0 if counter_kwh is None else counter_kwh,
            charge_rate=1.0 if rate_kw is None else rate_kw,
        )
        lost = {"energy_added": 1e9} if counter_kwh is None else {}
        lost |= {"charge_rate": -99_999.0} if rate_kw is None else {}
        found.take(minute * MINUTE_MS, true, structs.replace(true, **lost))
    return found


def part(plugged_in_min: int = 0, started_min: int = 0) -> TruePart:
    """12 kW from minute 0 to minute 10, 6 kW from then to minute 20."""
    powers = ((0, 10, 12.0), (10, 20, 6.0))
    return TruePart(
        user_id=UserId("u"),
        location_id=None,
        plugged_in_ms=plugged_in_min * MINUTE_MS,
        started_ms=started_min * MINUTE_MS,
        level_from=20.0,
        ended_ms=20 * MINUTE_MS,
        stretches=[
            Stretch(begun * MINUTE_MS, ended * MINUTE_MS, 20.0, 100.0, None, flat_kw=power_kw)
            for begun, ended, power_kw in powers
        ],
    )


@pytest.mark.parametrize(
    ("words", "off_kwh"),
    [
        # All of it arrived: nothing may be off.
        (((0, 0.0, 12.0, True), (10, 2.0, 6.0, True), (20, 3.0, 6.0, True)), 0.0),
        # A reading between two others is missed by nobody.
        (((0, 0.0, 12.0, True), (10, None, None, True), (20, 3.0, 6.0, True)), 0.0),
        # The last one is lost: the rate tells it, and rightly.
        (((0, 0.0, 12.0, True), (10, 2.0, 6.0, True), (20, None, 6.0, True)), 0.0),
        # With a rate of before it fell: 2 kWh for 1.
        (((5, 1.0, 12.0, True), (10, 2.0, None, True), (20, None, 6.0, True)), 2.0),
        # While the car said that it does not charge, no rate counts.
        (((0, 0.0, 12.0, True), (10, 2.0, 6.0, False), (20, None, 6.0, False)), 1.0),
        # The first one is lost, and the rate with it.
        (((0, None, None, True), (10, 2.0, 6.0, True), (20, 3.0, 6.0, True)), 2.0),
        # None came, and the rate holds for 15 min: 12 kW for 3 kWh.
        (((0, None, 12.0, True), (20, None, 6.0, True)), 0.0),
        # It began anew, between two of its readings: 1.25 kWh by the rate for the 1.0 that it did not tell.
        (((0, 0.0, 12.0, True), (10, 2.0, 7.5, True), (20, 0.1, 6.0, True)), 0.25),
    ],
)
def test_an_energy_is_off_by_what_the_rates_are_wrong(words: tuple[Told, ...], off_kwh: float) -> None:
    """Where a counter told of the time before and after, nothing may be off; elsewhere what the held rate errs by."""
    assert metered(*words).off_kwh(part()) == pytest.approx(off_kwh)


def test_a_part_after_a_cut_lacks_what_was_given_to_the_one_before() -> None:
    """Of the time since the last reading before the cut, the rate's error moves from one part to the other."""
    words = metered((0, 0.0, 9.0, True), (10, None, 6.0, True), (20, 3.0, 6.0, True))
    assert words.off_kwh(part(started_min=10)) == pytest.approx(0.5)
    assert words.off_kwh(part(plugged_in_min=10, started_min=10)) == pytest.approx(0.0)
