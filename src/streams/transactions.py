"""The transactional producer of one partition number: what a batch writes becomes visible together, or not at all.

Its transactional id names the partition number, whichever process has it: `begin_session` aborts what an earlier owner
left open and shuts that one out. A client that was shut out gets a fatal error at its next call: it must leave.
All calls block; they are made by the partition's own thread.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, NoReturn

from confluent_kafka import KafkaError, KafkaException, Producer

from models.topics import DEAD_LETTER_LIMIT_BYTES, MIB
from runtime.clock import monotonic_s
from runtime.logs import get_log
from streams.crash import CrashPlan
from streams.errors import AbortedError, WorkerError
from streams.outbox import OutputRecord

log: Final = get_log()

# An open transaction holds back everyone who reads committed records, for so long at most.
TRANSACTION_LIMIT_S: Final = 10.0
# What waits in the client: a batch's records fit; beyond it producing waits for the broker.
QUEUE_LIMIT_RECORDS: Final = 50_000
QUEUE_LIMIT_KIB: Final = 65_536
# How long one call waits before it is made again: a stop is heard in between.
STEP_S: Final = 1.0
# How often a broker that does not answer is told of.
COMPLAINT_S: Final = 10.0

# The client is of no use any more. The first is what every call says after one of the others was found meanwhile.
_SHUT_OUT: Final = frozenset(
    {
        KafkaError._FATAL,  # noqa: SLF001  # librdkafka's own codes have no other name
        KafkaError._FENCED,  # noqa: SLF001
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
    }
)

# No further attempt cures it: of what is to be written something is too large for its topic, or may not be there.
_REFUSED: Final = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    }
)

# Of `produce`: a record of this transaction that was handed over earlier could not be delivered. Only an abort helps.
_FAILED_MEANWHILE: Final = KafkaError._STATE  # noqa: SLF001


class StoppedError(RuntimeError):
    """The worker is to stop, and the broker does not answer: the transaction is left open, and aborted by the next."""


class Transactions:
    """One partition number's producer."""

    def __init__(
        self, bootstrap_servers: str, prefix: str, name: str, crash: CrashPlan, is_stopping: Callable[[], bool]
    ) -> None:
        """`prefix`: of topics and of the transactional id. `is_stopping`: asked while the broker does not answer."""
        transactional_id = f"{prefix}{name}"
        self._prefix = prefix
        self._id = transactional_id
        self._crash = crash
        self._is_stopping = is_stopping
        self._position = -1
        self._producer: Any = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "transactional.id": transactional_id,
                "transaction.timeout.ms": round(TRANSACTION_LIMIT_S * 1_000),
                "queue.buffering.max.messages": QUEUE_LIMIT_RECORDS,
                "queue.buffering.max.kbytes": QUEUE_LIMIT_KIB,
                "message.max.bytes": DEAD_LETTER_LIMIT_BYTES + MIB,
                "batch.size": MIB,
                # The commit flushes: what is left of the wait only lets batches grow. With less the client sends while
                # it is still given records, in pieces.
                "linger.ms": 100,
                "reconnect.backoff.max.ms": 1_000,
                "log_level": 0,
                "error_cb": self._note,
            }
        )
        self.fault: str | None = None

    def begin_session(self) -> None:
        """Shut out whoever had this id before, and abort what it left open. Raises WorkerError or StoppedError."""
        self._call("begin its session", self._producer.init_transactions)

    def claim(self, record: OutputRecord) -> int:
        """Write one record, in a transaction of its own. Its offset. Raises as `commit`."""
        self._call("begin", lambda _: self._producer.begin_transaction())
        self._position = -1
        self._produce(record, self._note_position)
        return self._committed()

    def commit(self, records: Iterable[OutputRecord], last: OutputRecord) -> int:
        """Write the records, and `last` behind them, in one transaction. The offset of `last`.

        Raises AbortedError, StoppedError, and WorkerError where this process was shut out.
        """
        self._call("begin", lambda _: self._producer.begin_transaction())
        self._position = -1
        for record in records:
            self._produce(record, None)
        self._produce(last, self._note_position)
        if self._crash.is_armed("produced"):
            self._producer.flush()
        self._crash.reach("produced")
        return self._committed()

    def _committed(self) -> int:
        """Commit. The offset of the last record."""
        self._call("commit", self._producer.commit_transaction)
        if self._position < 0:
            raise RuntimeError(f"{self._id}: a transaction was committed without its last record")
        return self._position

    def close(self) -> None:
        """Let go of the broker. What is not committed stays so: the next owner aborts it."""
        self._producer = None

    def _produce(self, record: OutputRecord, on_delivery: Callable[[KafkaError | None, Any], None] | None) -> None:
        # To hand over a list without a header takes the client half as long again.
        more = {"headers": record.headers} if record.headers else {}
        while True:
            try:
                self._producer.produce(
                    self._prefix + record.topic, record.value, record.key, record.partition, on_delivery, **more
                )
            except BufferError:
                self._producer.poll(STEP_S)
                self._give_way("produce")
            except KafkaException as error:
                what = f"produce {len(record.value or b'')} bytes to {record.topic}"
                if error.args[0].code() == _FAILED_MEANWHILE:
                    self._undo(error.args[0], what)
                self._give_up(error.args[0], what)
            else:
                return

    def _call(self, what: str, step: Callable[[float], None]) -> None:
        """Make a call until it is answered."""
        since_s = told_s = monotonic_s()
        while True:
            try:
                step(STEP_S)
            except KafkaException as error:
                cause = error.args[0]
                if not cause.retriable():
                    self._give_up(cause, what)
                self._give_way(what)
                if monotonic_s() - told_s >= COMPLAINT_S:
                    told_s = monotonic_s()
                    log.warning(
                        "waiting for Kafka",
                        step=what,
                        waited_s=round(told_s - since_s),
                        error=self.fault or cause.str(),
                    )
            else:
                return

    def _give_way(self, what: str) -> None:
        if self._is_stopping():
            raise StoppedError(f"{self._id}: stopped while it could not {what}")

    def _give_up(self, cause: Any, what: str) -> None:
        """Raise what a failed call means. Undoes the transaction where that is possible.

        What the broker refuses for good ends the worker: it would be refused again and again, and be in no word.
        """
        if cause.fatal() or cause.code() in _SHUT_OUT:
            raise WorkerError(
                f"{self._id} was shut out: another worker has its partition, or its transaction took too long"
                f" (could not {what}: {self.fault or cause.str()}); nothing of it was committed"
            )
        if cause.code() in _REFUSED:
            raise WorkerError(
                f"{self._id}: what it has to write is refused, and would be each time"
                f" (could not {what}: {cause.str()}); nothing of it was committed"
            )
        if not cause.txn_requires_abort():
            raise KafkaException(cause)
        self._undo(cause, what)

    def _undo(self, cause: Any, what: str) -> NoReturn:
        # Also to learn whether another has the partition by now: a new session would take it from that one.
        self._call("abort", self._producer.abort_transaction)
        raise AbortedError(f"{self._id} could not {what}: {cause.str()}")

    def _note(self, error: Any) -> None:
        self.fault = str(error.str())

    def _note_position(self, error: KafkaError | None, message: Any) -> None:
        # A record that was not delivered makes the commit fail: that says it.
        if error is None:
            self._position = message.offset()
