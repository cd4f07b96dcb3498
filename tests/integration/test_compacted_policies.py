"""The policies' topic as compaction leaves it: what a record replaced is gone, and the record counts all the same."""

import uuid
from pathlib import Path
from typing import Any

import pytest

from local.ports import free_port
from models.policy import REPLACES_HEADER, RESTORED_HEADER
from models.topics import VEHICLE_POLICIES, dead_letter_topic
from runtime.partitions import partition_of
from tests.support.api_process import READY_S, ROOT, running_api
from tests.support.policy_client import PolicyClient
from tests.support.records import Outgoing, produce, read_all
from tests.support.system import Topics
from tests.support.waiting import wait_until
from tests.support.worker import policy_value, running_system

pytestmark = pytest.mark.integration

A_TAG = "0123456789abcdef" * 2


def newest(topics: Topics, vehicle: str, headers: dict[str, str]) -> Outgoing:
    """The newest record of the vehicle's policy, which is all that is left of it."""
    policy: dict[str, Any] = policy_value(vehicle, f"policy-of-{vehicle}")
    partition = partition_of(vehicle, topics.partitions)
    name = topics.name(VEHICLE_POLICIES)
    return Outgoing(topic=name, key=policy["id"], value=policy, headers=headers, partition=partition)


def test_only_the_newest_record_of_each_policy_is_left(topics: Topics, tmp_path: Path) -> None:
    """A changed policy, and one that an earlier worker put back, are all that the topic has: a new worker and a new
    view take both; their sessions are there, nothing is refused, and nothing is written back.
    """
    left = {
        f"car-{uuid.uuid4().hex[:8]}": headers
        for headers in ({REPLACES_HEADER: A_TAG}, {RESTORED_HEADER: "the state of a worker that is no more"})
    }
    produce(topics.bootstrap, [newest(topics, vehicle, headers) for vehicle, headers in left.items()])
    api_env = topics.env(state_dir=tmp_path / "api", api_port=free_port())
    with running_system(topics, tmp_path) as system, running_api(api_env, tmp_path) as api:
        client = PolicyClient(api)

        def has_session(vehicle: str) -> bool:
            return client.call("GET", f"{ROOT}/policy-of-{vehicle}/session").status_code == 200

        for vehicle in left:
            system.wait_for_states(vehicle, "UPCOMING")
            assert client.get(f"policy-of-{vehicle}").status_code == 200
            wait_until(lambda vehicle=vehicle: has_session(vehicle), READY_S, "its session")  # type: ignore[misc]
    assert len(read_all(topics.bootstrap, topics.name(VEHICLE_POLICIES))) == len(left)
    assert read_all(topics.bootstrap, topics.name(dead_letter_topic(VEHICLE_POLICIES))) == []
