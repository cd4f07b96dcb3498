"""Hostile messages, made from real ones and from a seed: cut, bent, inflated, mislabelled. And a reader of plain JSON
that says of some of them that they cannot possibly be taken.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from ingest.errors import CaptureError
from ingest.records import Naming, Skipped
from ingest.replay import Capture, read_capture
from models.ids import LocationId, VehicleId
from models.topics import ENERGY_PRICES, INPUT_TOPICS, SESSION_TARGETS, VEHICLE_CHARGE, VEHICLE_POLICIES
from tests.support.chaos.load import Spec, make_load, value_bytes
from tests.support.records import Outgoing

# The originals tell of so many vehicles under names of their own, so that each has a history of some length.
VEHICLES: Final = 400
INPUT_LIMIT_BYTES: Final = 64 * 1_024
# What the broker takes at most, some room for key and headers left.
LARGEST_BYTES: Final = 2_900_000
CAPTURES: Final = {"tesla-fleet-telemetry": "tesla_fleet_telemetry/*.txt", "teslafi-csv": "teslafi_minute_log/*.csv.gz"}
ID_FIELD: Final = {VEHICLE_POLICIES: "id", ENERGY_PRICES: "zone"}

Mutation = Callable[[random.Random, Outgoing, bytes], Outgoing]


def originals(data: Path | None) -> list[Outgoing]:
    """Real messages of recorded vehicles (under `data`, where there is any) and one of every other kind of input."""
    found = [*_recorded(data)] if data is not None else []
    steps = make_load(Spec(seed=7, vehicles=24, steps=30, partitions=4)).steps
    found += [record for step in steps for number, record in enumerate(step.records) if number not in step.refused]
    target = {"type": "REGULAR", "batteryReserve": 10, "minimumChargeTarget": 70, "readyBy": "2026-03-03T06:00:00Z"}
    value = {"vehicleId": "vehicle-7-0", "sessionId": "none", "at": "2026-03-02T08:00:00Z", "target": target}
    found += [
        Outgoing(topic=SESSION_TARGETS, key="vehicle-7-0", value=value | {"target": each})
        for each in (target, {"type": "IMMEDIATE_START", "minimumChargeTarget": 80}, None)
    ]
    return found


def hostile(seed: int, count: int, real: Sequence[Outgoing]) -> Iterator[Outgoing]:
    """So many messages; the same seed gives the same. Every tenth is an original as it is."""
    rng = random.Random(seed)
    for _ in range(count):
        # Prices and policies are few among the originals, and much depends on them.
        topic = rng.choices(INPUT_TOPICS, weights=(30, 45, 15, 5, 5))[0]
        pool = [record for record in rng.choices(real, k=60) if record.topic == topic] or [rng.choice(real)]
        record = _renamed(pool[0], f"fuzz-{rng.randrange(VEHICLES)}")
        original = value_bytes(record) or b"null"
        if rng.random() < 0.1:
            yield record
            continue
        record = rng.choice(_MUTATIONS)(rng, record, original)
        if rng.random() < 0.2 and isinstance(record.value, bytes):
            # Twice bent.
            record = rng.choice(_MUTATIONS)(rng, record, record.value)
        if record.topic == VEHICLE_POLICIES and record.key is None:
            # The broker itself takes no record without a key on a compacted topic.
            record = _with(record, value_bytes(record), key="")
        value = value_bytes(record)
        if value is not None and len(value) > LARGEST_BYTES:
            record = _with(record, value[:LARGEST_BYTES])
        yield record


def cannot_be_taken(topic: str, key: bytes | None, value: bytes | None) -> bool:
    """Whether a record must be refused by the plainest of the rules: no JSON object in UTF-8, too long, no right key.

    False says nothing: it may be refused for what it says.
    """
    if value is None:
        return topic != VEHICLE_POLICIES or key is None
    if len(value) > INPUT_LIMIT_BYTES or key is None:
        return True
    try:
        plain = json.loads(value.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return True
    if not isinstance(plain, dict):
        return True
    named = plain.get(ID_FIELD.get(topic, "vehicleId"))
    return not isinstance(named, str) or named.encode(errors="surrogatepass") != key


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _recorded(data: Path) -> Iterator[Outgoing]:
    for name, pattern in CAPTURES.items():
        for file in sorted(data.glob(pattern)):
            naming = Naming(vehicle_id=VehicleId("recorded"), location_id=LocationId("home"))
            capture = Capture(format=name, files=(file,), naming=naming, zone=ZoneInfo("UTC"))
            try:
                for record in read_capture(capture, Skipped()):
                    value = json.loads(_encoded(record.message))
                    yield Outgoing(topic=record.topic, key=record.key, value=value)
            except CaptureError:
                # One that the adapter cannot read at all is hostile as it is.
                yield Outgoing(topic=VEHICLE_CHARGE, key="recorded", value=file.read_bytes()[:INPUT_LIMIT_BYTES])


def _encoded(message: Any) -> bytes:
    return msgspec.json.encode(message)


def _renamed(record: Outgoing, vehicle: str) -> Outgoing:
    """The same message of another vehicle, and so of other ids."""
    if not isinstance(record.value, dict) or record.topic == ENERGY_PRICES:
        return record
    value, key = dict(record.value), vehicle
    value["vehicleId"] = vehicle
    if record.topic == VEHICLE_POLICIES:
        key = value["id"] = f"policy-of-{vehicle}"
        value["userId"] = f"user-of-{vehicle}"
    elif "userId" in value:
        value["userId"] = f"user-of-{vehicle}"
    # No partition: a policy goes where its own id leads, and so often to the wrong one.
    return Outgoing(topic=record.topic, key=key, value=value, headers=record.headers)


def _with(record: Outgoing, value: bytes | None, **changes: Any) -> Outgoing:
    fields = {"topic": record.topic, "key": record.key, "headers": record.headers, "partition": record.partition}
    return Outgoing(**(fields | {"value": value} | changes))


def _flip(rng: random.Random, record: Outgoing, value: bytes) -> Outgoing:
    bent = bytearray(value)
    for _ in range(rng.randint(1, 4)):
        if bent:
            bent[rng.randrange(len(bent))] ^= 1 << rng.randrange(8)
    return _with(record, bytes(bent))


def _cut(rng: random.Random, record: Outgoing, value: bytes) -> Outgoing:
    return _with(record, value[: rng.randrange(len(value) + 1)])


def _insert(rng: random.Random, record: Outgoing, value: bytes) -> Outgoing:
    at, noise = rng.randrange(len(value) + 1), rng.randbytes(rng.randint(1, 40))
    return _with(record, value[:at] + noise + value[at:])


def _nest(rng: random.Random, record: Outgoing, value: bytes) -> Outgoing:
    depth = rng.choice((10, 500, 1_000, 5_000, 30_000))
    deep = rng.choice((b"[" * depth + b"]" * depth, b'{"a":' * (depth // 5) + b"1" + b"}" * (depth // 5), b"[" * depth))
    return _with(record, value[:-1] + b',"deep":' + deep + b"}")


_NUMBERS: Final = (
    b"1e400", b"-1e999999", b"1e-999999", b"9" * 400, b"-0", b"0.1e+308", b"NaN", b"-Infinity", b"18446744073709551616",
    b"65535", b"-1", b"1E3", b"01", b"+1", b"0x10", b"1.", b"4." + b"3" * 5_000, b'"12"', b"true",
)  # fmt: skip


def _number(rng: random.Random, record: Outgoing, value: bytes) -> Outgoing:
    """A number, or else any value, becomes one that is hard to read."""
    starts = [at for at in range(1, len(value) - 1) if value[at - 1 : at] == b":" and value[at] not in b'"{[']
    if not starts:
        return _field(rng, record, value)
    start = rng.choice(starts)
    end = next((at for at in range(start, len(value)) if value[at] in b",}]"), len(value))
    return _with(record, value[:start] + rng.choice(_NUMBERS) + value[end:])


_TEXTS: Final = (
    b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\\ud800", b"\\u0000", b"\x00", b"\n", b"\\n",
    "\N{RIGHT-TO-LEFT OVERRIDE}".encode(), "\N{PILE OF POO}".encode() * 40, b"../../etc/passwd", b"a" * 65, b"", b"\\",
    b"' OR 1=1 --", b"$(reboot)", b"\x1b[2J", b"\xef\xbb\xbf",
)  # fmt: skip


def _text(rng: random.Random, record: Outgoing, value: bytes) -> Outgoing:
    """Somewhere inside a string comes something that strings seldom hold."""
    starts = [at + 1 for at in range(len(value)) if value[at : at + 1] == b'"']
    at = rng.choice(starts) if starts else 0
    return _with(record, value[:at] + rng.choice(_TEXTS) + value[at:])


_TIMES: Final = (
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    "2026-03-02T24:00:00Z", "2026-02-30T00:00:00Z", "2016-12-31T23:59:60Z", "2026-03-02T06:00:00", "2026-03-02",
    "1969-12-31T23:59:59Z", "2026-03-02T06:00:00+23:59", "2100-01-01T00:00:00Z", "2026-03-02T06:00:00.1234567891Z",
    "-2026-03-02T06:00:00Z", "02026-03-02T06:00:00Z", 1772431200, 1772431200.5, "now", "",
)  # fmt: skip
_VALUES: Final[tuple[Any, ...]] = (
    None, True, 0, -1, 1e308, 65_535, "", "x", [], {}, [[]], [None] * 200, {"a": {"b": 1}}, "2026-03-02T06:00:00Z",
    "../../etc/passwd", "/etc/localtime", "Europe/Berlin\x00", "a" * 5_000, -0.0, 10**30,
)  # fmt: skip


def _time(rng: random.Random, record: Outgoing, value: bytes) -> Outgoing:
    return _rewritten(record, value, lambda plain: plain | {"at": rng.choice(_TIMES)})


def _field(rng: random.Random, record: Outgoing, value: bytes) -> Outgoing:
    """A field of another type, gone, or new."""

    def bend(plain: dict[str, Any]) -> dict[str, Any]:
        name = rng.choice([*plain, "extra"])
        if rng.random() < 0.3:
            return {key: each for key, each in plain.items() if key != name}
        return plain | {name: rng.choice(_VALUES)}

    return _rewritten(record, value, bend)


def _deep_field(rng: random.Random, record: Outgoing, value: bytes) -> Outgoing:
    """The same, one level down: a schedule, a target, a list of prices."""

    def bend(plain: dict[str, Any]) -> dict[str, Any]:
        inner = [name for name, each in plain.items() if isinstance(each, dict | list) and each]
        if not inner:
            return plain | {"extra": {"deep": rng.choice(_VALUES)}}
        name = rng.choice(inner)
        each = plain[name]
        if isinstance(each, list):
            return plain | {name: [*each, rng.choice(_VALUES)] * rng.choice((1, 1, 200))}
        return plain | {name: each | {rng.choice([*each]): rng.choice(_VALUES)}}

    return _rewritten(record, value, bend)


def _rewritten(record: Outgoing, value: bytes, bend: Callable[[dict[str, Any]], dict[str, Any]]) -> Outgoing:
    try:
        plain = json.loads(value)
    except (ValueError, RecursionError):
        return _with(record, value + b",")
    return _with(record, json.dumps(bend(plain) if isinstance(plain, dict) else [plain]).encode())


def _said_twice(_rng: random.Random, record: Outgoing, value: bytes) -> Outgoing:
    """Every field twice, the second time null."""
    names = b"".join(b',"%s":null' % name for name in (b"isPluggedIn", b"at", b"vehicleId", b"energyAdded"))
    return _with(record, value[:-1] + names + b"}")


def _key(rng: random.Random, record: Outgoing, value: bytes) -> Outgoing:
    keys = (None, "", "nobody", f"{record.key} ", "x" * 5_000, "\x00", "fuzz-1", "policy-of-fuzz-1", "\N{SNOWMAN}")
    return _with(record, value, key=rng.choice(keys))


def _partition(rng: random.Random, record: Outgoing, value: bytes) -> Outgoing:
    return _with(record, value, partition=0 if record.topic == ENERGY_PRICES else rng.randrange(4))


def _topic(rng: random.Random, record: Outgoing, value: bytes) -> Outgoing:
    topic = rng.choice(INPUT_TOPICS)
    return _with(record, value, topic=topic, partition=None)


def _large(rng: random.Random, record: Outgoing, value: bytes) -> Outgoing:
    size = rng.choice((INPUT_LIMIT_BYTES - 200, INPUT_LIMIT_BYTES + 1, 2 * INPUT_LIMIT_BYTES))
    if rng.random() < 0.02:
        size = LARGEST_BYTES
    return _with(record, value[:-1] + b',"pad":"' + b"x" * max(0, size - len(value)) + b'"}')


def _nothing(rng: random.Random, record: Outgoing, _value: bytes) -> Outgoing:
    return _with(record, rng.choice((None, b"", b"null", b"[]", b"{}", b"0", b'""', b" ", b"\x00" * 100)))


def _encoding(rng: random.Random, record: Outgoing, value: bytes) -> Outgoing:
    text = value.decode(errors="replace")
    return _with(record, rng.choice((text.encode("utf-16"), text.encode("utf-32"), text.encode("utf-8-sig"))))


def _headers(rng: random.Random, record: Outgoing, value: bytes) -> Outgoing:
    headers = (
        {"policy-restored": "true"},
        {"dlq-reason": "MINE", "dlq-offset": "x"},
        {f"h{number}": "v" * 50 for number in range(300)},
        {"": "", "\N{SNOWMAN}": "\x00"},
        {"replay-attempt": "many", "replay-of": "nothing"},
    )
    return _with(record, value, headers=rng.choice(headers))


_MUTATIONS: Final[tuple[Mutation, ...]] = (
    _flip, _cut, _insert, _nest, _number, _text, _time, _field, _field, _deep_field, _said_twice, _key, _partition,
    _topic, _large, _nothing, _encoding, _headers,
)  # fmt: skip
