"""Relays `flex.session.updated` to one webhook: in order, at least once, signed. Why so: docs/webhook-relay.md."""

import base64
import hmac
import os
import random
import signal
import sys
import time

import httpx
from confluent_kafka import Consumer

ENV, CLIENT = os.environ, httpx.Client(timeout=10.0)
SETTINGS = {"bootstrap.servers": ENV["RELAY_BROKERS"], "group.id": ENV["RELAY_GROUP"], "session.timeout.ms": "10000"}
# Stored, and so committed every 5 s and at the end, is only what was delivered.
SETTINGS |= {"isolation.level": "read_committed", "enable.auto.offset.store": "false", "auto.offset.reset": "earliest"}


def deliver(webhook_id: str, body: bytes) -> None:
    """Try until the receiver has it; else the process ends: nothing behind it was sent."""
    # For one record, all tries together: below `max.poll.interval.ms`, or Kafka gives the partition away.
    until_s, wait_s = time.monotonic() + float(ENV.get("RELAY_GIVE_UP_S", "240")), 0.25
    while True:
        headers = {"webhook-id": webhook_id, "webhook-timestamp": str(int(time.time()))}
        signed = f"{webhook_id}.{headers['webhook-timestamp']}.".encode() + body
        signature = base64.b64encode(hmac.digest(ENV["RELAY_SECRET"].encode(), signed, "sha256")).decode()
        headers |= {"content-type": "application/json", "webhook-signature": f"v1,{signature}"}
        try:
            CLIENT.post(ENV["RELAY_URL"], content=body, headers=headers).raise_for_status()
        except httpx.HTTPError as error:
            if time.monotonic() + wait_s > until_s:
                sys.exit(f"gave up at {webhook_id}: {error}")
            print(f"{webhook_id}: {error}; again in {wait_s:.1f} s", file=sys.stderr, flush=True)
        else:
            return
        time.sleep(wait_s * random.uniform(0.5, 1.0))
        wait_s = min(2 * wait_s, 30.0)


signal.signal(signal.SIGTERM, lambda *_: sys.exit())
with Consumer(SETTINGS) as consumer:
    consumer.subscribe([ENV["RELAY_TOPIC"]])
    while True:
        record = consumer.poll(1.0)
        if record is not None and record.error():
            print(record.error(), file=sys.stderr, flush=True)  # the client goes on by itself
        elif record is not None:
            erased_id, erased = record.key() + b":erased", b'{"event": "flex:session:erased", "session": {"id": "%b"}}'
            webhook_id = dict(record.headers() or ()).get("ce_id", erased_id)
            deliver(webhook_id.decode(), record.value() or erased % record.key())
            consumer.store_offsets(record)
