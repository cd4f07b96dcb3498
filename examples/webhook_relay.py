"""Relays `flex.session.updated` to one webhook: in order, at least once, signed. Why it is so: docs/webhook-relay.md.

RELAY_BROKERS, RELAY_TOPIC, RELAY_GROUP, RELAY_URL, RELAY_SECRET; needs confluent-kafka and nothing else.
"""

import base64
import hmac
import json
import os
import random
import signal
import sys
import time
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from confluent_kafka import Consumer

TRY_S, LONGEST_WAIT_S = 10.0, 30.0
# For one record, all tries together; with the last try below `max.poll.interval.ms`, or Kafka gives the partition away.
GIVE_UP_S = float(os.environ.get("RELAY_GIVE_UP_S", "240"))


def delivery(record: Any) -> tuple[str, bytes]:
    """The id of what is sent, the same for the same record, and its body: an update as it stands on the topic."""
    session_id = record.key().decode()
    if record.value() is None:
        return f"{session_id}:erased", json.dumps(
            {"event": "flex:session:erased", "session": {"id": session_id}}
        ).encode()
    return dict(record.headers())["ce_id"].decode(), record.value()


def post(url: str, secret: bytes, webhook_id: str, body: bytes) -> None:
    """One try, signed for this moment. Raises OSError or HTTPException where the answer is not a 2xx; no redirects."""
    place, timestamp = urlsplit(url), str(int(time.time()))
    signature = hmac.digest(secret, f"{webhook_id}.{timestamp}.".encode() + body, "sha256")
    headers = {"Content-Type": "application/json", "webhook-id": webhook_id, "webhook-timestamp": timestamp}
    headers["webhook-signature"] = f"v1,{base64.b64encode(signature).decode()}"
    connection = (HTTPSConnection if place.scheme == "https" else HTTPConnection)(place.netloc, timeout=TRY_S)
    try:
        connection.request("POST", place._replace(scheme="", netloc="").geturl() or "/", body, headers)
        status = connection.getresponse().status
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise OSError(f"the receiver answered {status}")


def deliver(url: str, secret: bytes, record: Any) -> None:
    """Try until the receiver has it; ends the process where it never does: then nothing behind it was sent either."""
    webhook_id, body = delivery(record)
    until_s, wait_s = time.monotonic() + GIVE_UP_S, 0.25
    while True:
        try:
            return post(url, secret, webhook_id, body)
        except (OSError, HTTPException) as error:
            if time.monotonic() + wait_s > until_s:
                sys.exit(f"gave up at {webhook_id}: {error}")
            print(f"{webhook_id}: {error}; again in {wait_s:.1f} s", file=sys.stderr, flush=True)
        time.sleep(wait_s * random.uniform(0.5, 1.0))
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def main() -> None:
    url, secret = os.environ["RELAY_URL"], os.environ["RELAY_SECRET"].encode()
    settings = {
        "bootstrap.servers": os.environ["RELAY_BROKERS"],
        "group.id": os.environ["RELAY_GROUP"],
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        # How soon one that is started again, or another, goes on where one died.
        "session.timeout.ms": 10_000,
        # What is stored is committed every 5 s and at the end; stored is only what was delivered.
        "enable.auto.offset.store": False,
    }
    consumer = Consumer(settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    consumer.subscribe([os.environ["RELAY_TOPIC"]])
    try:
        while True:
            record = consumer.poll(1.0)
            if record is not None and record.error():
                # The client goes on by itself once the brokers do.
                print(record.error(), file=sys.stderr, flush=True)
            elif record is not None:
                deliver(url, secret, record)
                consumer.store_offsets(record)
    finally:
        consumer.close()


if __name__ == "__main__":
    main()
