"""Parts of a visit: late beginnings, starts that move back, and parts that follow each other."""

from msgspec import structs

from sessions.grid import micros
from sessions.readings import quarters_of
from sessions.samples import begin, moved_back
from sessions.totals import Context, Totals, estimated_level
from tests.builders import minute, plug, sample
from tests.support.statistics import Visit, context, told


def battery_of(known: Context) -> tuple[int, float]:
    """Capacity and efficiency, as the level is carried on by them."""
    return known.capacity_wh or known.default_capacity_wh, known.efficiency


def _next_part(visit: Visit, start: float) -> Totals:
    """The part that ends, while the visit goes on with the next one."""
    before = visit.part
    assert visit.context is not None
    visit.context = structs.replace(visit.context, started_at=minute(start))
    visit.totals = begin(visit.readings, visit.context, before)
    return before


def test_a_plug_in_that_comes_late_finds_its_readings() -> None:
    """What was told before anybody knew of the plug-in counts from the plug-in on."""
    visit = Visit().tell(sample(12, 1.0), sample(16, 2.0, rate=6), sample(20, 3.0, rate=6), sample(21))
    visit.plug_in(context(14))
    assert visit.energy_wh == [500, 500 + 1_000 + 100]
    assert visit.tell(sample(22, 3.3)).sum_wh == 2_300


def test_what_was_told_long_before_is_forgotten() -> None:
    """While nothing is plugged in, what is older than 10 min is forgotten, by whole quarter-hours."""
    visit = Visit().tell(sample(14, 1.0), sample(24.99))
    assert len(quarters_of(visit.readings)) == 1
    visit.tell(sample(25))
    assert quarters_of(visit.readings) == []
    visit.tell(sample(14, 1.0))
    assert quarters_of(visit.readings) == []


def test_the_next_part_takes_over() -> None:
    """What is learnt after a part has ended falls to the next: parts are disjoint in energy, and add up."""
    visit = told([sample(10, 0.0, level=20), sample(40, 3.0, level=25)])
    before = _next_part(visit, 50)
    assert (visit.sum_wh, visit.part.is_energy_known, visit.part.level_from) == (0, False, None)
    visit.tell(sample(60, 5.0), sample(80, 6.0))
    assert (before.energy_sum_wh, visit.sum_wh) == (3_000, 3_000)
    # From minute 50 on: 2 kWh by minute 60, of what was charged since minute 40.
    assert visit.energy_wh == [2_000, 750, 250]


def test_a_part_that_begins_before_the_newest_reading() -> None:
    """A part that begins at an earlier time counts nothing that the part before has counted."""
    visit = told([sample(10, 0.0), sample(40, 3.0, rate=6, charging=True), sample(41)])
    before = _next_part(visit, 30)
    assert before.energy_sum_wh == 3_100
    visit.tell(sample(40, 3.0), sample(39, 2.9), sample(38, charging=False))
    assert visit.sum_wh == 0
    assert visit.tell(sample(45, 3.6)).energy_wh == [500]
    assert visit.tell(sample(70, 3.6)).sum_wh == 500


def test_the_next_part_knows_what_the_rates_gave_before() -> None:
    """A difference of which rates have told a share before adds only the rest to the next part."""
    visit = told([sample(10, 0.0, rate=6), sample(20, rate=6)])
    before = _next_part(visit, 20)
    assert (before.energy_sum_wh, visit.sum_wh) == (1_000, 0)
    assert visit.tell(sample(30, 2.5)).sum_wh == 1_500
    visit = told([sample(10, 0.0, rate=6), sample(20, rate=6)])
    _next_part(visit, 20)
    assert visit.tell(sample(30, 0.7, rate=6)).sum_wh == 0
    assert visit.tell(sample(40, 1.0)).sum_wh == 300


def test_a_rate_goes_on_in_the_next_part() -> None:
    """A rate that was told before goes on, from where it has been counted."""
    visit = told([sample(10, rate=6), sample(14)])
    _next_part(visit, 16)
    assert visit.tell(sample(20)).energy_wh == [600]


def test_a_state_goes_on_in_the_next_part() -> None:
    """A state holds over the end of a part, but says nothing of the time before the next one."""
    visit = told([sample(10, 0.0, charging=True), sample(20, 1.0), sample(40, charging=False)])
    _next_part(visit, 42)
    visit.tell(sample(50, charging=True), sample(60, 3.0))
    assert visit.energy_wh == [0, 2_000]


def test_a_level_goes_on_in_the_next_part() -> None:
    """The level told in the part before is carried on, and rises count from it."""
    visit = told([sample(10, level=20), sample(25, level=23)])
    before = _next_part(visit, 40)
    assert visit.part.level_from is None
    assert estimated_level(visit.part, *battery_of(context())) == 23
    visit.tell(sample(70, level=26))
    assert (before.energy_sum_wh, visit.sum_wh) == (2_000, 2_000)
    assert visit.part.level_from == 26


def test_a_level_told_shortly_before_the_next_part() -> None:
    """The next part begins with the newest level of the 5 min before."""
    visit = told([sample(10, level=20), sample(37, level=23)])
    _next_part(visit, 40)
    assert (visit.part.level_from, visit.part.level_to, visit.part.levels) == (23, 23, ())


def test_the_next_part_in_the_same_quarter_hour() -> None:
    """Parts within one quarter-hour count nothing twice, however often it is walked."""
    visit = told([sample(16, 0.0, rate=6), sample(20, 1.0, rate=6)])
    _next_part(visit, 21)
    visit.tell(sample(22, 1.3, rate=6), sample(23, 1.5, rate=6), sample(24, 1.6))
    assert visit.energy_wh == [600]
    _next_part(visit, 25)
    assert visit.tell(sample(26, 1.7), sample(27, 1.9)).sum_wh == 300


def test_a_part_ahead_of_the_telemetry() -> None:
    """A part may begin ahead of the newest message: what comes meanwhile lies in its first interval."""
    visit = told([sample(10, 0.0), sample(20, 1.0)])
    _next_part(visit, 50)
    assert visit.tell(sample(25, 1.5), sample(26, 1.6), sample(61, 3.0)).energy_wh == [500 + 100 + 1_273, 127]


def test_the_start_moves_back_within_what_is_known() -> None:
    """A start that moves back gives the part that would have begun there."""
    events = [sample(11, 0.2, level=20, rate=6, charging=True), sample(16, 0.5), sample(40, 3.0, level=26)]
    moved = Visit(context(20)).tell(*events)
    moved.totals = moved_back(moved.readings, moved.part, context(10))
    straight = Visit(context(10)).tell(*events)
    assert moved.part == structs.replace(straight.part, power=moved.part.power, changed_from=moved.part.changed_from)


def test_the_start_moves_back_beyond_what_is_known() -> None:
    """Where the readings since are forgotten, the quarter-hours only keep their places in time."""
    visit = told([sample(20, 0.0, level=20), sample(25, 1.0, level=21)], context(20))
    visit.tell(*(sample(25 + 60 * number, 1.0 + number, level=22) for number in range(1, 30)))
    energies = visit.energy_wh
    moved = moved_back(visit.readings, visit.part, context(-20))
    assert list(moved.energy_wh) == [0, 0, 0, *energies]
    assert moved.levels[:4] == (None, None, None, 21)
    assert (moved.energy_sum_wh, moved.started_us, moved.changed_from) == (sum(energies), micros(minute(-20)), 0)
    visit.totals, visit.context = moved, context(-20)
    visit.tell(sample(1_800, 31.0, level=40))
    assert visit.energy_wh[:30] == [0, 0, 0, *energies][:30]
    assert visit.sum_wh == sum(visit.energy_wh) == 31_000


def test_an_empty_part_moves_back() -> None:
    """A part of which nothing is known has no energies and no levels wherever it begins."""
    visit = Visit(context(20)).tell(plug(20))
    moved = moved_back(visit.readings, visit.part, context(0))
    assert (moved.energy_wh, moved.levels, moved.level_from) == ((), (), None)
