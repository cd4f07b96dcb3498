"""Charge commands as they arrive on their topic. Where they come from, not what becomes of them.

It reads without a group: no other process shares its work, and its offsets are kept with the fleet's position.
"""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Protocol, Self

import msgspec
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from ingest.client_log import LIBRDKAFKA_LOG
from ingest.errors import WriteError, WriteInterrupted
from models.command import ChargeCommand
from runtime.clock import monotonic_s
from runtime.logs import get_log

# Commands of one round at most; the rest waits on the broker for the next.
READ_LIMIT_RECORDS: Final = 1_000
CONNECT_LIMIT_S: Final = 10.0
_FETCHED_LIMIT_KIB: Final = 4 * 1_024
_SLICE_S: Final = 0.5
_DECODER: Final = msgspec.json.Decoder(ChargeCommand)
# What the client reports while it has no broker: it goes on trying, and the writer of telemetry says so in the log.
_AWAY: Final = frozenset({KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT})  # noqa: SLF001


class CommandSource(Protocol):
    """`begin` once, with the offsets of the last run; then `read`, which never waits. `offsets`: where to go on."""

    def begin(self, offsets: Mapping[int, int]) -> None: ...

    def read(self) -> list[ChargeCommand | None]: ...

    @property
    def offsets(self) -> dict[int, int]: ...


def parse(value: bytes | None) -> ChargeCommand | None:
    """A command; None: what cannot be read as one."""
    try:
        command = _DECODER.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # the caller counts it: a vehicle's cloud drops what it does not understand
    is_timed = command.at.tzinfo is not None and command.valid_until.tzinfo is not None
    return command if is_timed else None


class KafkaCommands:
    """The command topic, from its end or from where the last run stopped."""

    def __init__(self, bootstrap_servers: str, topic: str, *, interrupted: Callable[[], bool]) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topic = topic
        self._interrupted = interrupted
        self._offsets: dict[int, int] = {}
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "client.id": "flex-simulator",
                "group.id": "flex-simulator-reads-no-group",  # required by the client; it never joins or commits
                "enable.auto.commit": False,
                # Kept offsets that the topic has outlived: read what is left; most of it is no longer valid.
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                # Tells where the end is, before there is a first command.
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": _FETCHED_LIMIT_KIB,
                "reconnect.backoff.max.ms": 1_000,
                "error_cb": _on_error,
            },
            logger=LIBRDKAFKA_LOG,
        )

    def begin(self, offsets: Mapping[int, int]) -> None:
        """Read on from these offsets; a partition without one, from its end. Raises WriteError without a topic."""
        self._offsets = dict(offsets)
        self._consumer.assign(
            [
                TopicPartition(self._topic, number, self._offsets.get(number, OFFSET_END))
                for number in self._partitions()
            ]
        )

    def read(self) -> list[ChargeCommand | None]:
        """The commands that have arrived, at most 1,000; None for each that cannot be read."""
        found: list[ChargeCommand | None] = []
        for message in self._consumer.consume(READ_LIMIT_RECORDS, timeout=0):
            error = message.error()
            if error is None:
                found.append(parse(message.value()))
                self._offsets[message.partition()] = message.offset() + 1
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its only name
                self._offsets[message.partition()] = message.offset()
            elif not (error.retriable() or error.code() in _AWAY):
                raise WriteError(f"cannot read {self._topic}: {error.str()}")
        return found

    @property
    def offsets(self) -> dict[int, int]:
        """The next offset to read, by partition, as far as known."""
        return dict(self._offsets)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def _partitions(self) -> list[int]:
        deadline = monotonic_s() + CONNECT_LIMIT_S
        while True:
            problem = (
                f"no topic {self._topic} at {self._bootstrap_servers}: create the topics first (flex-sessions topics)"
            )
            try:
                found: Any = self._consumer.list_topics(self._topic, timeout=_SLICE_S).topics[self._topic]
            except KafkaException as error:
                problem = f"cannot read {self._topic}: {error.args[0].str()}"
            else:
                if found.error is None and found.partitions:
                    return sorted(found.partitions)
            if self._interrupted():
                raise WriteInterrupted
            if monotonic_s() >= deadline:
                raise WriteError(problem)
            # A topic made a moment ago may not be known everywhere yet.
            self._consumer.poll(_SLICE_S)


def _on_error(error: KafkaError) -> None:
    """The client goes on by itself; that a broker is away is told once, by the writer of telemetry."""
    get_log().debug("reading commands", reason=error.str())
