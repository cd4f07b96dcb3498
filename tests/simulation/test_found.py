"""What the fleet has found: each seed that once showed a defect, told anew in the feed that showed it."""

import pytest

from simulation.run import Options, run
from simulator.feeds.catalogue import feed_maker

# Seed, vehicle, vehicles of the fleet, days, feed: the defect that showed there.
FOUND: dict[str, tuple[int, int, int, int, str]] = {
    "a counter begun anew at a re-plug was taken for a placeholder": (147, 13, 20, 10, "clean"),
    "a held counter that had charged as much as before was taken for a placeholder": (3002, 6, 8, 5, "held-counter"),
    "a visit that began with a sale did not learn its charger": (5004, 18, 20, 10, "clean"),
    "a level's rise was credited to seconds in which the vehicle stood": (1000, 7, 20, 3, "held-counter"),
    "a held counter that begins anew with the battery's own heating": (2001, 3, 8, 6, "held-counter"),
    "a small counter's zeros again and again were counted each time": (2001, 8, 8, 8, "placeholder-zeros"),
    "an unplug in the middle of a block was answered with a START": (2000, 5, 8, 4, "all"),
    "eight polls in a row that told nothing": (2000, 4, 8, 8, "polls"),
    "polls that saw nothing of an hour and a half": (3002, 3, 8, 8, "polls"),
    "a visit that was split while it still went on": (2000, 4, 8, 8, "bursts"),
    "a STOP of just before its session settled was not released": (301, 6, 8, 6, "reordering"),
    "an unplug was the first to tell the place, and was answered with a START": (40007, 7, 8, 6, "all"),
    "an unplug was the first to tell the place, and was answered with a STOP": (30037, 1, 8, 8, "all"),
    "no word of the plug arrived before the charge was complete": (40014, 4, 6, 12, "all"),
    "no word of the plug arrived in the first six hours": (40004, 3, 6, 12, "all"),
    "the word of the plug came after sessions that were inferred from what came before it": (30025, 3, 8, 8, "all"),
    "no word of an unplug arrived, and the visit before it went on elsewhere": (30021, 5, 8, 8, "all"),
    "a re-plug at another charger, by a clock that is ahead": (30013, 5, 8, 8, "skew"),
    "a stay that is shorter than its clock is behind": (40006, 1, 6, 12, "skew"),
    "another owner at the plug, by a clock that is ahead": (40034, 5, 6, 12, "skew"),
    "the next stay is sought where the clock says that the one before was": (50002, 2, 8, 8, "skew"),
    "a block that ended where it was said to end was told again": (201, 8, 8, 6, "all"),
    "a car that slept for more than three days": (1000, 5, 20, 9, "sleep"),
    "a small counter back from a zero was taken for one begun anew": (20001, 5, 8, 5, "placeholder-zeros"),
    "a zero at the first power of a second part was taken for a beginning": (20002, 8, 8, 5, "placeholder-zeros"),
    "a target that was reached in time, as was told late, was looked for without end": (20003, 3, 8, 5, "offline"),
    "the same after a burst": (10007, 5, 8, 5, "all"),
    "a counter fell by a share of what it showed, more than a part had": (20008, 3, 8, 5, "falling-counter"),
    "a zero was the first word of a visit that began with a sale in mid-charge": (401, 6, 8, 6, "placeholder-zeros"),
    "no word of an unplug arrived, and the visit still goes on": (10017, 6, 8, 5, "all"),
    "no word of an unplug arrived, and two visits came out as one": (20004, 7, 8, 5, "all"),
    "a car that was sold in its sleep": (20003, 5, 8, 5, "sleep"),
    "a poll from home found the plug out, and a public charge became home's": (30038, 5, 8, 8, "polls"),
    "the same of a shorter charge": (40040, 2, 6, 12, "polls"),
    "what nobody had told before a cut was priced at the night's price alone": (40040, 4, 6, 12, "clean"),
    "the same after a reserve": (40023, 9, 20, 10, "clean"),
    "a counter stood below its highest before a silence, and was taken for begun anew": (40000, 6, 6, 12, "all"),
    "a counter's last reading was lost while the power of a fast charge fell": (50014, 8, 8, 8, "out-of-range"),
    "a counter's last reading was lost while the car warmed itself": (60020, 4, 6, 12, "out-of-range"),
    "no word told the place until the unplug, and the visit was nobody's": (30000, 2, 8, 6, "all"),
    "the plug that went out told where it had been": (30000, 3, 8, 10, "all"),
    "the session of the next visit was taken for that of a long one before": (104, 3, 8, 10, "all"),
    "charges were inferred before any word of the plug": (30000, 1, 8, 10, "all"),
    "the same at home": (40001, 4, 8, 10, "all"),
    "an older unplug came last, and the plug was back within the debounce of the first": (1, 6, 8, 10, "all"),
    "the next visit's counter came before the unplug": (15, 6, 8, 10, "all"),
    "a counter had begun anew in hours that came in any order": (23, 2, 8, 10, "all"),
    "all had been charged when the first word of the plug came": (23, 3, 8, 10, "all"),
    "a word of the plug came after the charge it was about was inferred": (29, 2, 8, 10, "all"),
    "a planned block that began was told again, as it had been": (22, 5, 8, 10, "all"),
    "a deadline passed while a policy was elsewhere": (7004, 9, 20, 8, "clean"),
    "a plan that was made anew divided energy otherwise, in quarter-hours that were let go": (204, 5, 8, 6, "all"),
    "a car warmed itself while nobody told its level again": (70006, 7, 8, 6, "changed-fields"),
    "the same on the last half-hour of a night": (70184, 3, 4, 5, "changed-fields"),
    "the same while its target had been reached": (70012, 2, 8, 6, "changed-fields"),
    "a wish whose time had passed before the plug-in was cleared in the visit": (70103, 2, 4, 5, "clean"),
    "a car warmed itself, and its last reading came after its session": (70003, 7, 8, 6, "reordering"),
    "a car was sold at the plug while its charge was stopped, and nothing let it charge again": (
        104,
        10,
        20,
        6,
        "clean",
    ),
    "another target was wished while an unplug waited to be confirmed, and judged": (70141, 3, 4, 5, "clean"),
    "a place of after the drive came before the unplug, of a visit that told no place": (70139, 2, 4, 5, "all"),
    "the same of another car": (70148, 1, 4, 5, "all"),
    "a fast charge was so short that two seconds before its first reading count": (81000, 3, 4, 5, "changed-fields"),
    "a level's rise was credited to a minute without a plug, as the last word before it was of charging": (
        90010,
        4,
        4,
        5,
        "changed-fields",
    ),
    "the first word of another owner at the plug said nothing of the plug": (90012, 1, 4, 5, "wrong-words"),
    "a drain hid what was drawn in quarter-hours without a price": (60010, 3, 6, 12, "falling-counter"),
}


@pytest.mark.parametrize(("seed", "number", "vehicles", "days", "feed"), FOUND.values(), ids=FOUND)
def test_a_seed_that_found_a_defect_finds_none(seed: int, number: int, vehicles: int, days: int, feed: str) -> None:
    """The history that once broke a law of the stream, or a bound of its feed, breaks none."""
    summary = run(Options(seed=seed, vehicles=vehicles, days=days, numbers=(number,)), feed_maker(feed))
    assert [f"{finding.law}: {finding.detail}" for finding in summary.findings] == []
    assert summary.updates > 10


# Seed, vehicle, vehicles of the fleet, days, feed, of people as odd as with `--unruly 3`.
UNRULY: dict[str, tuple[int, int, int, int, str]] = {
    "a re-plug hid of the counter what was missing after the policy had let go of the visit": (509, 9, 10, 6, "clean"),
    "a visit without energy was taken for a part of the session of two others, 8 h later": (82001, 3, 6, 5, "all"),
    "a charge was inferred within the session of a policy that had let go, as the unplug came late": (
        82016,
        6,
        6,
        5,
        "all",
    ),
}


@pytest.mark.parametrize(("seed", "number", "vehicles", "days", "feed"), UNRULY.values(), ids=UNRULY)
def test_a_seed_of_unruly_people_that_found_a_defect_finds_none(
    seed: int, number: int, vehicles: int, days: int, feed: str
) -> None:
    """The history of people who do many odd things breaks no law, and no bound of its feed, either."""
    options = Options(seed=seed, vehicles=vehicles, days=days, unruly=3.0, numbers=(number,))
    summary = run(options, feed_maker(feed))
    assert [f"{finding.law}: {finding.detail}" for finding in summary.findings] == []
    assert summary.updates > 10
