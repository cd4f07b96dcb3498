"""What leaves the worker: session updates, tombstones, commands, restored policies and dead letters, as records.

Everything goes to the partition of the vehicle that it came from, whatever its key says. Topics are named without the
prefix.
"""

from typing import Final, assert_never

from msgspec import Struct

from models.codec import encode
from models.policy import ANSWERS_HEADER, FINGERPRINT_HEADER, RESTORED_HEADER
from models.topics import CHARGE_COMMANDS, KIB, MIB, SESSION_UPDATED, VEHICLE_POLICIES, dead_letter_topic
from models.webhook import UpdateHeaders, encode_headers
from sessions.events import CommandIssued, Output, PolicyRestored, Refused, SessionChanged, SessionErased
from streams.records import InputRecord
from streams.updates import UpdateEncoder

# A header may be null.
Headers = list[tuple[str, bytes | None]]

# Together well below what a dead-letter topic takes (models.topics.DEAD_LETTER_LIMIT_BYTES).
VALUE_LIMIT_BYTES: Final = 3 * MIB
HEADERS_LIMIT_BYTES: Final = 512 * KIB
KEY_LIMIT_BYTES: Final = 64 * KIB
# The detail may quote the record.
DETAIL_LIMIT_CHARS: Final = 1_000


class OutputRecord(Struct, frozen=True):
    """One record to produce."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers


def output_record(output: Output, partition: int, updates: UpdateEncoder, generation: bytes = b"") -> OutputRecord:
    """The record that publishes an output of the session logic. `updates`: makes the values of its session updates.

    `generation`: of our state, by which we know what we have restored.
    """
    match output:
        case SessionChanged():
            return _session_updated(output, partition, updates)
        case SessionErased():
            return OutputRecord(SESSION_UPDATED, partition, output.session_id.encode(), None, [])
        case PolicyRestored():
            value = None if output.policy is None else encode(output.policy)
            headers: Headers = [(RESTORED_HEADER, generation)]
            if output.fingerprint is not None:
                headers.append((FINGERPRINT_HEADER, output.fingerprint.encode()))
            return OutputRecord(VEHICLE_POLICIES, partition, output.policy_id.encode(), value, headers)
        case CommandIssued():
            command = output.command
            return OutputRecord(CHARGE_COMMANDS, partition, command.vehicle_id.encode(), encode(command), [])
        case _:
            assert_never(output)


def tell_cause(output: OutputRecord, cause: InputRecord) -> None:
    """Let a policy that is restored say in answer to which record: a reader may have taken a later one since."""
    if output.topic == VEHICLE_POLICIES:
        output.headers.append((ANSWERS_HEADER, str(cause.offset).encode()))


def dead_letter(record: InputRecord, refused: Refused) -> OutputRecord:
    """The record with its original key, value and headers, and why it was refused.

    A record that was compressed may be larger than any topic takes: then the header `dlq-cut` says what was cut, and
    the original is found by its offset.
    """
    cuts: list[str] = []
    key, value = _cut(record.key, KEY_LIMIT_BYTES, "key", cuts), _cut(record.value, VALUE_LIMIT_BYTES, "value", cuts)
    headers = record.headers
    if sum(len(name) + len(text or b"") for name, text in headers) > HEADERS_LIMIT_BYTES:
        cuts.append(f"headers from {len(headers)} to 0")
        headers = ()
    ours: Headers = [
        ("dlq-reason", refused.reason.encode()),
        ("dlq-detail", refused.detail[:DETAIL_LIMIT_CHARS].encode(errors="replace")),
        ("dlq-topic", record.topic.encode()),
        ("dlq-partition", str(record.partition).encode()),
        ("dlq-offset", str(record.offset).encode()),
        ("dlq-timestamp", str(round(record.logged_at.timestamp() * 1_000)).encode()),
    ]
    if cuts:
        ours.append(("dlq-cut", "; ".join(cuts).encode()))
    names = {name for name, _ in ours}
    original = [(name, text) for name, text in headers if name not in names]
    return OutputRecord(dead_letter_topic(record.topic), record.partition, key, value, [*original, *ours])


def reason_of(letter: OutputRecord) -> str:
    """Why the record in a dead letter was refused."""
    return next(text or b"" for name, text in letter.headers if name == "dlq-reason").decode()


def _cut(whole: bytes | None, limit_bytes: int, what: str, cuts: list[str]) -> bytes | None:
    if whole is None or len(whole) <= limit_bytes:
        return whole
    cuts.append(f"{what} from {len(whole)} to {limit_bytes} bytes")
    return whole[:limit_bytes]


def _session_updated(output: SessionChanged, partition: int, updates: UpdateEncoder) -> OutputRecord:
    head = output.head
    headers = UpdateHeaders(
        session_id=head.id,
        version=output.version,
        created_at=output.created_at,
        charging_event_id=output.charging_event_id,
        represents_charging_event=output.represents_charging_event,
        vehicle_id=head.vehicle_id,
    )
    value = updates.encode(output)
    return OutputRecord(SESSION_UPDATED, partition, head.id.encode(), value, [*encode_headers(headers)])
