"""Cursors under writes over many sessions: half a minute; two and more with WALK_SESSIONS=100000 in the environment."""

import os
from pathlib import Path

import pytest

from tests.support.api_process import running_api
from tests.support.system import Topics
from tests.support.walking import READERS, walk_under_writes

pytestmark = pytest.mark.integration

SESSIONS = int(os.environ.get("WALK_SESSIONS", "20000"))


def test_walks_over_many_sessions(topics: Topics, flex_env: dict[str, str], tmp_path: Path) -> None:
    """Eight readers of eight lists out of many sessions see no row twice and miss none that stayed."""
    env = flex_env | {"FLEX_RATE_LIMIT_PER_S": "100000", "FLEX_RATE_LIMIT_BURST": "100000"}
    with running_api(env, tmp_path) as api:
        walks = walk_under_writes(topics, env, api, SESSIONS, seed=2)
    assert len(walks) == len(READERS)
    assert walks[0].requests > 2 * SESSIONS // 100
