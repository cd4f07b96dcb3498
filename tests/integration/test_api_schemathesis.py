"""Schemathesis over the whole contract, against a running API: nothing that the contract does not tell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import structs

from models.session import SessionState
from models.topics import SESSION_UPDATED, VEHICLE_POLICIES
from runtime.partitions import partition_of
from tests.support.api_process import running_api
from tests.support.api_tokens import authorization
from tests.support.policy_client import EVERYTHING, PolicyClient
from tests.support.records import Outgoing, produce
from tests.support.system import Topics
from tests.support.updates import Update, policy_value, session_id
from tests.support.waiting import wait_until
from tests.support.walking import initial

pytestmark = pytest.mark.integration

COMMAND = Path(sys.executable).with_name("schemathesis")
CONFIG = Path(__file__).parents[1] / "schemathesis.toml"
# Schemathesis waits for the end of an answer, and an event stream has none but that of its token.
STREAM = "session/events$"
EXAMPLES = 10
STREAM_EXAMPLES = 15
LIMIT_S = 240


def run_schemathesis(env: dict[str, str], folder: Path, *options: str, **more_env: str) -> str:
    """What it said, every check on but one, once it has found nothing."""
    done = subprocess.run(
        [
            str(COMMAND),
            "--config-file",
            str(CONFIG),
            "run",
            f"http://127.0.0.1:{env['FLEX_API_PORT']}/openapi.json",
            "--checks=all",
            # It knows of one call only, that of the current session: a policy that was made disabled has none, 404.
            "--exclude-checks=ensure_resource_availability",
            # One: by the same Idempotency-Key one chain of calls might delete the policy that another has just made.
            "--workers=1",
            "--seed=1",
            "--no-color",
            *options,
        ],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        cwd=folder,
        env=os.environ | more_env,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    return done.stdout


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
        said = run_schemathesis(
            env,
            tmp_path,
            f"--header=Authorization: {authorization(scope=EVERYTHING)['Authorization']}",
            f"--exclude-path-regex={STREAM}",
            f"--max-examples={EXAMPLES}",
        )
        assert api.metric("flex_api_request_duration_seconds_count", status="500") == 0
    assert "Stateful" in said


def test_the_contract_of_the_stream_holds(topics: Topics, flex_env: dict[str, str], tmp_path: Path) -> None:
    """The same for the stream of events, by tokens that soon end it: streams are opened and read to their end, and
    every other answer is one that the contract names.
    """
    env = flex_env | {"FLEX_AUTH_LEEWAY_S": "0", "FLEX_RATE_LIMIT_PER_S": "100000", "FLEX_RATE_LIMIT_BURST": "100000"}
    with running_api(env, tmp_path) as api:
        # Of the id that the contract shows as its example.
        policy = Outgoing(topic=topics.name(VEHICLE_POLICIES), key="policy-1", value=policy_value("policy-1"))
        home = partition_of("v1", topics.partitions)
        produce(topics.bootstrap, [structs.replace(policy, partition=home)])
        waiting = Update(id=session_id(1), policy="policy-1", state=SessionState.UPCOMING)
        produce(topics.bootstrap, [waiting.outgoing(topics.name(SESSION_UPDATED), home)])
        current = "/flex/vehicle-policies/policy-1/session"
        wait_until(lambda: api.get(current).status_code == 200, 20, "the current session")
        run_schemathesis(
            env,
            tmp_path,
            f"--include-path-regex={STREAM}",
            f"--max-examples={STREAM_EXAMPLES}",
            "--phases=examples,coverage,fuzzing",
            SCHEMATHESIS_HOOKS="tests.support.brief_tokens",
            PYTHONPATH=str(CONFIG.parents[1]),
        )
        assert api.metric("flex_api_streams_ended_total", kind="events", reason="token-expired") > 0
        assert api.metric("flex_api_request_duration_seconds_count", status="500") == 0
