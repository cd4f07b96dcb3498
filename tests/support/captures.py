"""Recorded telemetry, read where it lies: nothing of it is part of the project."""

import os
from pathlib import Path

import pytest

_BESIDE_THE_PROJECT = Path(__file__).resolve().parents[3] / "shared" / "data"


def recorded_data() -> Path | None:
    """The folder of recorded telemetry; None where there is none."""
    path = Path(os.environ.get("FLEX_DATA_DIR") or _BESIDE_THE_PROJECT)
    return path if path.is_dir() else None


def capture(name: str) -> Path:
    """The file `name` under $FLEX_DATA_DIR or ../shared/data; the test is skipped where it is absent."""
    path = Path(os.environ.get("FLEX_DATA_DIR") or _BESIDE_THE_PROJECT) / name
    if not path.is_file():
        pytest.skip(f"no recorded telemetry: {name} is neither under $FLEX_DATA_DIR nor under ../shared/data")
    return path
