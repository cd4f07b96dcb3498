"""Cursors under writes: lists that grow, shrink and change while they are walked."""

from pathlib import Path

import pytest

from tests.support.api_process import running_api
from tests.support.system import Topics
from tests.support.walking import walk_under_writes

pytestmark = pytest.mark.integration


def test_walks_while_a_writer_is_at_work(topics: Topics, flex_env: dict[str, str], tmp_path: Path) -> None:
    """Eight readers of eight lists, forward and back: no row twice, all in order, and none skipped that was there when
    the first page was read and stayed.
    """
    env = flex_env | {"FLEX_RATE_LIMIT_PER_S": "100000", "FLEX_RATE_LIMIT_BURST": "100000"}
    with running_api(env, tmp_path) as api:
        walks = walk_under_writes(topics, env, api, count=3_000, seed=1)
    assert sum(walk.requests for walk in walks) > 200
