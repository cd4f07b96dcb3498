"""The bytes of updates: with or without a memory of the update before, they are those of the whole session."""

import pytest

from models.codec import encode
from models.webhook import SessionUpdated
from sessions.events import SessionChanged
from streams.updates import UpdateEncoder
from tests.builders import HOME, ZONE, plug, policy, priced, run, sample, unplug


def whole(change: SessionChanged) -> bytes:
    """The update, encoded at once."""
    session = change.session
    return encode(SessionUpdated(user_id=session.user_id, created_at=change.created_at, session=session))


@pytest.fixture(scope="module")
def changes() -> list[SessionChanged]:
    """A visit of a day that charges, with a sample that comes late, one update each."""
    step = 7.0
    samples = [
        sample(number * step, round(number * 0.8, 3), level=20 + number / 4, charging=True, rate=6.9)
        for number in range(1, 200)
    ]
    samples.insert(150, sample(333, 40.0, level=31))
    return run(
        policy(-5, by="07:00", zone=ZONE, capacity=60.0),
        plug(0, where=HOME, level=20),
        *samples,
        unplug(1_400),
        plug(1_500, where=HOME),
        prices=priced(*(0.1 + hour % 7 / 50 for hour in range(48))),
    ).changes


def test_as_if_encoded_at_once(changes: list[SessionChanged]) -> None:
    """Each update has the bytes of the whole session, though only what is new was written."""
    encoder = UpdateEncoder()
    assert len(changes) > 150
    assert [encoder.encode(change) for change in changes] == [whole(change) for change in changes]


@pytest.mark.parametrize("every", [1, 2, 3])
def test_after_a_gap(changes: list[SessionChanged], every: int) -> None:
    """An encoder that has not seen the update before, or is new, gives the same bytes."""
    encoder = UpdateEncoder()
    assert [encoder.encode(change) for change in changes[1::every]] == [whole(change) for change in changes[1::every]]
    assert [UpdateEncoder().encode(change) for change in changes[::20]] == [whole(change) for change in changes[::20]]
    # The same batch once more, as after a crash.
    assert [encoder.encode(change) for change in changes[-60:]] == [whole(change) for change in changes[-60:]]
