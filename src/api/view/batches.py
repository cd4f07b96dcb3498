"""One batch of messages to one atomic write: sort them, project them, and note how far the log was read.

A record that cannot be read is logged, counted and passed over; its offset counts as read, or it would come for ever.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from confluent_kafka import KafkaError

from api.metrics import Metrics
from api.view.meta import TopicPartition, offset_changes
from api.view.policies import apply_record, forget_deletions, read_policy_record, request_of
from api.view.projector import apply_erasure, apply_update, keys_asked, stored_head
from api.view.records import UnreadableError, read_session_id, read_update
from api.view.rows import SessionHead
from api.view.store import Draft, Store
from api.view.watching import Published
from models.codec import Refusal
from runtime.logs import get_log
from sessions.events import Refused

log: Final = get_log()

# What a record says: an update, the session that is erased, why it cannot be read; None: it is of a policy, and read
# when its turn comes.
_Said = tuple[SessionHead, bytes] | str | UnreadableError | None


class LogLostError(Exception):
    """The log does not hold what the store needs next; the cure is a rebuild."""


class Batch:
    """Take messages, then `write`. `positions`, `touched`, `updates` and `verdicts` are then what the write made true.

    `updates`: of policies' sessions, in the order of the log.
    `verdicts`: per request that wrote a policy record, why it was refused (None: it was taken).
    """

    def __init__(
        self, store: Store, policies_topic: str, policy_partitions: int, metrics: Metrics, *, is_told: bool = True
    ) -> None:
        """`is_told`: what the batch changes is told to requests; while the view is built there is nobody to tell."""
        self._store = store
        self._is_told = is_told
        self._policy_partitions = policy_partitions
        self._draft = Draft(store)
        self._policies_topic = policies_topic
        self._metrics = metrics
        self.positions: dict[TopicPartition, int] = {}
        self.touched: set[str] = set()
        self.updates: list[Published] = []
        # Records by topic: taken, not taken. Told to the metrics once, since looking one up costs as much as a read.
        self._taken: Counter[str] = Counter()
        self._passed_over: Counter[str] = Counter()
        self.verdicts: dict[str, Refused | None] = {}

    def take(self, messages: Iterable[Any]) -> None:
        """Project these messages, in order. Raises LogLostError, StoreDamagedError."""
        records = []
        for message in messages:
            error = message.error()
            if error is None:
                topic = message.topic()
                self.positions[topic, message.partition()] = message.offset() + 1
                records.append((message, None if topic == self._policies_topic else _read(message)))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's names for its own codes
                # The end may lie behind transaction markers, which no record's offset shows.
                self.positions[message.topic(), message.partition()] = message.offset()
            elif error.code() in {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}:  # noqa: SLF001
                raise LogLostError(f"{message.topic()}[{message.partition()}]: {error.str()}")
            else:
                # The client goes on by itself (a broker away, a leader moved); the heartbeat sees what stays wrong.
                log.warning("reading the topics met a fault", error=error.str())
        # One call for all that the projector will ask: a third of the cost of one for each.
        self._draft.expect([key for _, said in records if isinstance(said, tuple) for key in keys_asked(said[0])])
        for message, said in records:
            self._take_record(message, said)

    def write(self, more: Mapping[bytes, bytes | None]) -> None:
        """Everything taken, the offsets behind it, and `more`, in one write. Raises StoreDamagedError."""
        changes = self._draft.changes
        changes.update(offset_changes(self.positions))
        changes.update(more)
        if changes:
            self._store.write(changes)
        for metric, counts in ((self._metrics.applied, self._taken), (self._metrics.skipped, self._passed_over)):
            for topic, count in counts.items():
                metric.labels(topic).inc(count)

    def _take_record(self, message: Any, said: _Said) -> None:
        topic = message.topic()
        try:
            if isinstance(said, UnreadableError):
                raise said
            took = self._take_policy(message) if said is None else self._take_session(said)
        except UnreadableError as error:
            self._metrics.unreadable.labels(topic).inc()
            log.warning(
                "record passed over: it cannot be read",
                topic=topic,
                partition=message.partition(),
                offset=message.offset(),
                error=str(error),
            )
            return
        (self._taken if took else self._passed_over)[topic] += 1

    def _take_policy(self, message: Any) -> bool:
        request = request_of(message.headers())
        try:
            record = read_policy_record(
                message.key(), message.value(), message.headers(), message.timestamp()[1], message.offset()
            )
            refused = apply_record(self._draft, record, message.partition(), self._policy_partitions)
        except UnreadableError as error:
            if request is not None:
                self.verdicts[request] = Refused(Refusal.INVALID_MESSAGE, str(error))
            raise
        forget_deletions(self._draft, self._store, record.logged_at)
        if request is not None:
            self.verdicts[request] = refused
        if refused is not None:
            place = {"partition": message.partition(), "offset": message.offset()}
            log.info("policy record refused", reason=refused.reason, **place)
            return False
        self.touched.add(record.policy_id)
        return True

    def _take_session(self, said: str | tuple[SessionHead, bytes]) -> bool:
        if isinstance(said, str):
            old = stored_head(self._draft, said)
            if old is None:
                return False
            apply_erasure(self._draft, said)
            self._note(old, None)
            return True
        head, body = said
        if not apply_update(self._draft, head, body):
            return False
        self._note(head, body)
        return True

    def _note(self, head: SessionHead, body: bytes | None) -> None:
        if self._is_told and head.policy_id is not None:
            self.touched.add(head.policy_id)
            self.updates.append(Published(head.policy_id, head.user_id, head.id, head.version, body))


def _read(message: Any) -> _Said:
    """What a record of sessions says."""
    try:
        value = message.value()
        if value is None:
            return read_session_id(message.key())
        return read_update(message.key(), value, message.headers())
    except UnreadableError as error:
        return error
