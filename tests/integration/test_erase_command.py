"""`flex-sessions erase` beside a running worker and API: refused while something is still to come, then it is done."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.topics import CHANGELOG, SESSION_UPDATED
from streams.states import decode_vehicle
from tests.support.api_process import ROOT, Api, running_api
from tests.support.command import run_flex
from tests.support.records import Record, read_all
from tests.support.system import Topics
from tests.support.waiting import wait_until
from tests.support.worker import System, minutes, new_vehicle, plug, running_system, sample

pytestmark = pytest.mark.integration

T0 = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
ANN, BOB = "ann", "bob"


def visit(vehicle: str, user: str, start: float, location: str) -> list[Any]:
    """A charged visit of 60 minutes from that minute on, and a message beyond the debounce."""
    return [
        plug(vehicle, T0 + minutes(start), True, locationId=location, userId=user),
        sample(vehicle, T0 + minutes(start + 1), energyAdded=0.0, userId=user),
        sample(vehicle, T0 + minutes(start + 51), energyAdded=6.0, userId=user),
        plug(vehicle, T0 + minutes(start + 60), False, userId=user),
        sample(vehicle, T0 + minutes(start + 65), userId=user),
    ]


def newest(topics: Topics) -> dict[str | None, Record]:
    """The newest record of each session."""
    return {record.key: record for record in read_all(topics.bootstrap, topics.name(SESSION_UPDATED))}


def is_plugged_in(topics: Topics, vehicle: str) -> bool:
    """Whether the worker has told its changelog of an open visit."""
    found = read_all(topics.bootstrap, topics.name(CHANGELOG))
    states = [record.value for record in found if record.key == f"v{vehicle}" and record.value is not None]
    return bool(states) and decode_vehicle(states[-1], None).visit is not None


def refused(env: dict[str, str], *words: str) -> None:
    """`erase` for ann ends with exit code 1 and one line that has these words."""
    done = run_flex("erase", "--user", ANN, env=env)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert done.stderr.startswith(f"error: user {ANN} still has ")
    assert all(word in done.stderr for word in words), done.stderr


def test_erase_is_refused_until_all_is_over_and_then_the_api_knows_nothing(
    flex_env: dict[str, str], topics: Topics, tmp_path: Path
) -> None:
    """With a policy, a current session or an open visit: refused; then every session of the user, and nobody else's,
    is tombstoned where it lies, and the API answers 404; a second run finds nothing.
    """
    ann_car, bob_car = new_vehicle("ann"), new_vehicle("bob")
    policy_id = f"policy-of-{ann_car}"
    with running_system(topics, tmp_path) as system, running_api(flex_env, tmp_path) as api:
        system.send(system.policy(ann_car, userId=ANN), *visit(ann_car, ANN, 0, "home"))
        system.send(system.policy(bob_car, userId=BOB), *visit(bob_car, BOB, 0, "home"))
        sessions = system.wait_for_states(ann_car, "UPCOMING", "ACTIVE:REGULAR", "SETTLED", "UPCOMING")
        system.wait_for_states(bob_car, "UPCOMING", "ACTIVE:REGULAR", "SETTLED", "UPCOMING")
        settled, waiting = sessions[-2]["id"], sessions[-1]["id"]
        refused(flex_env, f"policy {policy_id}", f"current session {waiting}")

        system.send(system.policy(ann_car, delete=True))
        wait_until(lambda: newest(topics)[waiting].value is None, 20, "the awaited session withdrawn")
        second = visit(ann_car, ANN, 120, "public-1")
        system.send(*second[:2])
        wait_until(lambda: is_plugged_in(topics, ann_car), 20, "the open visit in the worker's state")
        refused(flex_env, f"open visit of {ann_car}")
        system.send(*second[2:])
        unmanaged = wait_for_unmanaged(system, ann_car)
        assert_listed(api, ann_car, {settled, unmanaged})
        assert api.get(f"{ROOT}/{policy_id}/sessions/{settled}").status_code == 200

        before = newest(topics)
        done = run_flex("erase", "--user", ANN, env=flex_env)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"erased 2 session(s) of user {ANN}\n", "")
        after = newest(topics)
        for session_id in (settled, unmanaged):
            assert after[session_id].value is None
            assert after[session_id].partition == before[session_id].partition
        changed = {session_id for session_id, record in after.items() if record != before[session_id]}
        assert changed == {settled, unmanaged}
        wait_until(lambda: not api.ids({"vehicleId": ann_car}), 20, "the API without the user's sessions")
        assert api.get(f"{ROOT}/{policy_id}/sessions/{settled}").status_code == 404
        assert len(api.ids({"vehicleId": bob_car})) == 1

        again = run_flex("erase", "--user", ANN, env=flex_env)
        assert (again.returncode, again.stdout) == (0, f"erased 0 session(s) of user {ANN}\n")
        assert newest(topics) == after


def wait_for_unmanaged(system: System, vehicle: str) -> str:
    """The id of the vehicle's unmanaged session, once there is one."""
    return wait_until(
        lambda: next((each["id"] for each in system.sessions(vehicle) if each["policyId"] is None), ""),
        30,
        "the unmanaged session",
    )


def assert_listed(api: Api, vehicle: str, expected: set[str]) -> None:
    """Until the API lists these sessions of the vehicle."""
    wait_until(lambda: set(api.ids({"vehicleId": vehicle})) == expected, 20, f"{expected} in the list")


def test_what_is_missing_is_one_line(broker: Any, prefix: str) -> None:
    """Without the topics, one line says which is missing and how to make it."""
    env = Topics(bootstrap=broker.bootstrap, prefix=prefix, partitions=2).env()
    done = run_flex("erase", "--user", ANN, env=env)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "is missing: create the topics with `flex-sessions topics`" in done.stderr


def test_a_broker_that_is_away_is_one_line() -> None:
    """Without a broker the command ends within its bound, in one line that names it."""
    done = run_flex("erase", "--user", ANN, env={"FLEX_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: Kafka at 127.0.0.1:1 does not answer")
