"""The defects that `scripts/planted.py` plants still fit the session logic."""

import pytest

from scripts.planted import PLANTS, ROOT, Plant


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_what_a_plant_replaces_stands_once(plant: Plant) -> None:
    """What each defect replaces stands in its module exactly once, so that it is planted, and nowhere else."""
    assert (ROOT / "src" / "sessions" / f"{plant.module}.py").read_text().count(plant.old) == 1


def test_every_plant_changes_its_module() -> None:
    """No two defects are one, and each changes the code."""
    assert len({(plant.module, plant.old, plant.new) for plant in PLANTS}) == len({plant.name for plant in PLANTS})
    assert all(plant.old != plant.new for plant in PLANTS)
