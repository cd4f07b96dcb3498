"""What a process asks of the C library's allocator: large blocks go back to the system once they are freed.

By itself glibc gives back the first large blocks, and then takes the next ones of that size from its arenas, of which
each thread has one. Between fetches, requests and write buffers of megabytes these come to have more holes than blocks
(docs/decisions/0016-memory-of-the-worker.md).
"""

import ctypes
from typing import Final

from models.topics import KIB, MIB

# From this size on a block has pages of its own: what a fetch brings, what is sent, what RocksDB fills.
LARGE_BYTES: Final = 256 * KIB
# What is free at the end of an arena beyond so much goes back.
SPARE_BYTES: Final = MIB

# <malloc.h>
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def settle_allocator() -> bool:
    """Set both limits for this process. Tells whether they hold: only glibc has them."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return False
    settings = ((_M_MMAP_THRESHOLD, LARGE_BYTES), (_M_TRIM_THRESHOLD, SPARE_BYTES))
    return all(library.mallopt(name, value) == 1 for name, value in settings)
