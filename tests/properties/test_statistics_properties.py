"""Laws of a part's statistics over samples that nobody wrote down, in whatever order they arrive."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.evidence import Observation
from sessions.readings import Readings
from sessions.samples import begin, frame_of, rewalked, take
from sessions.totals import Context, Totals
from tests.builders import minute
from tests.properties.histories import CHECK
from tests.properties.samples import DAYS_MIN, delayed, exact, noisy, samples, shuffled, wild

CONTEXT = Context(
    started_at=minute(0),
    plugged_in_at=minute(0),
    capacity_wh=60_000,
    planned=((minute(20), minute(50)), (minute(300), minute(340))),
)


def fold(told: Sequence[Observation], context: Context = CONTEXT) -> tuple[Readings, Totals]:
    """What comes of samples of a visit that began at minute 0."""
    readings, totals = Readings(), begin(Readings(), context)
    for each in told:
        readings, totals = taken(readings, totals, each, context)
    return readings, totals


def taken(readings: Readings, totals: Totals, each: Observation, context: Context = CONTEXT) -> tuple[Readings, Totals]:
    """One more sample."""
    readings, after, _ = take(readings, totals, each, context)
    assert after is not None
    return readings, after


def public(totals: Totals) -> tuple[object, ...]:
    """What a client can see of the totals."""
    return (
        totals.energy_wh,
        totals.levels,
        totals.level_from,
        totals.level_to,
        totals.energy_sum_wh,
        totals.is_energy_known,
    )


ARBITRARY = (
    samples(counter=wild).flatmap(shuffled)
    | samples(counter=wild)
    | samples(counter=noisy, max_size=40)
    | samples(counter=wild, is_full=True)
    | samples(counter=noisy, is_full=True, has_charges=True, max_size=40)
    | samples(counter=wild, max_min=DAYS_MIN).flatmap(delayed)
)


@CHECK
@given(ARBITRARY)
def test_totals_are_what_a_walk_over_the_readings_gives(told: list[Observation]) -> None:
    """After every sample, the totals equal those that come of walking all that is remembered again."""
    readings, totals = fold([])
    for each in told:
        readings, totals = taken(readings, totals, each)
        again = rewalked(totals, readings, frame_of(totals, CONTEXT))
        assert (totals.energy_wh, totals.tail, totals.tip) == (again.energy_wh, again.tail, again.tip)


@CHECK
@given(ARBITRARY)
def test_a_sample_that_comes_again_changes_nothing(told: list[Observation]) -> None:
    """Whatever comes again, at any later moment, leaves readings and totals as they are."""
    readings, totals = fold([])
    for number, each in enumerate(told, start=1):
        readings, totals = taken(readings, totals, each)
        for again in told[:number]:
            assert taken(readings, totals, again) == (readings, totals)


@CHECK
@given(ARBITRARY)
def test_energies_add_up(told: list[Observation]) -> None:
    """No interval has less than nothing, and together they have the sum."""
    readings, totals = fold([])
    for each in told:
        readings, totals = taken(readings, totals, each)
        assert sum(totals.energy_wh) == totals.energy_sum_wh
        assert all(energy_wh >= 0 for energy_wh in totals.energy_wh)
        assert not totals.energy_wh or totals.energy_wh[-1] > 0


Orders = tuple[list[Observation], list[Observation]]


@st.composite
def _two_orders(draw: st.DrawFn, told: st.SearchStrategy[list[Observation]]) -> Orders:
    one = draw(told)
    return one, draw(shuffled(one))


@st.composite
def _two_orders_of_days(draw: st.DrawFn, told: st.SearchStrategy[list[Observation]]) -> Orders:
    one = draw(told)
    return one, draw(delayed(one))


@CHECK
@given(_two_orders(samples(counter=exact, has_charges=True, max_size=30)))
def test_the_order_of_arrival_does_not_matter(orders: Orders) -> None:
    """The same samples in any order give the same energies and levels.

    The counter never falls, and no state contradicts those told within two minutes around it.
    """
    one, other = orders
    assert public(fold(one)[1]) == public(fold(other)[1])


@CHECK
@given(_two_orders(samples(counter=wild, min_step=15.0)))
def test_the_order_of_sparse_samples_does_not_matter(orders: Orders) -> None:
    """Whatever the counter shows, the order of arrival does not matter where no quarter-hour has a reading to drop."""
    one, other = orders
    assert public(fold(one)[1]) == public(fold(other)[1])


@CHECK
@given(_two_orders_of_days(samples(counter=wild, min_step=15.0, max_min=DAYS_MIN)))
def test_what_is_late_by_a_day_counts(orders: Orders) -> None:
    """Of a visit of days, too, each sample may come a day late."""
    one, other = orders
    assert public(fold(one)[1]) == public(fold(other)[1])


@CHECK
@given(samples(counter=None, level=False, charging=False, max_min=DAYS_MIN, max_size=40))
def test_rates_are_integrated(told: list[Observation]) -> None:
    """Without a counter, each rate counts until the next one, for 15 minutes at most, as far as time has passed."""
    _, totals = fold(told)
    rates = [(each.at, max(each.charge_rate_w, 0)) for each in told if each.charge_rate_w is not None]
    ends = [at for at, _ in rates[1:]] + [max((each.at for each in told), default=minute(0))]
    hours = [
        min(end - at, timedelta(minutes=15)) / timedelta(hours=1) for (at, _), end in zip(rates, ends, strict=False)
    ]
    energy_wh = sum(rate_w * length for (_, rate_w), length in zip(rates, hours, strict=False))
    assert totals.energy_sum_wh == pytest.approx(energy_wh, abs=0.5 + 1e-6)


@CHECK
@given(samples(counter=exact) | samples(counter=exact, max_min=DAYS_MIN))
def test_counters_tell_all_energy(told: list[Observation]) -> None:
    """A counter that never falls tells the energy from its first reading to its last, whatever rates and levels say."""
    counted = [each for each in told if each.counter_wh is not None]
    if not counted:
        return
    start = counted[0].at
    context = Context(started_at=start, plugged_in_at=start)
    _, totals = fold([each for each in told if start <= each.at <= counted[-1].at], context)
    first_wh, last_wh = counted[0].counter_wh, counted[-1].counter_wh
    assert first_wh is not None
    assert last_wh is not None
    assert totals.energy_sum_wh == last_wh - first_wh


@CHECK
@given(ARBITRARY)
def test_totals_survive_storage(told: list[Observation]) -> None:
    """Readings and totals that are encoded and decoded go on as those that stay in memory."""
    readings, totals = fold(told)
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode((readings, totals)), type=tuple[Readings, Totals])
    assert stored == (readings, totals)
