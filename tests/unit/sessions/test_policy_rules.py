"""Which policy records may be taken beside what stands; the worker and the API judge by the same functions."""

from datetime import timedelta

import pytest
from msgspec import structs

from models.codec import Refusal
from models.policy import NOTHING, VehiclePolicy, policy_tag
from sessions.events import PolicyDeleted, PolicyRestored, PolicyWritten
from sessions.policy_rules import refusal_to_delete, refusal_to_write
from tests.builders import ANN, BOB, HOME, WORK, minute, policy, run

FIRST = policy(0).policy
SECOND = policy(1, name="p2").policy
LATER = structs.replace(FIRST, battery_reserve=30.0, at=FIRST.at + timedelta(hours=1))


def test_rivals_are_enabled_policies_of_one_user_vehicle_and_place() -> None:
    """Of two enabled policies for one user, vehicle and location the second is refused; a difference in any of them, or
    a disabled one, is none of its business.
    """
    refused = refusal_to_write([FIRST], SECOND, None)
    assert refused is not None
    assert refused.reason is Refusal.POLICY_CONFLICT
    for harmless in (
        structs.replace(SECOND, location_id=WORK),
        structs.replace(SECOND, user_id=BOB),
        structs.replace(SECOND, is_enabled=False),
    ):
        assert refusal_to_write([FIRST], harmless, None) is None
        assert refusal_to_write([harmless], FIRST, None) is None
    assert (FIRST.user_id, FIRST.location_id) == (ANN, HOME)


@pytest.mark.parametrize(
    ("standing", "replaces", "is_taken"),
    [
        pytest.param([], None, True, id="no condition, nothing there"),
        pytest.param([FIRST], None, True, id="no condition, a version there"),
        pytest.param([], NOTHING, True, id="nothing expected, nothing there"),
        pytest.param([FIRST], NOTHING, False, id="nothing expected, a version there"),
        pytest.param([FIRST], policy_tag(FIRST), True, id="the version expected"),
        pytest.param([FIRST], policy_tag(LATER), False, id="another version than expected"),
        pytest.param([], policy_tag(FIRST), False, id="a version expected, nothing there"),
        pytest.param([FIRST], "\ufffd", False, id="a condition that names no version"),
        pytest.param([structs.replace(LATER, battery_reserve=40.0)], policy_tag(FIRST), False, id="changed meanwhile"),
        pytest.param([structs.replace(LATER, battery_reserve=40.0)], None, True, id="changed, and no condition"),
    ],
)
def test_a_condition_on_what_is_replaced(
    standing: list[VehiclePolicy], replaces: str | None, *, is_taken: bool
) -> None:
    """A record that names the version it replaces is taken only where that version stands; so is a deletion."""
    changed = structs.replace(LATER, battery_reserve=50.0)
    known = standing[0] if standing else None
    for refused in (refusal_to_write(standing, changed, replaces), refusal_to_delete(known, replaces)):
        assert (refused is None) == is_taken
        assert refused is None or refused.reason is Refusal.POLICY_STALE


def test_the_same_record_read_twice_is_no_conflict_with_itself() -> None:
    """A record that is read again after a crash finds its own version standing, and is taken as it was."""
    assert refusal_to_write([FIRST], FIRST, NOTHING) is None


def test_a_tag_names_one_version() -> None:
    """Every field counts in a policy's tag, the time included; what is equal has equal tags."""
    tags = {policy_tag(each) for each in (FIRST, LATER, structs.replace(FIRST, at=LATER.at), SECOND)}
    assert len(tags) == 4
    assert policy_tag(structs.replace(LATER, battery_reserve=FIRST.battery_reserve, at=FIRST.at)) in tags


def test_the_worker_keeps_what_stood_where_a_change_came_too_late() -> None:
    """Of two changes of one version the first in the log is taken; the second is refused and what stands is restored,
    also where it deletes.
    """
    base, taken = policy(0), structs.replace(FIRST, battery_reserve=30.0, at=minute(2))
    late = structs.replace(FIRST, battery_reserve=90.0, at=minute(3))
    story = run(base, PolicyWritten(taken, minute(2), policy_tag(FIRST)))
    for event in (
        PolicyWritten(late, minute(3), policy_tag(FIRST)),
        PolicyDeleted(FIRST.id, minute(3), policy_tag(FIRST)),
    ):
        decision = run(base, PolicyWritten(taken, minute(2), policy_tag(FIRST)), event).last()
        assert decision.refused is not None
        assert decision.refused.reason is Refusal.POLICY_STALE
        assert decision.outputs == (PolicyRestored(FIRST.id, taken),)
        assert decision.vehicle == story.last().vehicle
    assert run(base, PolicyDeleted(FIRST.id, minute(3), policy_tag(FIRST))).last().refused is None
