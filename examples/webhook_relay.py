"""Relays `flex.session.updated` to one webhook: in order, at least once, signed. Why so: docs/webhook-relay.md."""

import base64
import hmac
import json
import os
import random
import signal
import sys
import time
from typing import Any

import httpx
from confluent_kafka import Consumer

CLIENT, LONGEST_WAIT_S = httpx.Client(timeout=10.0), 30.0
# For one record, all tries together: below `max.poll.interval.ms`, or Kafka gives the partition away.
GIVE_UP_S = float(os.environ.get("RELAY_GIVE_UP_S", "240"))


def deliver(url: str, secret: bytes, webhook_id: str, body: bytes) -> None:
    """Try until the receiver has it; else the process ends: nothing behind it was sent."""
    until_s, wait_s = time.monotonic() + GIVE_UP_S, 0.25
    while True:
        timestamp = str(int(time.time()))
        signed = hmac.digest(secret, f"{webhook_id}.{timestamp}.".encode() + body, "sha256")
        headers = {"content-type": "application/json", "webhook-id": webhook_id, "webhook-timestamp": timestamp}
        headers["webhook-signature"] = f"v1,{base64.b64encode(signed).decode()}"
        try:
            CLIENT.post(url, content=body, headers=headers).raise_for_status()
        except httpx.HTTPError as error:
            if time.monotonic() + wait_s > until_s:
                sys.exit(f"gave up at {webhook_id}: {error}")
            print(f"{webhook_id}: {error}; again in {wait_s:.1f} s", file=sys.stderr, flush=True)
        else:
            return
        time.sleep(wait_s * random.uniform(0.5, 1.0))
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def message(record: Any) -> tuple[str, bytes]:
    """The id of a record, the same each time it is sent, and the body: an update as it stands on the topic."""
    if record.value() is not None:
        return dict(record.headers())["ce_id"].decode(), record.value()
    session_id = record.key().decode()
    return f"{session_id}:erased", json.dumps({"event": "flex:session:erased", "session": {"id": session_id}}).encode()


def main() -> None:
    settings = {"bootstrap.servers": os.environ["RELAY_BROKERS"], "group.id": os.environ["RELAY_GROUP"]}
    # Stored, and so committed every 5 s and at the end, is only what was delivered.
    settings |= {"isolation.level": "read_committed", "enable.auto.offset.store": "false"}
    settings |= {"auto.offset.reset": "earliest", "session.timeout.ms": "10000"}
    consumer = Consumer(settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    consumer.subscribe([os.environ["RELAY_TOPIC"]])
    try:
        while True:
            record = consumer.poll(1.0)
            if record is not None and record.error():
                print(record.error(), file=sys.stderr, flush=True)  # the client goes on by itself
            elif record is not None:
                deliver(os.environ["RELAY_URL"], os.environ["RELAY_SECRET"].encode(), *message(record))
                consumer.store_offsets(record)
    finally:
        consumer.close()


if __name__ == "__main__":
    main()
