"""Mild defects, as real feeds have them: exact duplicates, an unknown state, a field left out. Never a false value.

Which message is hit follows from its event id, so the same seed spoils the same messages in every run.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from ingest.records import InputRecord
from models.telemetry import ChargeSample, PowerDeliveryState

# Shares of charge samples, in per mille.
_UNKNOWN: Final = 10
_NO_PLUG: Final = 40
_NO_LEVEL: Final = 30
_NO_COUNTER: Final = 20
_TWICE: Final = 20


def with_faults(seed: int, records: Iterable[InputRecord]) -> Iterator[InputRecord]:
    """The records, some spoilt, some told twice. Plug events are left alone."""
    for record in records:
        sample = record.message
        if not isinstance(sample, ChargeSample):
            yield record
            continue
        draw = zlib.crc32(f"{seed}/{sample.event_id}".encode()) % 1_000
        told = record._replace(message=_spoilt(sample, draw))
        yield told
        if draw >= 1_000 - _TWICE:
            yield told


def _spoilt(sample: ChargeSample, draw: int) -> ChargeSample:
    if draw < _UNKNOWN:
        unknown = PowerDeliveryState.UNKNOWN.value
        return msgspec.structs.replace(sample, power_delivery_state=unknown, is_plugged_in=None, is_charging=None)
    if draw < _UNKNOWN + _NO_PLUG:
        return msgspec.structs.replace(sample, is_plugged_in=None)
    if draw < _UNKNOWN + _NO_PLUG + _NO_LEVEL:
        return msgspec.structs.replace(sample, battery_level=None)
    if draw < _UNKNOWN + _NO_PLUG + _NO_LEVEL + _NO_COUNTER:
        return msgspec.structs.replace(sample, energy_added=None)
    return sample
