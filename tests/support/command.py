"""The console command as a user runs it: a process of its own, with its output kept, ended for certain, and nothing
of it left behind. A mark in the environment finds every process that descends from it.
"""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.waiting import wait_until

MARK = "TEST_PROCESS_MARK"
COMMAND = (sys.executable, "-P", "-m", "cli.main")


class Running:
    """A started command."""

    def __init__(self, arguments: tuple[str, ...], env: Mapping[str, str], folder: Path) -> None:
        self.mark = uuid.uuid4().hex
        self.name = " ".join(arguments)
        self._out = folder / f"{arguments[0]}-{self.mark}.out"
        self._err = folder / f"{arguments[0]}-{self.mark}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [*COMMAND, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=clean_environ(env) | {MARK: self.mark},
                start_new_session=True,
            )
        self.pid = self.process.pid

    @property
    def stdout(self) -> str:
        return self._out.read_text(encoding="utf-8", errors="replace")

    @property
    def stderr(self) -> str:
        return self._err.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str, timeout_s: float = 60) -> None:
        """Until it has written `text`, on either output; fails at once if it ends before."""

        def said() -> bool:
            ended = self.process.poll() is not None
            if text in self.stdout or text in self.stderr:
                return True
            if ended:
                raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{self.tail()}")
            return False

        try:
            wait_until(said, timeout_s, f"{text!r} from {self.name}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from error

    def end(self, number: int = signal.SIGTERM, timeout_s: float = 20) -> int:
        """Send the signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout_s)

    def tail(self, characters: int = 4_000) -> str:
        """The end of what it said, for a failing test."""
        return f"--- stdout\n{self.stdout[-characters:]}\n--- stderr\n{self.stderr[-characters:]}"

    def left_behind(self) -> list[str]:
        """Every living process that descends from it, itself included."""
        return [name for pid, name in _processes() if f"{MARK}={self.mark}".encode() in _environ_of(pid)]


@contextmanager
def flex(*arguments: str, env: Mapping[str, str], folder: Path) -> Iterator[Running]:
    """Run the command while inside; afterwards it is ended, and the test fails if it had to be killed or left a
    process behind.
    """
    running = Running(arguments, env, folder)
    try:
        yield running
        try:
            running.end()
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{running.name} did not stop at SIGTERM:\n{running.tail()}") from error
        with suppress(AssertionError):  # the kernel takes a moment to bury children that were killed
            wait_until(lambda: not running.left_behind(), 2, "all gone")
        left = running.left_behind()
        if left:
            raise AssertionError(f"{running.name} left behind: {left}")
    finally:
        _kill_marked(running.mark)
        running.process.wait(10)


def run_flex(*arguments: str, env: Mapping[str, str], timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        env=clean_environ(env),
        stdin=subprocess.DEVNULL,
        timeout=timeout_s,
        check=False,
    )


def clean_environ(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of the test session without any setting of ours, plus `env`."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FLEX_")} | dict(env)


def _kill_marked(mark: str) -> None:
    for pid, _ in _processes():
        if f"{MARK}={mark}".encode() in _environ_of(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _processes() -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            # It may end while we look, or be another user's.
            with suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                yield int(folder.name), f"{folder.name} {b' '.join(words).decode(errors='replace')[:2_000]}"


def _environ_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
