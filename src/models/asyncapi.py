"""The contract of the topics as an AsyncAPI 3.0 document, made from the models and from the table of topics.

Words that no model holds are written here; docs/reference/topics.md says what a schema cannot.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from models.command import ChargeCommand
from models.ids import SessionId, UserId, VehicleId
from models.policy import ANSWERS_HEADER, FINGERPRINT_HEADER, REPLACES_HEADER, RESTORED_HEADER, VehiclePolicy
from models.prices import PriceRecord
from models.session import Aggregated, Session, SessionState, Statistics, TimeseriesPoint
from models.target import SessionTarget
from models.telemetry import ChargeSample, PlugEvent
from models.topics import (
    CHARGE_COMMANDS,
    ENERGY_PRICES,
    INPUT_TOPICS,
    SESSION_TARGETS,
    SESSION_UPDATED,
    TOPICS,
    VEHICLE_CHARGE,
    VEHICLE_PLUG,
    VEHICLE_POLICIES,
    TopicSpec,
    dead_letter_topic,
)
from models.webhook import SessionUpdated

_REF: Final = "#/components/schemas/{name}"
_BINDING: Final = "0.5.0"
# What the Kafka binding knows of a topic's configuration, and how; the rest stands beside it.
_BOUND: Final[Mapping[str, type[int] | type[str]]] = {
    "cleanup.policy": str,
    "retention.ms": int,
    "delete.retention.ms": int,
    "max.message.bytes": int,
}
_TEXT: Final = {"type": "string"}
_ID: Final = {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,64}$"}


class _Message(Struct, frozen=True, kw_only=True):
    """One kind of record. `payload` None: a null value."""

    name: str
    summary: str
    payload: type[Struct] | None
    key: str
    headers: Mapping[str, Any] = {}
    needed: Sequence[str] = ()
    example: Any = None


class _Topic(Struct, frozen=True, kw_only=True):
    """One topic's words. `receives`: whoever writes it, we read it; `sends`: we write it."""

    description: str
    messages: tuple[_Message, ...]
    receives: str | None = None
    sends: str | None = None


_POLICY_HEADERS: Final = {
    REPLACES_HEADER: {**_TEXT, "description": "The tag of the version that this record replaces, or `none`."},
    RESTORED_HEADER: {**_TEXT, "description": "The worker put back what stands; the state that it had."},
    ANSWERS_HEADER: {**_TEXT, "description": "The offset of the record in answer to which it did."},
    "policy-request": {**_TEXT, "description": "Which request of the API wrote it."},
    FINGERPRINT_HEADER: {**_TEXT, "description": "What the policy was first asked to be, in short."},
}
_UPDATE_HEADERS: Final = {
    "ce_specversion": {"const": "1.0"},
    "ce_id": {**_TEXT, "description": "`<sessionId>:<version>`"},
    "ce_type": {"const": "flex:session:updated"},
    "ce_source": _TEXT,
    "ce_subject": {**_TEXT, "format": "uuid", "description": "The session's id."},
    "ce_time": {**_TEXT, "format": "date-time"},
    "content-type": {"const": "application/json"},
    "session-version": {**_TEXT, "pattern": "^[1-9][0-9]*$", "description": "1, 2, 3 ... within its session."},
    "charging-event-id": {**_ID, "description": "The part of a visit that the session stands for."},
    "represents-charging-event": {"enum": ["true", "false"]},
    "vehicle-id": _ID,
}
_LETTER_HEADERS: Final = {
    "dlq-reason": {**_TEXT, "description": "Why, for machines."},
    "dlq-detail": {**_TEXT, "description": "Why, for people."},
    "dlq-topic": _TEXT,
    "dlq-partition": {**_TEXT, "pattern": "^[0-9]+$"},
    "dlq-offset": {**_TEXT, "pattern": "^[0-9]+$"},
    "dlq-timestamp": {**_TEXT, "pattern": "^[0-9]+$", "description": "Milliseconds since 1970."},
    "dlq-cut": {**_TEXT, "description": "What of an oversized record was cut."},
}

_UPDATED: Final = msgspec.to_builtins(
    SessionUpdated(
        user_id=UserId("user-1"),
        created_at=datetime(2025, 1, 20, 12, 34, 10, tzinfo=UTC),
        session=Session(
            id=SessionId("00096c2f-8ddb-5652-894b-4aaaf11d4768"),
            policy_id=None,
            vehicle_id=VehicleId("vehicle-1"),
            user_id=UserId("user-1"),
            location_id=None,
            state=SessionState.SETTLED,
            plugged_in_at=datetime(2025, 1, 20, 12, 30, tzinfo=UTC),
            plugged_out_at=datetime(2025, 1, 20, 12, 34, 10, tzinfo=UTC),
            statistics=Statistics(
                aggregated=Aggregated(kwh_sum=2.806, battery_from=81, battery_to=88),
                timeseries=(
                    TimeseriesPoint(
                        start_at=datetime(2025, 1, 20, 12, 30, tzinfo=UTC),
                        end_at=datetime(2025, 1, 20, 12, 34, 10, tzinfo=UTC),
                        kwh=2.806,
                        battery_level=88,
                    ),
                ),
            ),
        ),
    ),
    builtin_types=(),
)

_WORDS: Final[Mapping[str, _Topic]] = {
    VEHICLE_PLUG: _Topic(
        description="Plug events of vehicles. An absent or null field means no news.",
        receives="receivePlugEvent",
        messages=(
            _Message(
                name="plugEvent",
                summary="The plug went in or out.",
                payload=PlugEvent,
                key="vehicleId",
                example={
                    "eventId": "event-1",
                    "vehicleId": "vehicle-1",
                    "userId": "user-1",
                    "at": "2025-01-20T04:40:20Z",
                    "isPluggedIn": True,
                    "locationId": "home-1",
                },
            ),
        ),
    ),
    VEHICLE_CHARGE: _Topic(
        description="Charge telemetry of vehicles. An absent or null field, or one out of its range, means no news.",
        receives="receiveChargeSample",
        messages=(
            _Message(
                name="chargeSample",
                summary="What the vehicle tells of its battery and charging.",
                payload=ChargeSample,
                key="vehicleId",
                example={
                    "eventId": "event-2",
                    "vehicleId": "vehicle-1",
                    "userId": "user-1",
                    "at": "2025-01-20T05:33:40Z",
                    "isCharging": True,
                    "batteryLevel": 57.4,
                    "chargeRate": 11.0,
                    "energyAdded": 2.75,
                    "powerDeliveryState": "PLUGGED_IN:CHARGING",
                },
            ),
        ),
    ),
    VEHICLE_POLICIES: _Topic(
        description="Policies, on the partition of their vehicle, whatever their key.",
        receives="receivePolicy",
        sends="sendPolicy",
        messages=(
            _Message(
                name="policy",
                summary="A policy as it stands from now on.",
                payload=VehiclePolicy,
                key="policyId",
                headers=_POLICY_HEADERS,
                example={
                    "id": "policy-1",
                    "userId": "user-1",
                    "vehicleId": "vehicle-1",
                    "locationId": "home-1",
                    "isEnabled": True,
                    "timezoneName": "Europe/Berlin",
                    "zone": "DE-LU",
                    "batteryReserve": 20,
                    "schedule": {"monday": {"deadline": "07:00", "minimumChargeTarget": 80}},
                    "at": "2025-01-18T12:00:00Z",
                },
            ),
            _Message(
                name="policyDeleted",
                summary="The policy is gone.",
                payload=None,
                key="policyId",
                headers=_POLICY_HEADERS,
            ),
        ),
    ),
    SESSION_TARGETS: _Topic(
        description="Targets that users set for one session; null takes an override back.",
        receives="receiveTarget",
        sends="sendTarget",
        messages=(
            _Message(
                name="sessionTarget",
                summary="Another target for one session.",
                payload=SessionTarget,
                key="vehicleId",
                example={
                    "vehicleId": "vehicle-1",
                    "sessionId": "491369e7-949e-5302-bdf4-d0ad70ef65c8",
                    "at": "2025-01-20T05:00:00Z",
                    "target": {"type": "IMMEDIATE_START", "minimumChargeTarget": 90},
                },
            ),
        ),
    ),
    ENERGY_PRICES: _Topic(
        description="Prices by zone; a later record replaces the overlapping part of an earlier one.",
        receives="receivePrices",
        messages=(
            _Message(
                name="prices",
                summary="A run of prices of one zone.",
                payload=PriceRecord,
                key="zone",
                example={
                    "zone": "DE-LU",
                    "currency": "EUR",
                    "resolution": "PT60M",
                    "startAt": "2025-01-20T00:00:00Z",
                    "prices": [0.31, 0.3, -0.01],
                    "at": "2025-01-19T12:00:00Z",
                },
            ),
        ),
    ),
    SESSION_UPDATED: _Topic(
        description="Every change of every session, once, in order. Read committed records. For webhook relays.",
        sends="sendSessionUpdated",
        messages=(
            _Message(
                name="sessionUpdated",
                summary="A session as it stands now.",
                payload=SessionUpdated,
                key="sessionId",
                headers=_UPDATE_HEADERS,
                needed=tuple(_UPDATE_HEADERS),
                example=_UPDATED,
            ),
            _Message(name="sessionErased", summary="The session was erased.", payload=None, key="sessionId"),
        ),
    ),
    CHARGE_COMMANDS: _Topic(
        description="What the plan asks of vehicles, for the gateways of their vendors.",
        sends="sendChargeCommand",
        messages=(
            _Message(
                name="chargeCommand",
                summary="Start or stop charging.",
                payload=ChargeCommand,
                key="vehicleId",
                example={
                    "commandId": "2f5a6c1e-8f43-5f7e-9d55-3f7a0f0b8a11",
                    "vehicleId": "vehicle-1",
                    "userId": "user-1",
                    "policyId": "policy-1",
                    "sessionId": "491369e7-949e-5302-bdf4-d0ad70ef65c8",
                    "action": "START",
                    "reason": "REGULAR",
                    "at": "2025-01-20T05:15:00Z",
                    "validUntil": "2025-01-20T05:45:00Z",
                },
            ),
        ),
    ),
} | {
    dead_letter_topic(name): _Topic(
        description=f"Records of {name} that were refused: original key, value and headers, and why.",
        sends=f"send{''.join(part.capitalize() for part in name.replace('-', '.').split('.'))}DeadLetter",
        messages=(
            _Message(
                name="deadLetter",
                summary="A refused record, byte for byte.",
                payload=None,
                key="as received",
                headers=_LETTER_HEADERS,
                needed=tuple(name for name in _LETTER_HEADERS if name != "dlq-cut"),
            ),
        ),
    )
    for name in INPUT_TOPICS
}


def asyncapi_document(version: str) -> dict[str, Any]:
    """The document, for topics without a prefix. `version`: of the product."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Flex Sessions",
            "version": version,
            "description": (
                "Vehicle plug and charge telemetry in, charging sessions out. JSON in UTF-8, keys are UTF-8 strings. "
                "Every topic name gets the prefix of its installation."
            ),
        },
        "defaultContentType": "application/json",
        "channels": {spec.name: _channel(spec, _WORDS[spec.name]) for spec in TOPICS},
        "operations": dict(_operations()),
        "components": {
            "messages": {message.name: _message(message) for words in _WORDS.values() for message in words.messages},
            "schemas": _schemas(),
        },
    }


def _channel(spec: TopicSpec, words: _Topic) -> dict[str, Any]:
    bound = {
        name: [value] if name == "cleanup.policy" else _BOUND[name](value)
        for name, value in spec.config.items()
        if name in _BOUND
    }
    kafka: dict[str, Any] = {"topic": spec.name, "topicConfiguration": bound, "bindingVersion": _BINDING}
    if not spec.by_vehicle:
        kafka["partitions"] = 1
    channel = {
        "address": spec.name,
        "description": words.description,
        "messages": {each.name: {"$ref": f"#/components/messages/{each.name}"} for each in words.messages},
        "bindings": {"kafka": kafka},
    }
    more = {name: value for name, value in spec.config.items() if name not in _BOUND}
    return channel | ({"x-topic-configuration": more} if more else {})


def _operations() -> Iterable[tuple[str, dict[str, Any]]]:
    for topic, words in _WORDS.items():
        for name, action in ((words.receives, "receive"), (words.sends, "send")):
            if name is not None:
                place = {"$ref": f"#/channels/{topic}"}
                yield name, {"action": action, "channel": place, "summary": words.description}


def _message(message: _Message) -> dict[str, Any]:
    said: dict[str, Any] = {
        "name": message.name,
        "summary": message.summary,
        "bindings": {"kafka": {"key": {"type": "string", "description": message.key}, "bindingVersion": _BINDING}},
    }
    if message.payload is not None:
        said["payload"] = {"$ref": _REF.format(name=message.payload.__name__)}
    elif message.name != "deadLetter":
        said["payload"] = {"type": "null"}
    if message.headers:
        said["headers"] = {"type": "object", "properties": dict(message.headers), "required": list(message.needed)}
    if message.example is not None:
        said["examples"] = [{"payload": message.example}]
    return said


def _schemas() -> dict[str, Any]:
    kinds = [each.payload for words in _WORDS.values() for each in words.messages if each.payload is not None]
    _, schemas = msgspec.json.schema_components(kinds, ref_template=_REF)
    _in_json_schema(schemas)
    return schemas


def _in_json_schema(node: Any) -> None:
    """Patterns in the words of JSON Schema, whose ^ and $ are the ends of the text; discriminators in AsyncAPI's."""
    if isinstance(node, dict):
        if isinstance(node.get("discriminator"), dict):
            node["discriminator"] = node["discriminator"]["propertyName"]
        if isinstance(node.get("pattern"), str):
            node["pattern"] = node["pattern"].replace(r"\A", "^").replace(r"\Z", "$")
        for inner in node.values():
            _in_json_schema(inner)
    elif isinstance(node, list):
        for inner in node:
            _in_json_schema(inner)
