"""The table of what each feed may do to a session says what the judge allows."""

import re
from pathlib import Path

import pytest

from simulator.feeds.catalogue import BOUNDS

_README = Path(__file__).resolve().parents[3] / "simulator" / "README.md"
_ROW = re.compile(r"^\| `([a-z-]+)`[^|]*\| ([^|]+) \| ([^|]+) \| (yes|no) \| (yes|no) \|", re.MULTILINE)
_ROWS = {name: cells for name, *cells in _ROW.findall(_README.read_text())}


def test_every_feed_has_its_row() -> None:
    """The table has one row for each feed, and none for another."""
    assert _ROWS.keys() == BOUNDS.keys()


@pytest.mark.parametrize("name", BOUNDS)
def test_the_row_says_what_the_judge_allows(name: str) -> None:
    """Boundaries, splits, energy, levels and costs are called what the judge holds them to."""
    boundaries, energy, levels, cost = _ROWS[name]
    bounds, clean = BOUNDS[name], BOUNDS["clean"]
    assert boundaries.startswith("exact") == (bounds.start_s == bounds.end_s == (0, 0))
    assert ("early" in boundaries) == (bounds.start_s[0] > 0 or bounds.end_s[0] > 0)
    assert ("may split" in boundaries) == bounds.may_split
    is_clean = (bounds.energy_share, bounds.energy_kwh, bounds.energy_gap_s) == (
        clean.energy_share,
        clean.energy_kwh,
        clean.energy_gap_s,
    )
    assert energy.startswith(("as clean", "0.5 %")) == is_clean
    assert (levels == "yes") == (bounds.level_percent is not None)
    assert (cost == "yes") == (bounds.money is not None)
