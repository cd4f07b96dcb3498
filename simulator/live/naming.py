"""The names of one run. Many are judged on one system: each has vehicles, users, policies and prices of its own."""

from typing import TypeVar

from msgspec import Struct, structs

from ingest.records import InputRecord
from models.ids import PolicyId, UserId, VehicleId, Zone
from models.policy import VehiclePolicy
from models.prices import PriceRecord
from models.session import Session
from models.target import SessionTarget
from models.telemetry import ChargeSample, PlugEvent
from models.topics import ENERGY_PRICES, SESSION_TARGETS, VEHICLE_CHARGE, VEHICLE_PLUG, VEHICLE_POLICIES

Words = PlugEvent | ChargeSample | VehiclePolicy | SessionTarget | PriceRecord
_Id = TypeVar("_Id", bound=str)


class Naming(Struct, frozen=True):
    """`tag` stands before every name that the run writes, and before no other run's."""

    tag: str

    def record(self, words: Words) -> InputRecord:
        """What the world says, under the names of this run."""
        match words:
            case PriceRecord():
                zone = Zone(self.tag + words.zone)
                return InputRecord(words.at, ENERGY_PRICES, zone, structs.replace(words, zone=zone))
            case VehiclePolicy():
                renamed = structs.replace(
                    words,
                    id=PolicyId(self.tag + words.id),
                    zone=None if words.zone is None else Zone(self.tag + words.zone),
                    vehicle_id=VehicleId(self.tag + words.vehicle_id),
                    user_id=UserId(self.tag + words.user_id),
                )
                return InputRecord(words.at, VEHICLE_POLICIES, renamed.id, renamed)
            case SessionTarget():
                vehicle_id = VehicleId(self.tag + words.vehicle_id)
                said = structs.replace(words, vehicle_id=vehicle_id)
                return InputRecord(words.at, SESSION_TARGETS, vehicle_id, said)
            case PlugEvent() | ChargeSample():
                vehicle_id = VehicleId(self.tag + words.vehicle_id)
                topic = VEHICLE_PLUG if isinstance(words, PlugEvent) else VEHICLE_CHARGE
                user_id = UserId(self.tag + words.user_id)
                return InputRecord(
                    words.at, topic, vehicle_id, structs.replace(words, vehicle_id=vehicle_id, user_id=user_id)
                )

    def is_ours(self, name: str) -> bool:
        """Whether this run gave the name."""
        return name.startswith(self.tag)

    def plain(self, name: _Id) -> _Id:
        """The name within the world. Whoever asks knows that it is ours, or finds a session that is nobody's."""
        return type(name)(name.removeprefix(self.tag))

    def session(self, session: Session) -> Session:
        """A session under the names of the world."""
        return structs.replace(
            session,
            policy_id=None if session.policy_id is None else self.plain(session.policy_id),
            vehicle_id=self.plain(session.vehicle_id),
            user_id=self.plain(session.user_id),
        )
