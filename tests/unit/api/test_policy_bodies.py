"""Numbers of a policy as clients may say them: their bounds, and one spelling for each."""

from datetime import UTC, datetime

import pytest

from api.policy_bodies import changed_policy, new_policy
from api.problems import ProblemError
from models.codec import encode
from tests.support.policy_client import new_body

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("field", "code", "least", "below"),
    [("maxChargeRate", "bad-power", 0.1, 0.0999), ("batteryCapacity", "bad-energy", 0.1, 1e-320)],
)
def test_the_least_that_a_plan_can_be_made_of(field: str, code: str, least: float, below: float) -> None:
    """A power or a capacity by which a plan would have no end is refused, in a new policy and in a change."""
    made = new_policy(new_body("car-1", **{field: least}), None, NOW)
    with pytest.raises(ProblemError) as of_new:
        new_policy(new_body("car-1", **{field: below}), None, NOW)
    with pytest.raises(ProblemError) as of_change:
        changed_policy(encode(made), {field: below}, NOW)
    for caught in (of_new, of_change):
        assert [(issue.parameter, issue.code) for issue in caught.value.problem.issues or ()] == [(field, code)]


def test_zero_has_no_sign() -> None:
    """A zero with a sign is the zero, byte for byte, wherever it stands, and no change of it."""

    def bodies(zero: float) -> bytes:
        week = {"monday": {"deadline": "07:00", "minimumChargeTarget": zero}}
        return encode(new_policy(new_body("car-1", batteryReserve=zero, schedule=week), None, NOW))

    assert bodies(-0.0) == bodies(0.0)
    changed = changed_policy(bodies(0.0), {"batteryReserve": -0.0}, NOW.replace(year=2027))
    assert encode(changed) == bodies(0.0)
