"""Children: swept with all they started, and gone when we are."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from local.processes import LOG_LIMIT_BYTES, Child, keep_bounded, rotate
from tests.support.waiting import wait_until


def child(tmp_path: Path, script: str) -> Child:
    return Child("child", ["/bin/sh", "-c", script], tmp_path / "child.log")


def living(pid: int) -> bool:
    """Whether the process runs; one that is dead but not buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except FileNotFoundError:
        return False


def number_in(log: Path) -> int:
    return int(wait_until(lambda: log.exists() and log.read_text().strip(), 10, f"a number in {log}"))


def test_an_end_is_seen_and_told(tmp_path: Path) -> None:
    """The exit code is what the child ended with, and asking again changes nothing."""
    ended = child(tmp_path, "exit 7")
    wait_until(lambda: not ended.running(), 10, "the end")
    assert (ended.sweep(), ended.sweep(), ended.running()) == (7, 7, False)
    ended.ask_to_stop()


def test_one_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """After the grace the child is killed."""
    stubborn = child(tmp_path, "trap '' TERM; echo 1; while :; do sleep 0.05; done")
    number_in(stubborn.log)
    stubborn.ask_to_stop()
    assert stubborn.wait(0.2) == -signal.SIGKILL


def test_what_a_child_started_goes_with_it(tmp_path: Path) -> None:
    """Sweeping a child that has ended ends the processes of its group that it left behind."""
    leaving = child(tmp_path, "sleep 600 & echo $!")
    orphan = number_in(leaving.log)
    wait_until(lambda: not leaving.running(), 10, "the end")
    assert living(orphan)
    leaving.sweep()
    wait_until(lambda: not living(orphan), 10, "the orphan's end")


def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    """Kill -9 of the parent ends the child too."""
    code = (
        "import sys; from pathlib import Path; from local.processes import Child\n"
        "c = Child('c', ['sleep', '600'], Path(sys.argv[1])); print(c.pid, flush=True); c.wait(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "log")], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert living(pid)
        os.kill(parent.pid, signal.SIGKILL)
        wait_until(lambda: not living(pid), 10, "the child's end")


def test_children_are_started_from_the_main_thread(tmp_path: Path) -> None:
    """The death signal is tied to the starting thread, so a thread that may end is refused."""
    caught: list[BaseException] = []

    def start() -> None:
        try:
            child(tmp_path, "exit 0")
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(caught[0])


def test_only_this_run_counts_as_written(tmp_path: Path) -> None:
    """What an earlier run wrote to the log says nothing about this one."""
    first = child(tmp_path, "echo ready")
    wait_until(lambda: first.wrote(b"ready"), 10, "the word")
    first.sweep()
    second = child(tmp_path, "echo other")
    wait_until(lambda: second.wrote(b"other"), 10, "the word")
    assert not second.wrote(b"ready")
    second.sweep()


def test_a_start_keeps_the_last_log_only(tmp_path: Path) -> None:
    """Rotating puts the last run's log beside, over the one before it."""
    log = tmp_path / "worker.log"
    rotate(log)
    for text in ("first", "second"):
        log.write_text(text)
        rotate(log)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"worker.old.log": "second"}


def test_a_log_that_grows_is_kept_bounded(tmp_path: Path) -> None:
    """Beyond the limit the log begins anew, its writer goes on, and what it said is kept once."""
    log = tmp_path / "worker.log"
    log.touch()
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * (LOG_LIMIT_BYTES + 1))
        keep_bounded(log)
        writer.write(b"after")
    assert log.read_bytes() == b"after"
    assert (tmp_path / "worker.old.log").stat().st_size == LOG_LIMIT_BYTES + 1


def test_a_program_that_is_not_there_raises(tmp_path: Path) -> None:
    """A missing program is an error at the start, not a silent child."""
    with pytest.raises(FileNotFoundError):
        Child("none", ["/nowhere/none"], tmp_path / "log")
