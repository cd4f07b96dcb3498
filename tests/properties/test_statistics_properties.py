"""Laws of a part's statistics over samples that nobody wrote down, in whatever order they arrive."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from sessions.block_energy import block_energies_wh
from sessions.events import Event, Rules, SessionChanged, TelemetryReceived
from sessions.evidence import Observation
from sessions.lifecycle import apply
from sessions.readings import Readings
from sessions.samples import begin, rewalked, take
from sessions.state import Vehicle
from sessions.totals import Context, Totals, frame_of
from streams.updates import UpdateEncoder
from tests.builders import HOME, VEHICLE, minute, plug, policy, sample, unplug
from tests.properties.histories import CHECK
from tests.properties.samples import DAYS_MIN, Shape, delayed, exact, messages, noisy, samples, shuffled, wild

CONTEXT = Context(
    started_at=minute(0),
    plugged_in_at=minute(0),
    capacity_wh=60_000,
    planned=lambda: ((minute(20), minute(50)), (minute(300), minute(340))),
)


BLOCKS = [(minute(start), minute(end)) for start, end in ((10, 25), (25, 31), (50, 110), (300, 340), (2_000, 2_500))]
# No sample comes so late.
END = minute(10 * DAYS_MIN)


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
@given(ARBITRARY, st.none() | st.sampled_from([18.0, 21.9]))
def test_totals_are_what_a_walk_over_the_readings_gives(told: list[Observation], level: float | None) -> None:
    """After every sample, the totals equal those that come of walking all that is remembered again.

    `level`: told with the plug-in, before a counter was.
    """
    readings, totals = Readings(), begin(Readings(), CONTEXT, level_percent=level)
    for each in told:
        readings, totals = taken(readings, totals, each)
        again = rewalked(totals, readings, frame_of(totals, CONTEXT))
        assert (totals.energy_wh, totals.tail, totals.tip) == (again.energy_wh, again.tail, again.tip)
        assert totals.unlevelled in {None, again.unlevelled}


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
@given(
    samples(counter=wild, max_min=40) | samples(counter=wild, max_min=40, is_full=True),
    st.sampled_from([0.0, 3.0, 7.0, 15.0, 20.0]),
    st.data(),
)
def test_a_visit_that_begins_in_the_middle(told: list[Observation], start: float, data: st.DataObject) -> None:
    """Wherever among the samples a visit begins, its totals are those of a walk, and nothing counts twice."""
    known = Context(started_at=minute(start), plugged_in_at=minute(start))
    readings = Readings()
    arrived = data.draw(st.integers(0, len(told)))
    for each in told[:arrived]:
        readings, _, _ = take(readings, None, each, None)
    totals = begin(readings, known)
    for each in data.draw(shuffled(told[arrived:])):
        readings, totals = taken(readings, totals, each, known)
        again = rewalked(totals, readings, frame_of(totals, known))
        assert (totals.energy_wh, totals.tail, totals.tip) == (again.energy_wh, again.tail, again.tip)
    for each in told:
        assert taken(readings, totals, each, known) == (readings, totals)


@CHECK
@given(
    messages(counter=None, charging=False, max_min=60, max_size=10),
    st.lists(st.tuples(st.sampled_from([0.0, 3.0, 7.0, 15.0, 20.0, 31.0]), st.sampled_from([None, 19.0, 21.0, 33.0]))),
    st.data(),
)
def test_a_plug_in_that_comes_late(
    told: list[TelemetryReceived], plugged: list[tuple[float, float | None]], data: st.DataObject
) -> None:
    """However late a visit's plug-in is told, and with whatever level, its totals are those of a walk."""
    vehicle = Vehicle(VEHICLE)
    for event in data.draw(shuffled([*told, *(plug(at_min, level=percent) for at_min, percent in plugged)])):
        vehicle = apply(vehicle, event, Rules()).vehicle
        if vehicle.visit is not None:
            totals, started_at = vehicle.visit.part.totals, vehicle.visit.part.started_at
            known = Context(started_at=started_at, plugged_in_at=started_at)
            again = rewalked(totals, vehicle.readings, frame_of(totals, known))
            assert (totals.energy_wh, totals.tail, totals.tip) == (again.energy_wh, again.tail, again.tip)


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


def _counted_wh(readings: Sequence[tuple[datetime, int]], limit_wh: float) -> int:
    """The energy of a counter by the letter of the contract, reading by reading."""
    energy_wh, before_zero_wh = 0, 0
    (read_at, highest_wh), *others = readings
    for at, counter_wh in others:
        step_wh, hours = counter_wh - highest_wh, (at - read_at) / timedelta(hours=1)
        is_back = before_zero_wh > 0 and before_zero_wh - 100 <= counter_wh <= 2 * before_zero_wh
        if step_wh < -100:
            before_zero_wh = highest_wh if counter_wh == 0 else 0
            highest_wh = counter_wh
        elif step_wh > min(400_000 * hours + 1e-6, limit_wh) or is_back:
            before_zero_wh, highest_wh = 0, counter_wh
        else:
            energy_wh += max(step_wh, 0)
            before_zero_wh = before_zero_wh if counter_wh == 0 else 0
            highest_wh = max(highest_wh, counter_wh)
        read_at = at
    return energy_wh


@CHECK
@given(samples(counter=wild, rate=False, level=False, charging=False, max_size=16))
def test_counters_are_read_by_the_contract(told: list[Observation]) -> None:
    """In the order of their times, a counter's readings tell what the contract says, though few of them are kept."""
    _, totals = fold(told)
    readings = [(each.at, each.counter_wh) for each in told if each.counter_wh is not None]
    assert totals.energy_sum_wh == (_counted_wh(readings, 60_000 / 0.9) if readings else 0)


@CHECK
@given(ARBITRARY)
def test_nothing_before_changed_from_changes(told: list[Observation]) -> None:
    """Before the quarter-hour `changed_from` a sample leaves every energy, and that of the blocks which it names."""
    readings, totals = fold([])
    for each in told:
        before, (readings, totals) = totals, taken(readings, totals, each)
        if totals is before:
            continue
        place = totals.changed_from
        no_energy = (0,) * place
        assert (*totals.energy_wh, *no_energy)[:place] == (*before.energy_wh, *no_energy)[:place]
        over = [
            number
            for number, (block, following) in enumerate(pairwise(BLOCKS))
            if max(block[1], following[0]) <= minute(15 * place)
        ]
        found, known = block_energies_wh(totals, BLOCKS, END), block_energies_wh(before, BLOCKS, END)
        assert [found[number] for number in over] == [known[number] for number in over]


@st.composite
def _nights(draw: st.DrawFn) -> list[TelemetryReceived]:
    """A visit from minute 0 on that a policy manages, and what is told of it late."""
    counts_alone: Shape = {"rate": False, "level": False, "charging": False, "min_step": 15.0, "max_size": 8}
    shapes: list[Shape] = [counts_alone, {"max_size": 14}, {"min_step": 15.0, "max_size": 10}, {"is_full": True}]
    shape = draw(st.sampled_from(shapes))
    shape["counter"] = draw(st.sampled_from([wild, exact]))
    told = draw(messages(**shape))
    return [plug(0.0, where=HOME, level=draw(st.none() | st.just(21.0))), *draw(shuffled(told) | delayed(told))]


@CHECK
@given(_nights())
# A late reading breaks the run, and the series ends where it had stood on the grid.
@example([plug(0, where=HOME), sample(0, 0.0), sample(45, 1.0), sample(100, 5.0), sample(71, 9_000.0)])
def test_updates_that_tell_only_what_is_new(told: list[TelemetryReceived]) -> None:
    """However late samples come, an update made upon the one before has the same bytes as one made from nothing."""
    vehicle, encoder = Vehicle(VEHICLE), UpdateEncoder()
    events: list[Event] = [policy(-60, by="23:00", percent=50), *told, unplug(10_000)]
    for event in events:
        decision = apply(vehicle, event, Rules())
        vehicle = decision.vehicle
        for output in decision.outputs:
            if isinstance(output, SessionChanged):
                assert encoder.encode(output) == UpdateEncoder().encode(output)


@CHECK
@given(ARBITRARY)
def test_blocks_have_no_more_than_the_part(told: list[Observation]) -> None:
    """The energies of disjoint blocks are at most that of the part."""
    _, totals = fold(told)
    energies = block_energies_wh(totals, BLOCKS, END)
    assert all(energy_wh >= 0 for energy_wh in energies)
    assert sum(energies) <= totals.energy_sum_wh


@CHECK
@given(samples(counter=noisy, has_charges=True, is_full=True, max_size=40))
def test_blocks_have_all_that_was_charged_in_them(told: list[Observation]) -> None:
    """Where a vehicle is known to charge in blocks only, they have all energy of the part."""
    start = min(each.at for each in told)
    _, totals = fold(told, Context(started_at=start, plugged_in_at=start))
    blocks = [(minute(20 * number), minute(20 * number + 20)) for number in range(20)]
    assert sum(block_energies_wh(totals, blocks, END)) == totals.energy_sum_wh


@CHECK
@given(samples(counter=exact, rate=False, level=False), st.integers(0, 24), st.integers(0, 24))
def test_parts_of_a_visit_add_up(told: list[Observation], one: int, other: int) -> None:
    """Parts that follow each other have together the energy of the visit, none of it twice."""
    whole_wh = fold(told)[1].energy_sum_wh
    readings, totals = fold([])
    parts_wh = 0
    for number, each in enumerate(told):
        if number in {one, other}:
            parts_wh += totals.energy_sum_wh
            context = structs.replace(CONTEXT, started_at=each.at - timedelta(minutes=number))
            totals = begin(readings, context, totals)
        readings, totals = taken(readings, totals, each)
    assert parts_wh + totals.energy_sum_wh == whole_wh


@CHECK
@given(ARBITRARY)
def test_totals_survive_storage(told: list[Observation]) -> None:
    """Readings and totals that are encoded and decoded go on as those that stay in memory."""
    readings, totals = fold(told)
    for storage in (msgspec.msgpack, msgspec.json):
        stored = storage.decode(storage.encode((readings, totals)), type=tuple[Readings, Totals])
        assert stored == (readings, totals)
