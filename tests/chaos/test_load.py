"""The load and the hostile messages: from one seed always the same, and with something in them."""

from collections import Counter
from itertools import islice

from models.topics import INPUT_TOPICS, VEHICLE_POLICIES
from tests.support.chaos.fuzz import LARGEST_BYTES, cannot_be_taken, hostile, originals
from tests.support.chaos.load import Spec, make_load, value_bytes
from tests.support.records import Outgoing

SPEC = Spec(seed=5, vehicles=60, steps=60, partitions=4)


def raw(record: Outgoing) -> tuple[str, str | None, bytes | None, int | None]:
    return record.topic, record.key, value_bytes(record), record.partition


def refused(record: Outgoing) -> bool:
    return cannot_be_taken(record.topic, None if record.key is None else record.key.encode(), value_bytes(record))


def test_a_seed_gives_one_load() -> None:
    """The same spec gives the same bytes in the same order; another seed gives others."""
    first, second = make_load(SPEC), make_load(SPEC)
    assert first == second
    other = make_load(Spec(seed=6, vehicles=60, steps=60, partitions=4))
    assert [raw(each) for each in first.steps[9].records] != [raw(each) for each in other.steps[9].records]


def test_a_load_has_everything_that_is_to_be_shown() -> None:
    """Visits with energy, records told twice, and every kind of bad record; no vehicle tells two things in a step."""
    load = make_load(SPEC)
    assert len(load.visits) > 50
    assert sum(visit.energy_kwh for visit in load.visits) > 100
    assert {reason for step in load.steps for reason in step.refused.values()} == {
        "MALFORMED_JSON",
        "INVALID_MESSAGE",
        "WRONG_KEY",
        "NULL_VALUE",
        "WRONG_PARTITION",
    }
    told = Counter(raw(each) for step in load.steps[1:] for each in step.records)
    assert sum(count - 1 for count in told.values()) > 10
    for step in load.steps[1:]:
        good = [each.key for number, each in enumerate(step.records) if number not in step.refused]
        assert len(good) == len(set(good))


def test_an_energy_is_where_it_was_counted() -> None:
    """What a visit's quarter-hours hold adds up to its energy."""
    for visit in make_load(SPEC).visits:
        assert abs(sum(visit.quarters_kwh.values()) - visit.energy_kwh) < 1e-6


def test_hostile_messages_are_of_every_kind() -> None:
    """From one seed the same, on every topic; many cannot be taken and many may be; the broker takes all of them."""
    real = originals(None)
    made = list(hostile(1, 3_000, real))
    assert [raw(each) for each in made] == [raw(each) for each in hostile(1, 3_000, real)]
    assert {each.topic for each in made} == set(INPUT_TOPICS)
    hopeless = sum(map(refused, made))
    assert 1_000 < hopeless < 2_500
    assert all(len(value_bytes(each) or b"") <= LARGEST_BYTES for each in made)
    assert all(each.key is not None for each in made if each.topic == VEHICLE_POLICIES)


def test_nothing_is_called_hopeless_that_is_right() -> None:
    """The plain reader refuses none of the originals, and all of what is no JSON, too long or wrongly keyed."""
    assert not any(refused(each) for each in islice(originals(None), 500))
    value = b'{"vehicleId":"v"}'
    assert not cannot_be_taken("vehicle.plug", b"v", value)
    for key, bad in ((b"w", value), (None, value), (b"v", None), (b"v", b"\xff"), (b"v", b"[]"), (b"v", b" " * 65_537)):
        assert cannot_be_taken("vehicle.plug", key, bad)
