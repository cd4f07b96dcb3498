"""Ids are made of facts: the same history gives the same ones, and other facts give others."""

from uuid import UUID

from models.ids import PolicyId, VehicleId
from sessions.identity import (
    awaited_charging_event_id,
    charging_event_id,
    command_id,
    managed_session_id,
    unmanaged_session_id,
)
from tests.builders import BOB, HOME, VEHICLE, WORK, delete, minute, plug, policy, run, sample, timer, unplug


def test_ids_are_uuids_of_version_5() -> None:
    """Every id is a UUIDv5, and no two kinds share one."""
    ids = {
        managed_session_id(PolicyId("x"), VEHICLE, minute(0)),
        awaited_charging_event_id(PolicyId("x"), VEHICLE, minute(0)),
        unmanaged_session_id(VEHICLE, minute(0), is_guess=False),
        unmanaged_session_id(VEHICLE, minute(0), is_guess=True),
        charging_event_id(VEHICLE, minute(0)),
        command_id(VEHICLE, minute(0)),
    }
    assert [UUID(each).version for each in ids] == [5] * 6


def test_ids_are_pinned() -> None:
    """The id of a session does not change from one release to the next."""
    assert managed_session_id(PolicyId("p1"), VEHICLE, minute(0)) == "c405f35f-dcfd-56c0-aa11-f47d9b858306"
    assert charging_event_id(VEHICLE, minute(0)) == "067008f6-7e6f-5029-9054-01f146b45a96"


def test_two_vehicles_never_share_a_session() -> None:
    """Where one policy id is used for two vehicles, their sessions are two."""
    other = VehicleId("car-2")
    assert managed_session_id(PolicyId("p1"), VEHICLE, minute(0)) != managed_session_id(
        PolicyId("p1"), other, minute(0)
    )


def test_a_replay_gives_the_same_ids() -> None:
    """Two runs of one history publish the same ids."""
    history = (
        policy(0),
        plug(10, where=HOME),
        sample(11, 1.0),
        sample(30, 2.0),
        unplug(50),
        plug(100),
        timer(300),
    )
    first, second = run(*history), run(*history)
    assert [one.session.id for one in first.changes] == [one.session.id for one in second.changes]


def test_sessions_of_one_moment() -> None:
    """Sessions that open at one moment, of several policies or of one that begins again, have their own ids."""
    told = [policy(0), policy(0, "p2", where=WORK), policy(0, "p3", user=BOB)]
    story = run(*told, policy(0, enabled=False), policy(0))
    assert len({one.session.id for one in story.changes}) == 4
    assert len({one.charging_event_id for one in story.changes}) == 4


def test_active_session_names_its_visit() -> None:
    """From the plug-in on, an update carries the charging event of the visit that it stands for."""
    story = run(policy(0), plug(10, where=HOME), unplug(50), timer(51))
    assert [one.charging_event_id for one in story.changes[1:3]] == [charging_event_id(VEHICLE, minute(10))] * 2
    assert all(one.represents_charging_event for one in story.changes)


def test_policy_deleted_and_written_again() -> None:
    """A policy that is deleted and written again with its old time gets a session of its own, not the erased one."""
    story = run(policy(0), delete(0), policy(0))
    assert len({one.session.id for one in story.changes}) == 2
