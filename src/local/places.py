"""Folders that the system writes to: made, writable, with room left, and held by one process at a time."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from local.errors import LocalError

# The broker's jars are 54 MB; the rest is room for its log to roll before anyone notices.
MIN_FREE_BYTES: Final = 500 * 1024 * 1024


def absolute(path: str) -> Path:
    """The path with ~ and relative parts resolved."""
    return Path(path).expanduser().absolute()


def prepare(path: Path, setting: str) -> None:
    """Make the folder; raise a line if that fails, if it cannot be written, or if its disk is nearly full."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalError(f"cannot make {path} ({error.strerror}): choose another with {setting}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise LocalError(f"cannot write to {path}: choose another with {setting}")
    free = shutil.disk_usage(path).free
    if free < MIN_FREE_BYTES:
        raise LocalError(
            f"only {free >> 20} MB free at {path}, {MIN_FREE_BYTES >> 20} MB needed: free some, or choose another disk"
            f" with {setting}"
        )


@contextmanager
def held(lock: Path, busy: str) -> Iterator[None]:
    """Hold the lock file while inside; raise `busy` if another process does. The kernel frees it at our death."""
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalError(busy) from error
        yield
