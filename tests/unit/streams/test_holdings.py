"""What of a user stands on the topics, and whether its sessions may be erased."""

from collections.abc import Callable

import pytest
from msgspec.json import encode

from models.ids import UserId
from models.session import SessionState
from models.topics import CHANGELOG, SESSION_UPDATED, VEHICLE_POLICIES
from streams.errors import WorkerError
from streams.holdings import Holdings
from streams.states import encode_vehicle, vehicle_key
from tests import builders
from tests.builders import ANN, BOB, VEHICLE, plug, run
from tests.support.updates import Update, policy_value, session_id

STATE_KEY = vehicle_key(VEHICLE).decode()


class Message:
    """As the client hands it over."""

    def __init__(self, key: str, value: bytes | None, partition: int = 1) -> None:
        self._key, self._value, self._partition = key, value, partition

    def key(self) -> bytes:
        return self._key.encode()

    def value(self) -> bytes | None:
        return self._value

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return 7

    def topic(self) -> str:
        return "t"


def policy(user: str = ANN, *, enabled: bool = True) -> tuple[str, Message]:
    return VEHICLE_POLICIES, Message("p1", encode(policy_value("p1", user=user, enabled=enabled)))


def update(
    number: int, state: SessionState = SessionState.SETTLED, user: str = ANN, at: int = 1
) -> tuple[str, Message]:
    return SESSION_UPDATED, Message(session_id(number), Update(id=session_id(number), state=state, user=user).value, at)


def vehicle(*, visitor: UserId | None = None, owner: UserId | None = None) -> tuple[str, Message]:
    """A vehicle's state with an open visit of one user, and a disabled policy of another."""
    policies = [] if owner is None else [builders.policy(0, "p2", user=owner, enabled=False)]
    visits = [] if visitor is None else [plug(1, user=visitor)]
    return CHANGELOG, Message(STATE_KEY, encode_vehicle(run(*policies, *visits).vehicle))


def gone(topic: str, key: str) -> tuple[str, Message]:
    return topic, Message(key, None)


def held(*records: tuple[str, Message]) -> Holdings:
    holdings = Holdings(ANN)
    for topic, message in records:
        holdings.take(topic, message)
    return holdings


REFUSED: dict[str, tuple[Callable[[], Holdings], str]] = {
    "an enabled policy": (lambda: held(policy()), "policy p1"),
    "a disabled policy": (lambda: held(policy(enabled=False)), "policy p1"),
    "a policy that the worker still has": (lambda: held(vehicle(owner=ANN)), "policy p2"),
    "a deletion that the worker has not read": (
        lambda: held(policy(), vehicle(owner=ANN), gone(VEHICLE_POLICIES, "p1")),
        "policy p2",
    ),
    "an open visit": (lambda: held(vehicle(visitor=ANN)), f"open visit of {VEHICLE}"),
    "an awaited session": (
        lambda: held(update(1, SessionState.UPCOMING)),
        f"current session {session_id(1)}",
    ),
    "an active session": (
        lambda: held(update(1), update(2, SessionState.ACTIVE_REGULAR)),
        f"current session {session_id(2)}",
    ),
    "several": (lambda: held(policy(), vehicle(visitor=ANN)), f"policy p1, open visit of {VEHICLE}"),
}


@pytest.mark.parametrize(("holdings", "names"), REFUSED.values(), ids=REFUSED)
def test_refused_while_something_is_still_to_come(holdings: Callable[[], Holdings], names: str) -> None:
    """A policy, enabled or not, an open visit, or a session that is not settled refuses the erasure, and is named."""
    assert holdings().reason_to_refuse() == f"user ann still has {names}"


ALLOWED: dict[str, Callable[[], Holdings]] = {
    "nothing at all": held,
    "another user's things": lambda: held(
        policy(BOB), vehicle(visitor=BOB, owner=BOB), update(1, SessionState.ACTIVE_REGULAR, BOB)
    ),
    "what is over": lambda: held(
        policy(),
        gone(VEHICLE_POLICIES, "p1"),
        vehicle(visitor=ANN, owner=ANN),
        vehicle(),
        update(1, SessionState.UPCOMING),
        update(1, SessionState.ACTIVE_REGULAR),
        update(1),
        update(2, SessionState.UPCOMING),
        gone(SESSION_UPDATED, session_id(2)),
    ),
    "a vehicle forgotten": lambda: held(vehicle(visitor=ANN, owner=ANN), gone(CHANGELOG, STATE_KEY)),
    "a policy record that is none": lambda: held((VEHICLE_POLICIES, Message("p1", b"garbled"))),
}


@pytest.mark.parametrize("holdings", ALLOWED.values(), ids=ALLOWED)
def test_allowed_once_everything_is_over(holdings: Callable[[], Holdings]) -> None:
    """Other users' things, and what newer records have ended, are no reason to refuse."""
    assert holdings().reason_to_refuse() is None


def test_the_sessions_are_the_users_own_on_their_newest_partition() -> None:
    """Every session of the user that stands, on the partition of its newest record; no erased ones, nobody else's."""
    holdings = held(update(1), update(2), update(3, user=BOB), update(4), gone(SESSION_UPDATED, session_id(4)))
    holdings.take(*update(2, at=0))
    assert holdings.sessions == {session_id(1): 1, session_id(2): 0}


def test_many_names_are_cut() -> None:
    """The refusal stays one line of a few names, however much there is."""
    holdings = held(*(update(number, SessionState.UPCOMING) for number in range(9)))
    assert (holdings.reason_to_refuse() or "").endswith(" and 6 more")


@pytest.mark.parametrize("topic", [CHANGELOG, SESSION_UPDATED])
def test_what_cannot_be_read_stops_the_erasure(topic: str) -> None:
    """A state or session that cannot be read may be the user's: one line says where it lies."""
    with pytest.raises(WorkerError, match="t, partition 1, offset 7 cannot be read"):
        held((topic, Message("v", b"\xc1 garbled")))
