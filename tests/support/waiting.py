"""Waiting in tests: for a fact, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(predicate: Callable[[], T], timeout_s: float, what: str, step_s: float = 0.05) -> T:
    """The first truthy answer of `predicate`; an AssertionError that says `what` was awaited if none comes in time."""
    until_s = time.monotonic() + timeout_s
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() >= until_s:
            raise AssertionError(f"not within {timeout_s} s: {what} (last answer: {answer!r})")
        time.sleep(step_s)
