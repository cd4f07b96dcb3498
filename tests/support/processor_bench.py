"""One partition's processor with its records in a dictionary, and records for it."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from msgspec.json import encode

from models.ids import VehicleId
from models.topics import VEHICLE_PLUG, VEHICLE_POLICIES
from runtime.partitions import partition_of
from sessions.events import Rules, TimerDue
from sessions.prices import PriceBook
from sessions.state import Vehicle
from streams.logic import SessionLogic
from streams.outbox import OutputRecord
from streams.processor import Arrived, Decided, PartitionProcessor
from streams.records import InputRecord, read
from streams.states import POLICY, VEHICLE, decode_vehicle, events_key
from streams.timers import Timers
from streams.vehicles import Vehicles
from tests.support.records import Outgoing
from tests.support.worker import message, policy_value

T0 = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
NOW = T0 + timedelta(hours=3)
PARTITIONS = 3
CAR = VehicleId("car")
HOME = partition_of(CAR, PARTITIONS)


class Bench:
    """A processor whose records lie in a dictionary, and what it did, in order."""

    def __init__(self, *, logic: SessionLogic | None = None, generation: bytes = b"ours") -> None:
        self.generation = generation
        self.wall_now: datetime | None = NOW
        self.asked: list[bytes] = []
        self.published: list[OutputRecord] = []
        self.records: dict[bytes, bytes] = {}
        self.tally: Counter[str] = Counter()
        self.logic = logic or SessionLogic(Rules(), PriceBook())
        self.start()

    def start(self) -> None:
        """Begin anew with what is kept."""
        self.timers = Timers(quiet_s=0.0, is_wall=False)
        self.processor = PartitionProcessor(
            HOME,
            PARTITIONS,
            logic=self.logic,
            vehicles=Vehicles(self, limit=2),
            timers=self.timers,
            generation=self.generation,
        )
        self.processor.recover(0.0)

    def get(self, key: bytes) -> bytes | None:
        self.asked.append(key)
        return self.records.get(key)

    def with_prefix(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return ((key, value) for key, value in sorted(self.records.items()) if key.startswith(prefix))

    @property
    def vehicles(self) -> dict[str, Vehicle]:
        """Every vehicle that is kept."""
        return {
            key[1:].decode(): decode_vehicle(raw, self.records.get(events_key(VehicleId(key[1:].decode()))))
            for key, raw in self.with_prefix(VEHICLE)
        }

    @property
    def policies(self) -> dict[str, str]:
        """Every policy that is kept, and its vehicle."""
        return {key[1:].decode(): raw.decode() for key, raw in self.with_prefix(POLICY)}

    def take(self, *records: InputRecord) -> None:
        """A batch from its records to what is kept."""
        self.keep(self.decide(*records))

    def decide(self, *records: InputRecord) -> Decided:
        arrived = [Arrived(record, read(record, self.generation)) for record in records]
        return self.processor.decide(arrived, self.wall_now)

    def fire(self, now: datetime) -> None:
        self.keep(self.processor.decide_timers([CAR], TimerDue(now), self.wall_now))

    def keep(self, batch: Decided) -> None:
        for key, value in self.processor.states(batch):
            if value is None:
                self.records.pop(key, None)
            else:
                self.records[key] = value
        self.published += batch.outputs
        self.tally += batch.tally
        self.processor.keep(batch, 0.0)

    def of(self, topic: str) -> list[OutputRecord]:
        return [record for record in self.published if record.topic == topic]


def record(outgoing: Outgoing, offset: int = 0) -> InputRecord:
    """A record as it would lie on the car's partition."""
    value = outgoing.value if isinstance(outgoing.value, bytes | None) else encode(outgoing.value)
    headers = tuple((name, text.encode()) for name, text in outgoing.headers.items())
    key = None if outgoing.key is None else outgoing.key.encode()
    return InputRecord(outgoing.topic, HOME, offset, key, value, NOW, headers)


def policy(policy_id: str = "p", vehicle: str = CAR, **changes: object) -> InputRecord:
    """A policy without deadlines: only what a test does is to happen."""
    value = policy_value(vehicle, policy_id, **({"schedule": {}} | changes))
    return record(Outgoing(topic=VEHICLE_POLICIES, key=policy_id, value=value))


def deletion(policy_id: str = "p") -> InputRecord:
    """The policy's end."""
    return record(Outgoing(topic=VEHICLE_POLICIES, key=policy_id, value=None))


def plug(minute: float, is_plugged_in: bool | None) -> InputRecord:
    """The car's plug at home, minutes after T0."""
    value = message(CAR, T0 + timedelta(minutes=minute), isPluggedIn=is_plugged_in, locationId="home")
    return record(Outgoing(topic=VEHICLE_PLUG, key=CAR, value=value))
