"""The run itself, its command and its shrinking."""

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec import structs

from models.session import Aggregated
from sessions import public
from sessions.totals import Totals
from simulation.__main__ import main
from simulation.run import Options, Run, run
from simulation.shrink import shrink
from simulator.feeds.catalogue import feed_maker
from simulator.world.moments import DAY_MS, start_of

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def spoilt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Session logic whose totals are rounded to 10 Wh."""
    whole = public.aggregated

    def rounded(totals: Totals) -> Aggregated:
        told = whole(totals)
        return structs.replace(told, kwh_sum=round(told.kwh_sum, 2))

    monkeypatch.setattr(public, "aggregated", rounded)


@pytest.mark.usefixtures("spoilt")
def test_a_shrunk_history_has_no_idle_days() -> None:
    """What is left of a history begins on the day of its first act that matters, and ends with what is found."""
    options = Options(seed=1, vehicles=2, days=6)
    late = next(each for each in run(options, feed_maker("clean")).findings if each.at.timestamp() * 1_000
                > start_of(1) + 4 * DAY_MS)  # fmt: skip
    shrunk = shrink(options, feed_maker("clean"), late, 60.0)
    assert shrunk is not None
    assert shrunk.finding.law == late.law
    assert len(shrunk.acts) <= 4
    assert shrunk.options.days - shrunk.options.first_day == 1
    again = run(shrunk.options, feed_maker("clean"))
    assert late.law in again.laws


def test_what_the_command_counts() -> None:
    """With nothing found the status is 0; visits compared, skipped and not judged, and nights, are told."""
    said = CliRunner().invoke(main, ["--vehicles", "2", "--days", "3", "--calm", "--unruly", "0"])
    assert said.exit_code == 0
    assert "nothing found" in said.output
    assert ", 0 not judged" in said.output
    assert "managed nights in which it was possible" in said.output


def test_deaths_come_at_any_step_and_the_run_goes_on_with_what_was_read() -> None:
    """Steps between two deaths are drawn by the seed; after one, the car goes on with the state read from bytes."""
    between: list[int] = []
    running: Run

    def hear(*_: object) -> None:
        if running.summary.crashes > len(between):
            between.append(running.summary.events)

    running = Run(Options(seed=1, vehicles=2, days=2, crash_every=10), feed_maker("clean"), hear)
    for _ in running.days():
        pass
    steps = {later - one for one, later in pairwise(between)}
    assert len(steps) > 10
    assert min(steps) < 5
    assert 15 < max(steps) < 20


def test_a_search_of_a_running_system_ends() -> None:
    """`make simulate LIVE=1` says how long the present lasts: the wall clock has no end of its own."""
    said = subprocess.run(
        ["make", "--dry-run", "simulate", "LIVE=1", "DAYS=7"], cwd=_ROOT, capture_output=True, text=True, check=True
    )
    assert "simulate --judge --minutes 10 " in said.stdout
