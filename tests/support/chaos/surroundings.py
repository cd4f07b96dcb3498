"""What a worker stands on, made to fail for real: a state folder on a small disk, and the time of day.

A disk of its own needs the right to mount; where that is missing, `small_disk` says so and gives None.
"""

import errno
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("shifted_clock.c")
_BLOCK: Final = b"\0" * 65_536


class SmallDisk:
    """A folder that is a file system of its own, in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Take all the room that is left."""
        with self._filler.open("wb", buffering=0) as out:
            try:
                while True:
                    out.write(_BLOCK)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self) -> None:
        """Give the room back."""
        self._filler.unlink()

    def protect(self) -> None:
        """Make it read-only."""
        _mount("-o", "remount,ro", str(self.folder))

    def unprotect(self) -> None:
        """Make it writable again."""
        _mount("-o", "remount,rw", str(self.folder))


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[SmallDisk | None]:
    """A file system of that size mounted at `folder`; None where this user may not mount one."""
    folder.mkdir(parents=True)
    made = _mount("-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder), may_fail=True)
    if not made:
        yield None
        return
    try:
        yield SmallDisk(folder)
    finally:
        # Lazily: a worker that was just killed may hold it for a moment.
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)


class ShiftedClock:
    """A time of day that can be set, for the processes that run with `env`."""

    def __init__(self, library: Path, file: Path) -> None:
        self.env = {"LD_PRELOAD": str(library), "SHIFTED_CLOCK": str(file)}
        self._file = file
        self.set(0)

    def set(self, shift_s: int) -> None:
        """From now on it is so many seconds later (negative: earlier) than it is."""
        with self._file.open("r+b" if self._file.exists() else "w+b") as out:
            out.write(struct.pack("=q", shift_s))


def shifted_clock(folder: Path) -> ShiftedClock | None:
    """A clock to set; None where there is no C compiler, or the system is not Linux."""
    compiler = shutil.which("cc")
    if compiler is None or os.uname().sysname != "Linux":
        return None
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "shifted_clock.so"
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE)], check=True)
    return ShiftedClock(library, folder / "shift")


def _mount(*arguments: str, may_fail: bool = False) -> bool:
    mount = shutil.which("mount")
    if mount is None and may_fail:
        return False
    done = subprocess.run([mount or "mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0 and not may_fail:
        raise AssertionError(f"mount {' '.join(arguments)}: {done.stderr}")
    return done.returncode == 0
