"""The shapes that clients meet, as files: what the logic makes today, and what it ever published."""

import json
from pathlib import Path

import msgspec
import pytest

from models.session import SessionState
from models.webhook import SessionUpdated
from tests.golden.scenarios import CURRENT, FOLDER, SCENARIOS, value

# The state that each scenario is there to show.
STATES = {
    "upcoming": SessionState.UPCOMING,
    "active-battery-reserve": SessionState.ACTIVE_BATTERY_RESERVE,
    "active-regular": SessionState.ACTIVE_REGULAR,
    "active-immediate-start": SessionState.ACTIVE_IMMEDIATE_START,
    "settled-managed": SessionState.SETTLED,
    "settled-unmanaged": SessionState.SETTLED,
    "deadline-missed": SessionState.SETTLED,
    "override": SessionState.ACTIVE_REGULAR,
    "error": SessionState.ACTIVE_BATTERY_RESERVE,
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_made_by_the_logic(name: str) -> None:
    """The file is what the logic makes of its history (`python -m tests.golden.scenarios` writes it anew)."""
    assert json.loads((CURRENT / f"{name}.json").read_text(encoding="utf-8")) == json.loads(value(name))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("v*/*.json")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_readable_for_ever(path: Path) -> None:
    """Whatever was ever published can be read, and says the same when it is written again."""
    update = msgspec.json.decode(path.read_bytes(), type=SessionUpdated)
    assert json.loads(msgspec.json.encode(update)) == json.loads(path.read_bytes())


@pytest.mark.parametrize(("name", "state"), STATES.items())
def test_shows_its_state(name: str, state: SessionState) -> None:
    """Each file shows the state that it is named for."""
    assert msgspec.json.decode(value(name), type=SessionUpdated).session.state is state


def test_every_scenario_has_a_file() -> None:
    """Scenarios, files and states are the same nine."""
    assert set(SCENARIOS) == {path.stem for path in CURRENT.glob("*.json")} == set(STATES)
