"""Child processes that never outlive us: each leads a session of its own, writes to one log file, is killed by the
kernel should we die without a word, and is swept with everything it started. It knows nothing of what the child does.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from runtime.clock import monotonic_s

_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_STEP_S: Final = 0.02
# A part that logs without end must not fill the disk: beyond this the file is moved aside, and one old file is kept.
LOG_LIMIT_BYTES: Final = 16 * 1024 * 1024


_LAST_LINE_CHARS: Final = 200


class Child:
    """One started program."""

    def __init__(self, name: str, argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        # The kernel ties the death signal to the *thread* that started the child, so it must be one that stays.
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("start children from the main thread")
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            self.log_start = out.tell()
            self._popen = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=env,
                start_new_session=True,
                preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 - one system call, from a library loaded before
            )
        self.pid = self._popen.pid

    def running(self) -> bool:
        """Whether it lives. An ended child is left for `sweep`, so that its group's number stays its own until then."""
        if self._popen.returncode is not None:
            return False
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def ask_to_stop(self) -> None:
        """SIGTERM, if it lives."""
        if self.running():
            os.kill(self.pid, signal.SIGTERM)

    def sweep(self) -> int:
        """Kill whatever is left of its group, and return its exit code (negative: the signal that ended it)."""
        if self._popen.returncode is None:
            # Suppressed: the group has ended by itself (macOS answers EPERM for one that is all zombies).
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._popen.wait()
        return self._popen.returncode

    def wait(self, grace_s: float) -> int:
        """Wait at most `grace_s` for its end, then kill."""
        until_s = monotonic_s() + grace_s
        while self.running() and monotonic_s() < until_s:
            time.sleep(_STEP_S)
        return self.sweep()

    def wrote(self, text: bytes) -> bool:
        """Whether this run has written `text` to its log."""
        with self.log.open("rb") as lines:
            lines.seek(self.log_start)
            return text in lines.read(LOG_LIMIT_BYTES)


def rotate(log: Path) -> None:
    """At a start: keep the last run's log beside, and begin anew."""
    if log.exists():
        log.replace(log.with_suffix(".old.log"))


def keep_bounded(log: Path) -> None:
    """Move a log that has grown too long aside. Its writer appends, so it goes on at the new beginning."""
    if log.stat().st_size > LOG_LIMIT_BYTES:
        shutil.copyfile(log, log.with_suffix(".old.log"))
        os.truncate(log, 0)


def _die_with(parent: int) -> Callable[[], None]:
    """What the child does between fork and exec."""

    def die_with_parent() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died in between, and no signal will come
                os._exit(1)

    return die_with_parent


def last_line(log: Path) -> str:
    """The last thing that a log says, for a line of ours."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:_LAST_LINE_CHARS] if lines else "it said nothing"
