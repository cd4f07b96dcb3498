"""The core against the fleet that knows the truth, on fixed seeds: a short form of `make simulate`."""

import pytest

from simulation.run import Options, Run, Summary, run
from simulator.feeds.catalogue import ALL, CLEAN, NAMES, feed_maker

_DIRTY = tuple(name for name in NAMES if name not in {CLEAN, ALL})


def assert_nothing_found(summary: Summary) -> None:
    assert [f"{finding.law}: {finding.vehicle_id} {finding.detail}" for finding in summary.findings] == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_true_visit_comes_out_of_a_clean_feed(seed: int) -> None:
    """From a clean feed every true visit comes out once, at its time, with its energy and cost, and no law breaks."""
    summary = run(Options(seed=seed, vehicles=8, days=5), feed_maker(CLEAN))
    assert_nothing_found(summary)
    assert summary.visits > 20
    assert summary.verdicts > 10
    assert summary.commands > 50
    assert summary.crashes > 50
    assert summary.refused == 0


def test_the_event_clock_keeps_every_law() -> None:
    """On the event clock, where timers fire before the vehicle's next message alone, the truth comes out as well."""
    summary = run(Options(seed=5, vehicles=8, days=5, is_wall=False), feed_maker(CLEAN))
    assert_nothing_found(summary)
    assert summary.visits > 20


@pytest.mark.parametrize("name", _DIRTY)
def test_a_defect_of_the_feed_stays_within_its_bounds(name: str) -> None:
    """What a feed's habit may do to a session is bounded as the table of simulator/README.md says."""
    summary = run(Options(seed=6, vehicles=4, days=5), feed_maker(name))
    assert_nothing_found(summary)
    assert summary.visits > 10


def test_a_visit_that_was_split_is_judged_once_it_is_over() -> None:
    """A re-plug that came late split a night in two; the first half waits for the visit to end, and is not invented."""
    summary = run(Options(seed=300, vehicles=8, days=6, numbers=(2,)), feed_maker("bursts"))
    assert_nothing_found(summary)
    assert summary.visits > 3


def test_all_defects_together_stay_within_their_bounds() -> None:
    """All habits together break no law of the stream, and sessions stay within the widest bounds."""
    assert_nothing_found(run(Options(seed=6, vehicles=5, days=6), feed_maker(ALL)))


def test_one_seed_gives_one_history() -> None:
    """The same seed gives the same events, in the same order, byte for byte; another seed gives others."""
    first, second, other = _history(7), _history(7), _history(8)
    assert len(first) > 500
    assert first == second
    assert first != other


def test_a_vehicle_lives_alike_in_any_company() -> None:
    """What a car tells does not depend on how many others there are."""
    alone = _history(7, numbers=(2,))
    among = [event for event in _history(7, numbers=(1, 2, 3)) if "true-2'" in event]
    assert among == [event for event in alone if "true-2'" in event]
    assert len(among) > 200


def _history(seed: int, numbers: tuple[int, ...] = (1, 2)) -> list[str]:
    events: list[str] = []
    options = Options(seed=seed, vehicles=3, days=3, numbers=numbers)
    for _ in Run(options, feed_maker(CLEAN), lambda _ms, _lane, event, _: events.append(str(event))).days():
        pass
    return events


def test_managed_nights_are_ready_in_time_and_cheap() -> None:
    """With prices known, every car that can be ready in time is, at no more than 3 % above the least cost there is.

    The least cost is the oracle's, with perfect knowledge of prices and power; what lies between is told in README.md.
    """
    running = Run(Options(seed=2, vehicles=12, days=6, unruly=0.0, is_calm_market=True), feed_maker(CLEAN))
    for _ in running.days():
        pass
    nights = running.nights
    assert_nothing_found(running.summary)
    assert nights.possible > 25
    assert nights.met == nights.possible
    assert nights.best <= nights.cost <= 1.03 * nights.best
