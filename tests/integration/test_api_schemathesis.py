"""Schemathesis over the whole contract, against a running API: nothing that the contract does not tell."""

import subprocess
import sys
from pathlib import Path

import pytest

from models.session import SessionState
from models.topics import SESSION_UPDATED
from tests.support.api_process import running_api
from tests.support.api_tokens import authorization
from tests.support.policy_client import EVERYTHING, PolicyClient
from tests.support.records import produce
from tests.support.system import Topics
from tests.support.updates import Update, session_id
from tests.support.waiting import wait_until
from tests.support.walking import initial

pytestmark = pytest.mark.integration

COMMAND = Path(sys.executable).with_name("schemathesis")
CONFIG = Path(__file__).parents[1] / "schemathesis.toml"
# An event stream does not end, and Schemathesis waits for the end of an answer.
ENDLESS = "session/events$"
EXAMPLES = 5
LIMIT_S = 240


def test_the_contract_holds(topics: Topics, flex_env: dict[str, str], tmp_path: Path) -> None:
    """Examples, edge cases, random requests and chains of calls, every check on: each answer is one that the contract
    names, in the shape that it shows, and none is a 500.
    """
    env = flex_env | {
        "FLEX_RATE_LIMIT_PER_S": "100000",
        "FLEX_RATE_LIMIT_BURST": "100000",
        # No worker makes a first session here.
        "FLEX_FIRST_SESSION_WAIT_S": "0.1",
    }
    with running_api(env, tmp_path) as api:
        policy = PolicyClient(api).made().json()
        waiting = Update(id=session_id(1_000), policy=policy["id"], user="user-1", state=SessionState.UPCOMING)
        sessions = [waiting, *(initial(number) for number in range(100))]
        produce(topics.bootstrap, (each.outgoing(topics.name(SESSION_UPDATED)) for each in sessions))
        wait_until(lambda: len(api.ids()) >= 100, 20, "the sessions are listed")
        done = subprocess.run(
            [
                str(COMMAND),
                "--config-file",
                str(CONFIG),
                "run",
                f"http://127.0.0.1:{env['FLEX_API_PORT']}/openapi.json",
                f"--header=Authorization: {authorization(scope=EVERYTHING)['Authorization']}",
                "--checks=all",
                f"--exclude-path-regex={ENDLESS}",
                f"--max-examples={EXAMPLES}",
                "--workers=2",
                "--seed=1",
                "--no-color",
            ],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-2_000:]
        assert api.metric("flex_api_request_duration_seconds_count", status="500") == 0
    assert "Stateful" in done.stdout
