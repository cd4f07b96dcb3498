"""Laws of a part's statistics over samples that nobody wrote down, in whatever order they arrive."""

from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sessions.evidence import Observation
from sessions.readings import Readings
from sessions.samples import begin, frame_of, rewalked, take
from sessions.totals import Context, Totals
from tests.builders import minute
from tests.properties.histories import CHECK
from tests.properties.samples import exact, noisy, samples, shuffled, wild

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


ARBITRARY = samples(counter=wild).flatmap(shuffled) | samples(counter=wild) | samples(counter=noisy, max_size=40)


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


@st.composite
def _two_orders(draw: st.DrawFn, told: st.SearchStrategy[list[Observation]]) -> tuple[list[Observation], ...]:
    one = draw(told)
    return one, draw(shuffled(one))


@CHECK
@given(_two_orders(samples(counter=exact, max_size=30)))
def test_the_order_of_arrival_does_not_matter(orders: tuple[list[Observation], ...]) -> None:
    """The same samples in any order give the same energies and levels, if the counter never falls."""
    one, other = orders
    assert public(fold(one)[1]) == public(fold(other)[1])


@CHECK
@given(_two_orders(samples(counter=wild, min_step=15.0)))
def test_the_order_of_sparse_samples_does_not_matter(orders: tuple[list[Observation], ...]) -> None:
    """Whatever the counter shows, the order of arrival does not matter where no quarter-hour has a reading to drop."""
    one, other = orders
    assert public(fold(one)[1]) == public(fold(other)[1])


@CHECK
@given(samples(counter=exact))
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
