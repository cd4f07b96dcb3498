"""Parts are kept running, within bounds, and ended in order."""

import signal
from pathlib import Path

import pytest

from local.errors import LocalError
from local.processes import Child
from local.restarts import LONGEST_PAUSE_S, MOST_RESTARTS, WINDOW_S, Restarts
from local.stopping import Stopped, StopRequest
from local.supervisor import Part, Supervisor
from tests.support.waiting import wait_until


def part(name: str, tmp_path: Path, script: str) -> Part:
    return Part(name, lambda: Child(name, ["/bin/sh", "-c", script], tmp_path / f"{name}.log"))


def test_pauses_double_up_to_a_bound_then_it_gives_up() -> None:
    """1, 2, 4 ... 30 s; after ten restarts within ten minutes there is no other."""
    restarts = Restarts()
    pauses = [restarts.next_pause_s(now_s) for now_s in range(MOST_RESTARTS + 1)]
    assert pauses == [
        1,
        2,
        4,
        8,
        16,
        LONGEST_PAUSE_S,
        LONGEST_PAUSE_S,
        LONGEST_PAUSE_S,
        LONGEST_PAUSE_S,
        LONGEST_PAUSE_S,
        None,
    ]


def test_old_restarts_are_forgotten() -> None:
    """What happened longer ago than the window counts no more."""
    restarts = Restarts()
    for _ in range(MOST_RESTARTS):
        restarts.next_pause_s(0)
    assert restarts.next_pause_s(WINDOW_S) is None
    assert restarts.next_pause_s(WINDOW_S + 1) == 1


def test_a_part_that_dies_is_started_again_and_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line names the part, how it ended, and when it comes back; then it does."""
    monkeypatch.setattr("local.restarts.FIRST_PAUSE_S", 0.01)
    stop, said = StopRequest(), list[str]()
    supervisor = Supervisor(stop, said.append)
    mortal = part(
        "worker", tmp_path, "echo started; [ $(wc -l <" + str(tmp_path) + "/worker.log) -gt 1 ] || exit 3; sleep 600"
    )
    supervisor.launch(mortal)
    log = tmp_path / "worker.log"

    def until_back() -> None:
        if log.read_text() == "started\nstarted\n":
            raise Stopped

    monkeypatch.setattr(stop, "check", until_back)
    with pytest.raises(Stopped):
        supervisor.watch()
    supervisor.end([(frozenset({"worker"}), 5)])
    assert said == [f"worker ended (exit code 3), starting it again in 0 s (log: {log})"]


def test_a_part_that_keeps_dying_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its last restart a part's end is the supervisor's, with the log named."""
    monkeypatch.setattr("local.restarts.FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr("local.supervisor._ROUND_S", 0.01)
    said = list[str]()
    supervisor = Supervisor(StopRequest(), said.append)
    supervisor.launch(part("api", tmp_path, "kill -9 $$"))
    with pytest.raises(LocalError, match=r"api ended \(signal 9\) for the 11th time: see .*api\.log"):
        supervisor.watch()
    assert len(said) == MOST_RESTARTS


def test_an_end_while_starting_is_reported_at_once(tmp_path: Path) -> None:
    """A part that ends before it is ready stops the start, and its last word is passed on."""
    supervisor = Supervisor(StopRequest(), lambda _line: None)
    with pytest.raises(LocalError, match=r"api ended while starting: no such luck \(log: .*api\.log\)"):
        supervisor.start(part("api", tmp_path, "echo no such luck; exit 1"), lambda: False, 30)
    supervisor.end([(frozenset({"api"}), 1)])


def test_a_part_that_is_never_ready_is_reported(tmp_path: Path) -> None:
    """Waiting for readiness has an end."""
    supervisor = Supervisor(StopRequest(), lambda _line: None)
    with pytest.raises(LocalError, match="api was not ready within 0 s"):
        supervisor.start(part("api", tmp_path, "sleep 600"), lambda: False, 0.1)
    supervisor.end([(frozenset({"api"}), 5)])


def test_parts_end_in_stages_and_the_stubborn_are_killed(tmp_path: Path) -> None:
    """A later stage is asked only when the earlier one is gone; who does not go in time is killed."""
    order = tmp_path / "order"
    supervisor = Supervisor(StopRequest(), lambda _line: None)
    for name in ("kafka", "worker"):
        script = f"trap 'echo {name} >>{order}; exit 0' TERM; echo up; while :; do sleep 0.02; done"
        supervisor.launch(part(name, tmp_path, script))
    supervisor.launch(part("simulate", tmp_path, "trap '' TERM; echo up; while :; do sleep 0.02; done"))
    for each in supervisor.parts:
        wait_until(lambda each=each: each.child is not None and each.child.wrote(b"up"), 10, f"{each.name} up")  # type: ignore[misc]
    supervisor.end([(frozenset({"simulate"}), 0.2), (frozenset({"worker"}), 5), (frozenset({"kafka"}), 5)])
    assert order.read_text().split() == ["worker", "kafka"]
    codes = {each.name: each.child.sweep() for each in supervisor.parts if each.child}
    assert codes == {"kafka": 0, "worker": 0, "simulate": -signal.SIGKILL}


def test_a_stop_is_heard_in_the_middle_of_a_wait() -> None:
    """A signal ends a wait with Stopped, and a second one is remembered."""
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    stop = StopRequest()
    stop.listen()
    try:
        assert stop.wait(lambda: True, 1)
        assert not stop.wait(lambda: False, 0.01)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Stopped):
            stop.wait(lambda: False, 60)
        assert not stop.asked_again
        signal.raise_signal(signal.SIGINT)
        assert stop.asked_again
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
