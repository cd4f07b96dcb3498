"""The thin fold: as little logic as can be, so that what is measured is the engine around it.

Each sample makes one state (how many samples, how much energy) and one update of about 1 KB. The state is written once
per vehicle and batch, every update is published: so in the engine, so in the bare loop. Stock Faust writes both for
every sample, for it knows no batches.
"""

from typing import Final

from msgspec import Struct
from msgspec.msgpack import Decoder, encode

UPDATE_BYTES: Final = 1_000
_PAD: Final = b"x" * UPDATE_BYTES


class Sample(Struct, rename="camel"):
    """What the fold looks at."""

    vehicle_id: str
    energy_added: float | None = None


class Fold(Struct, array_like=True):
    """The state of a vehicle."""

    samples: int = 0
    energy_kwh: float = 0.0


FOLD: Final = Decoder(Fold)


def step(state: Fold, energy_kwh: float | None) -> Fold:
    """The state after one more sample."""
    return Fold(state.samples + 1, state.energy_kwh if energy_kwh is None else energy_kwh)


def update(vehicle: str, state: Fold) -> bytes:
    """What is published of it."""
    head = b'{"vehicleId":"%b","samples":%d,"kwh":%f,"pad":"' % (vehicle.encode(), state.samples, state.energy_kwh)
    return head + _PAD[len(head) + 2 :] + b'"}'


def raw(state: Fold) -> bytes:
    """The state's bytes."""
    return encode(state)
