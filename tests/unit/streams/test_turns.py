"""Whose turn a record is, and when."""

from datetime import UTC, datetime, timedelta

from msgspec.json import encode

from models.ids import PolicyId, VehicleId
from models.topics import VEHICLE_CHARGE, VEHICLE_POLICIES
from streams.records import InputRecord, read
from streams.turns import NO_TURN, Turn, Turns
from tests.support.worker import message, policy_value

T0 = datetime(2026, 3, 1, tzinfo=UTC)
LOGGED_AT = datetime(2026, 6, 1, tzinfo=UTC)
CAR, OTHER = VehicleId("car"), VehicleId("other")
WRITTEN_AT = datetime(2026, 1, 1, tzinfo=UTC)


def turn_of(turns: Turns, topic: str, key: str, value: object) -> Turn:
    raw = value if isinstance(value, bytes | None) else encode(value)
    record = InputRecord(topic, 0, 0, key.encode(), raw, LOGGED_AT)
    return turns.turn(record, read(record))


def sample(turns: Turns, at: datetime) -> Turn:
    return turn_of(turns, VEHICLE_CHARGE, CAR, message(CAR, at))


def write(turns: Turns, policy_id: str, vehicle: str) -> Turn:
    return turn_of(turns, VEHICLE_POLICIES, policy_id, policy_value(vehicle, policy_id))


def delete(turns: Turns, policy_id: str) -> Turn:
    return turn_of(turns, VEHICLE_POLICIES, policy_id, None)


def made(known: dict[str, VehicleId] | None = None, limit: int = 100) -> Turns:
    def vehicle_of(policy_id: PolicyId) -> VehicleId | None:
        return (known or {}).get(policy_id)

    return Turns(limit, vehicle_of, 0.2)


def test_a_message_has_its_own_time_and_vehicle() -> None:
    """What a vehicle tells is its own, at the time that it tells."""
    assert sample(made(), T0) == (T0, CAR)


def test_what_its_time_alone_refuses_has_no_turn() -> None:
    """A record from the future of its own log, or from before 2015, or of no sense, moves nobody's order."""
    turns = made()
    assert sample(turns, LOGGED_AT + timedelta(minutes=5)) != NO_TURN
    assert sample(turns, LOGGED_AT + timedelta(minutes=5, seconds=1)) == NO_TURN
    assert sample(turns, LOGGED_AT + timedelta(days=90)) == NO_TURN
    assert sample(turns, datetime(2014, 12, 31, tzinfo=UTC)) == NO_TURN
    assert turn_of(turns, VEHICLE_CHARGE, CAR, b"{") == NO_TURN


def test_a_deletion_is_its_vehicles_own() -> None:
    """The deletion of a policy has its time in the log, and is of the vehicle that the policy was written for."""
    turns = made({"kept": OTHER})
    assert write(turns, "p", CAR) == (WRITTEN_AT, CAR)
    assert delete(turns, "p") == (LOGGED_AT, CAR)
    assert delete(turns, "kept") == (LOGGED_AT, OTHER)


def test_a_deletion_of_nobodys_policy_waits_for_nothing() -> None:
    """Of a policy that nobody has it has no turn; of one that was written anew it is the new vehicle's."""
    turns = made({"p": CAR})
    assert delete(turns, "unknown") == NO_TURN
    assert delete(turns, "p") == (LOGGED_AT, CAR)
    assert delete(turns, "p") == NO_TURN
    assert write(turns, "p", OTHER) == (WRITTEN_AT, OTHER)
    assert delete(turns, "p") == (LOGGED_AT, OTHER)


def test_a_policy_stays_with_its_vehicle() -> None:
    """A record that names another vehicle is that vehicle's own and is refused: the deletion is still the first's."""
    turns = made()
    write(turns, "p", CAR)
    assert write(turns, "p", OTHER) == (WRITTEN_AT, OTHER)
    assert delete(turns, "p") == (LOGGED_AT, CAR)


def test_what_is_remembered_is_bounded() -> None:
    """Of more policies than may wait, those that were read first are asked of the store again."""
    turns = made({"p0": OTHER}, limit=3)
    for number in range(4):
        write(turns, f"p{number}", CAR)
    assert delete(turns, "p3") == (LOGGED_AT, CAR)
    assert delete(turns, "p0") == (LOGGED_AT, OTHER)
    assert len(turns._vehicles) == 3


def test_what_is_live_waits_for_nothing() -> None:
    """A record waits for a twentieth of the time that it took to arrive, and no longer than the setting says."""
    turns = made()
    assert turns.ready_s(timedelta(milliseconds=39), 7.0) == 0.0
    assert turns.ready_s(timedelta(seconds=-5), 7.0) == 0.0
    assert turns.ready_s(timedelta(seconds=1), 7.0) == 7.05
    assert turns.ready_s(timedelta(hours=1), 7.0) == 7.2
