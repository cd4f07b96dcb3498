"""What leaves the worker: session updates, tombstones, restored policies and dead letters, as records to produce.

Everything goes to the partition of the vehicle that it came from, whatever its key says. Topics are named without the
prefix.
"""

from dataclasses import dataclass
from typing import assert_never

from models.codec import encode
from models.topics import SESSION_UPDATED, VEHICLE_POLICIES, dead_letter_topic
from models.webhook import SessionUpdated, UpdateHeaders, encode_headers
from sessions.events import Output, PolicyRestored, Refused, SessionChanged, SessionErased
from streams.records import RESTORED_HEADER, InputRecord

Headers = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class OutputRecord:
    """One record to produce."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers


def output_record(output: Output, partition: int) -> OutputRecord:
    """The record that publishes an output of the session logic."""
    match output:
        case SessionChanged():
            return _session_updated(output, partition)
        case SessionErased():
            return OutputRecord(SESSION_UPDATED, partition, output.session_id.encode(), None, [])
        case PolicyRestored():
            value = None if output.policy is None else encode(output.policy)
            headers = [(RESTORED_HEADER, b"true")]
            return OutputRecord(VEHICLE_POLICIES, partition, output.policy_id.encode(), value, headers)
        case _:
            assert_never(output)


def dead_letter(record: InputRecord, refused: Refused) -> OutputRecord:
    """The record with its original key, value and headers, and why it was refused."""
    ours: Headers = [
        ("dlq-reason", refused.reason.encode()),
        ("dlq-detail", refused.detail.encode(errors="replace")),
        ("dlq-topic", record.topic.encode()),
        ("dlq-partition", str(record.partition).encode()),
        ("dlq-offset", str(record.offset).encode()),
        ("dlq-timestamp", str(round(record.logged_at.timestamp() * 1_000)).encode()),
    ]
    names = {name for name, _ in ours}
    original = [(name, value) for name, value in record.headers if name not in names]
    return OutputRecord(dead_letter_topic(record.topic), record.partition, record.key, record.value, [*original, *ours])


def _session_updated(output: SessionChanged, partition: int) -> OutputRecord:
    session = output.session
    body = SessionUpdated(user_id=session.user_id, created_at=output.created_at, session=session)
    headers = UpdateHeaders(
        session_id=session.id,
        version=output.version,
        created_at=output.created_at,
        charging_event_id=output.charging_event_id,
        represents_charging_event=output.represents_charging_event,
        vehicle_id=session.vehicle_id,
    )
    return OutputRecord(SESSION_UPDATED, partition, session.id.encode(), encode(body), encode_headers(headers))
