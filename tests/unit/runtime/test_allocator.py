"""The C library's allocator, in a process of its own, since it cannot be set back."""

import subprocess
import sys

import pytest

# How many MiB of a block of 3 MiB lie in pages of its own, after a block of 4 MiB was freed.
AFTER_A_LARGER_ONE = """
import ctypes, sys
from runtime.allocator import settle_allocator

class Info(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

library = ctypes.CDLL(None)
if not hasattr(library, "mallinfo2"):
    sys.exit(77)
library.mallinfo2.restype = Info
assert {settle}
first = bytearray(4 << 20)
del first
before = library.mallinfo2().hblkhd
second = bytearray(3 << 20)
print((library.mallinfo2().hblkhd - before) >> 20)
"""
SKIPPED = 77


@pytest.mark.parametrize(("settle", "own_mib"), [("settle_allocator()", 3), ("True", 0)])
def test_large_blocks_have_pages_of_their_own(settle: str, own_mib: int) -> None:
    """Large blocks keep pages that go back when they are freed; by itself the allocator stops that at the first."""
    run = subprocess.run(
        [sys.executable, "-c", AFTER_A_LARGER_ONE.format(settle=settle)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if run.returncode == SKIPPED:
        pytest.skip("only glibc (2.33 or newer) tells how its memory lies")
    assert (run.returncode, run.stdout.strip()) == (0, str(own_mib)), run.stderr
