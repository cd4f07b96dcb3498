"""One published table after the other, each read once for all of its tests."""

import pytest

from tests.replays.judging import Published, published_in
from tests.replays.tables import TABLES


@pytest.fixture(scope="session", params=TABLES, ids=lambda table: table.name.replace(" ", "-"))
def published(request: pytest.FixtureRequest) -> Published:
    """A table; skipped by name where it is absent."""
    return published_in(request.param)
