"""Writes a load to its topics, at once or step by step in a thread of its own, and remembers where each record lies."""

import threading
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, Producer

from tests.support.chaos.load import CLOSING_STEPS, Load, Step, value_bytes
from tests.support.chaos.log import Logged
from tests.support.records import Outgoing
from tests.support.system import Topics

if TYPE_CHECKING:
    from tests.support.chaos.checker import Place

# Longer than any outage that is made here.
DELIVERY_LIMIT_S: Final = 600.0


class Feed:
    """One writer for one set of topics. `places`: every record by where it lies; `refused`: those that must be."""

    def __init__(self, topics: Topics) -> None:
        self.places: dict[Place, Logged] = {}
        self.refused: dict[Place, str] = {}
        self._topics = topics
        self._failures: list[str] = []
        self._config: dict[str, Any] = {
            "bootstrap.servers": topics.bootstrap,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "message.max.bytes": 8_000_000,
            "queue.buffering.max.messages": 50_000,
            "reconnect.backoff.max.ms": 500,
            "linger.ms": 2,
            "log_level": 0,
        }
        self._transactional: Any = None
        self._producer: Any = Producer(self._config | {"message.timeout.ms": int(DELIVERY_LIMIT_S * 1_000)})

    def write(self, step: Step) -> None:
        """Write a step and wait until the log has all of it. AssertionError where it does not take it."""
        for number, record in enumerate(step.records):
            self.put(record, step.refused.get(number))
        self.flush()

    def put(self, record: Outgoing, reason: str | None = None, producer: Any = None) -> None:
        """Queue one record. `reason`: it must be refused for it (empty: for any)."""
        producer = producer or self._producer
        value = value_bytes(record)
        headers = [(name, text.encode()) for name, text in record.headers.items()]

        def written(error: KafkaError | None, message: Any) -> None:
            if error is not None:
                self._failures.append(error.str())
                return
            place = (record.topic, message.partition(), message.offset())
            key = None if record.key is None else record.key.encode()
            self.places[place] = Logged(
                topic=record.topic,
                partition=message.partition(),
                offset=message.offset(),
                timestamp_ms=0,
                key=key,
                value=value,
                headers=tuple((name, text) for name, text in headers),
            )
            if reason is not None:
                self.refused[place] = reason

        while True:
            try:
                producer.produce(
                    self._topics.name(record.topic),
                    key=record.key,
                    value=value,
                    headers=headers,
                    partition=-1 if record.partition is None else record.partition,
                    on_delivery=written,
                )
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)

    def write_in_a_transaction(self, step: Step, kept: bool) -> None:
        """Write a step in a Kafka transaction of its own, and commit it; or abort it, so that nobody may take it."""
        if self._transactional is None:
            self._transactional = Producer(self._config | {"transactional.id": f"{self._topics.prefix}feed"})
            self._transactional.init_transactions(DELIVERY_LIMIT_S)
        producer = self._transactional
        producer.begin_transaction()
        places, refused = dict(self.places), dict(self.refused)
        for number, record in enumerate(step.records):
            self.put(record, step.refused.get(number), producer)
        producer.flush(DELIVERY_LIMIT_S)
        if kept:
            producer.commit_transaction(DELIVERY_LIMIT_S)
        else:
            producer.abort_transaction(DELIVERY_LIMIT_S)
            self.places, self.refused = places, refused

    def flush(self) -> None:
        """Wait for every queued record."""
        left = self._producer.flush(DELIVERY_LIMIT_S)
        if left or self._failures:
            raise AssertionError(f"{left} records were not written: {self._failures[:3]}")


class LiveFeed:
    """Feeds a load step by step, as many as are allowed, and its closing steps at `finish`: so every fault that comes
    with an allowance comes under load.
    """

    def __init__(self, feed: Feed, load: Load, steps_per_s: float) -> None:
        self._feed = feed
        self._load = load
        self._pause_s = 1 / steps_per_s
        self._allowed = threading.Semaphore(0)
        self._may_end = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Write the first step (prices and policies) now, the others in a thread."""
        self._feed.write(self._load.steps[0])
        self._thread.start()

    def allow(self, share: float) -> None:
        """Let this share of the load (0 to 1) be written."""
        self._allowed.release(max(1, int(share * (len(self._load.steps) - CLOSING_STEPS - 1))))

    def finish(self) -> None:
        """Nothing more will be broken: write the rest without pauses, and wait until it is written."""
        self._may_end.set()
        self._allowed.release(len(self._load.steps))
        self._thread.join(DELIVERY_LIMIT_S)
        if self._thread.is_alive() or self._failure is not None:
            raise AssertionError("the load could not be written") from self._failure

    def _run(self) -> None:
        try:
            closing = len(self._load.steps) - CLOSING_STEPS
            for number, step in enumerate(self._load.steps[1:], start=1):
                self._allowed.acquire()
                if number == closing:
                    self._may_end.wait()
                self._feed.write(step)
                if not self._may_end.is_set():
                    self._may_end.wait(self._pause_s)
        except BaseException as error:  # noqa: BLE001  # told to whoever waits for the end
            self._failure = error
