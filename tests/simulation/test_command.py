"""`python -m simulation` and its shrinking, with a session logic that is spoilt on purpose."""

import re
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from msgspec import structs

from models.ids import VehicleId
from sessions.events import Decision, Event, Rules, SessionChanged
from sessions.lifecycle import apply
from sessions.prices import PriceBook
from sessions.state import Vehicle
from simulation import run as running
from simulation.__main__ import main
from simulation.run import Options, run
from simulation.shrink import shrink
from simulator.feeds.catalogue import CLEAN, feed_maker
from simulator.judge.findings import Finding
from simulator.world.acts import PlugIn, WritePolicy
from simulator.world.moments import moment, start_of

LAW = "versions count 1, 2, 3"
# One of these cars settles a managed session within that time.
OPTIONS = Options(seed=1, vehicles=2, days=3)


def _spoilt(vehicle: Vehicle, event: Event, rules: Rules, book: PriceBook) -> Decision:
    """The session logic, but a settled session skips a version."""
    decision = apply(vehicle, event, rules, book)
    outputs = [
        structs.replace(output, version=output.version + 1)
        if isinstance(output, SessionChanged) and output.head.plugged_out_at and output.head.policy_id
        else output
        for output in decision.outputs
    ]
    return structs.replace(decision, outputs=tuple(outputs)) if decision.outputs else decision


@pytest.fixture
def spoilt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "apply", _spoilt)


@pytest.fixture
def called() -> Callable[..., Result]:
    def call(*more: str) -> Result:
        return CliRunner().invoke(main, ["--seed", "1", "--vehicles", "2", "--days", "3", *more])

    return call


def test_a_run_that_finds_nothing_ends_with_0(called: Callable[..., Result]) -> None:
    """Exit status 0 and a summary: nothing was found, and how much was compared."""
    result = called("--seeds", "2")
    assert result.exit_code == 0
    assert "nothing found" in result.stdout
    assert "2 runs, " in result.stdout
    assert " compared (" in result.stdout


@pytest.mark.usefixtures("spoilt")
def test_a_run_that_finds_something_ends_with_1_and_tells_how(called: Callable[..., Result]) -> None:
    """Exit status 1; the finding with its seed and law, the acts that still show it, and the events up to it."""
    result = called()
    assert result.exit_code == 1
    assert f"seed 1 clean: {LAW}: true-" in result.stdout
    assert "the shortest history that shows it" in result.stdout
    assert "\n    WritePolicy(" in result.stdout
    assert "\n    PlugIn(" in result.stdout
    assert " events, the last of them:\n    " in result.stdout
    assert re.search(r"\n    02-2\d [\d:.]+ ChargeSample user_id=user-", result.stdout)
    assert f"  clean: {LAW}: " in result.stdout
    assert result.stdout.endswith(" findings\n")


@pytest.mark.usefixtures("spoilt")
def test_it_stops_at_the_first_seed_that_finds_something(called: Callable[..., Result]) -> None:
    """With --stop no seed follows one that found something, and without shrinking no history is told."""
    result = called("--seeds", "5", "--stop", "--no-shrink")
    assert result.exit_code == 1
    assert "1 runs, " in result.stdout
    assert "the shortest history" not in result.stdout


@pytest.mark.usefixtures("spoilt")
def test_a_shrunk_history_still_breaks_the_same_law() -> None:
    """What is left after shrinking is of one car, breaks the same law, and is a handful of acts."""
    found = next(each for each in run(OPTIONS, feed_maker(CLEAN)).findings if each.law == LAW)
    shrunk = shrink(OPTIONS, feed_maker(CLEAN), found, 30.0)
    assert shrunk is not None
    assert shrunk.finding.law == LAW
    assert run(shrunk.options, feed_maker(CLEAN)).laws[LAW] > 0
    # A policy at least, and a plug-in at its place.
    assert {WritePolicy, PlugIn} <= {type(act) for act in shrunk.acts}
    assert len(shrunk.acts) <= 5


def test_what_its_car_alone_does_not_show_is_not_shrunk() -> None:
    """A finding that does not come again has no shortest history."""
    found = Finding(law=LAW, vehicle_id=VehicleId("true-1"), at=moment(start_of(OPTIONS.seed)), detail="")
    assert shrink(OPTIONS, feed_maker(CLEAN), found, 30.0) is None
