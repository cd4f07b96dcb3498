"""A client of server-sent events that is not ours: the fields of each event as the HTML standard reads them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from msgspec import Struct

from tests.support.api_process import ROOT, Api
from tests.support.api_tokens import authorization


class Event(Struct, frozen=True):
    """One event; `id` "" where it has none, so that the last id stays."""

    kind: str
    id: str
    data: str


class Stream:
    """An open stream. `comments` counts the lines that only say that it is alive."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.comments = 0
        self.retry_ms: int | None = None
        self.last_id = ""
        self._lines = answer.iter_lines()

    def __iter__(self) -> Iterator[Event]:
        fields: dict[str, list[str]] = {}
        for line in self._lines:
            if line:
                name, _, value = line.partition(":")
                fields.setdefault(name, []).append(value.removeprefix(" "))
                self.comments += not name
                continue
            if "retry" in fields:
                self.retry_ms = int(fields["retry"][0])
            if "data" in fields:
                event = Event(fields.get("event", ["message"])[0], fields.get("id", [""])[0], "\n".join(fields["data"]))
                self.last_id = event.id or self.last_id
                yield event
            fields = {}

    def next(self) -> Event:
        """The next event; fails where the stream ends or is silent for too long."""
        return next(iter(self))


@contextmanager
def opened(
    api: Api, policy: str = "p1", *, last_id: str = "", timeout_s: float = 10, **claims: Any
) -> Iterator[Stream]:
    """The stream of a policy's session, with a right token but for the claims named."""
    headers = authorization(**claims) | ({"Last-Event-ID": last_id} if last_id else {})
    path = f"{ROOT}/{policy}/session/events"
    with api.client.stream("GET", path, headers=headers, timeout=timeout_s) as answer:
        yield Stream(answer)
