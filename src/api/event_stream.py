"""A policy's session as server-sent events: what is sent to one client, in which order, and when its stream ends.

The client gets the current session, then every update in the order of the log. It is never sent a version twice, nor an
older one, within a stream and across reconnects, even to another sidecar that is behind.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, NamedTuple

from msgspec import Struct
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from api.auth import Authenticator, Principal
from api.heads import OF_HEAD
from api.metrics import Metrics
from api.problems import respond, unavailable
from api.view.records import UUID_FORM
from api.view.view import View, ViewNotReadyError
from api.view.watching import Published, Watch, session_event
from runtime.clock import monotonic_s

MEDIA_TYPE: Final = "text/event-stream"
# Milliseconds after which a client should come again.
_RETRY_MS: Final = 2_000
_RETRY_AFTER_S: Final = 5
# Where this sidecar does not know what Last-Event-ID names: seconds between two looks whether it has caught up, how old
# the ends of the log may be that it knows, and the longest wait, after which the client must ask elsewhere.
_LOOK_S: Final = 0.5
_ENDS_AGE_S: Final = 1.0
_CATCH_UP_S: Final = 30.0
# Seconds between the end of a policy and that of its streams, at most: the worker settles its session in between.
_FAREWELL_S: Final = 10.0
# Seconds that one piece may take to be taken off by the client's connection, and the last word of all.
STALL_S: Final = 10.0
_LAST_WORD_S: Final = 1.0
# Attempts, a millisecond apart, to read between two writes of the view.
_SNAPSHOT_TRIES: Final = 500
_HEARTBEAT: Final = b":\n\n"
_HEADERS: Final = {"content-type": MEDIA_TYPE, "x-accel-buffering": "no"}
# As EventId is spelt: the session, and the version of it.
EVENT_ID_PATTERN: Final = rf"\A({UUID_FORM}):([1-9][0-9]{{0,17}})\Z"


class EventId(NamedTuple):
    """A version of a session, as a client was sent it."""

    session_id: str
    version: int


class Progress:
    """What one client has. Decides which updates are news to it."""

    def __init__(self, last: EventId | None) -> None:
        self.last = last
        # Since this second, by the monotonic clock, nothing but the session of `last` counts: this sidecar is behind.
        self.behind_since_s: float | None = None

    def event_of(self, update: Published) -> bytes | None:
        """The event to send for the next update of the log, or None."""
        is_same = self.last is not None and self.last.session_id == update.session_id
        if self.behind_since_s is not None:
            is_earlier = self.last is not None and update.body is not None and update.version < self.last.version
            if not is_same or is_earlier:
                return None
            self.behind_since_s = None
        if update.body is None:
            return (
                b'event: flex:session:erased\ndata: {"id":"%b"}\n\n' % update.session_id.encode() if is_same else None
            )
        if is_same and self.last is not None and update.version <= self.last.version:
            return None
        self.last = EventId(update.session_id, update.version)
        return update.event

    def event_of_current(self, current: EventId, body: bytes) -> bytes | None:
        """The event to send for the current session, or None if the client has it, or a newer version."""
        self.behind_since_s = None
        if (
            self.last is not None
            and self.last.session_id == current.session_id
            and self.last.version >= current.version
        ):
            return None
        self.last = current
        return session_event(current.session_id, current.version, body)

    def start_anew(self, current: EventId | None) -> None:
        """All that the log holds is read, up to this current session: what the client has beyond it was erased, or is
        of a log that is no more.
        """
        if self.last != current:
            self.last = None


class Slots:
    """How many streams of a kind may be open at once."""

    def __init__(self, limit: int) -> None:
        self.left = limit


class StreamParts(Struct, frozen=True):
    """What all event streams of an app share."""

    view: View
    auth: Authenticator
    metrics: Metrics
    slots: Slots
    heartbeat_s: float


class SessionEvents(Response):
    """The answer to one client. Whoever makes it has checked that the caller may see the policy."""

    media_type = MEDIA_TYPE

    def __init__(self, parts: StreamParts, caller: Principal, policy_id: str, last: EventId | None) -> None:
        super().__init__()
        self._view = parts.view
        self._parts = parts
        self._caller = caller
        self._policy_id = policy_id
        self._progress = Progress(last)
        self._is_gone = False
        self._farewell_s: float | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        slots = self._parts.slots
        if slots.left <= 0:
            problem = unavailable("Too many event streams are open.", _RETRY_AFTER_S)
            await respond(problem.problem, problem.headers)(scope, receive, send)
            return
        if OF_HEAD in scope:
            await send(_start(_HEADERS))
            await send({"type": "http.response.body", "body": b""})
            return
        slots.left -= 1
        self._parts.metrics.streams.labels("events").inc()
        reason = "client"
        try:
            with self._view.watches.watch(self._policy_id) as watch:
                leaving = asyncio.create_task(self._note_leaving(receive, watch))
                try:
                    reason = await self._serve(watch, send)
                finally:
                    leaving.cancel()
        finally:
            slots.left += 1
            self._parts.metrics.streams.labels("events").dec()
            self._parts.metrics.streams_ended.labels("events", reason).inc()

    async def _note_leaving(self, receive: Receive, watch: Watch) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        watch.stir()

    async def _serve(self, watch: Watch, send: Send) -> str:
        """Send until there is a reason to end, and say it."""
        await send(_start(_HEADERS))
        try:
            await self._write(send, b"retry: %d\n\n" % _RETRY_MS)
            reason = await self._follow(watch, send)
        except TimeoutError:
            # It takes nothing: a last word would not reach it either. The server closes what is left open.
            return "too-slow"
        if reason != "client":
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORD_S):
                    word = b'event: end\ndata: {"reason":"%b"}\n\n' % reason.encode()
                    await send({"type": "http.response.body", "body": word, "more_body": False})
        return reason

    async def _follow(self, watch: Watch, send: Send) -> str:
        needs_snapshot, is_complete = True, False
        heartbeat_s = monotonic_s() + self._parts.heartbeat_s
        while True:
            if needs_snapshot:
                events, needs_snapshot = await self._snapshot(watch, is_complete=is_complete)
                is_complete = False
            else:
                events = []
            for update in watch.take():
                event = self._progress.event_of(update) if self._may_see(update.user_id) else None
                if event is not None:
                    events.append(event)
            if not events and monotonic_s() >= heartbeat_s:
                events.append(_HEARTBEAT)
            if events:
                await self._write(send, b"".join(events))
                heartbeat_s = monotonic_s() + self._parts.heartbeat_s
            reason = self._reason_to_end(watch)
            if reason is not None:
                return reason
            if self._is_caught_up():
                self._progress.behind_since_s = None
                needs_snapshot = is_complete = True
                continue
            # Where a snapshot failed the view is being rebuilt, and stirs its watchers when it is back.
            await self._wait(watch, heartbeat_s)
            needs_snapshot = needs_snapshot or watch.is_stale

    async def _wait(self, watch: Watch, heartbeat_s: float) -> None:
        """Until something may be due."""
        left_s = self._parts.auth.seconds_left(self._caller)
        due_s = [heartbeat_s - monotonic_s(), left_s]
        if self._progress.behind_since_s is not None:
            due_s.append(_LOOK_S)
        if self._farewell_s is not None:
            due_s.append(self._farewell_s - monotonic_s())
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, min(due_s))):
                await watch.wait()

    async def _snapshot(self, watch: Watch, *, is_complete: bool) -> tuple[list[bytes], bool]:
        """What the client must be sent to have the current session; and whether to try again later.

        `is_complete`: this view has waited for the client's last session, and has all that the log had since.
        """
        watch.is_stale = False
        for _ in range(_SNAPSHOT_TRIES):
            try:
                number = self._view.watches.settled_number()
                if number is not None:
                    row = self._view.current(self._policy_id)
                    current = None if row is None else EventId(row.id, row.version)
                    is_behind = not is_complete and self._is_behind(current)
                    if self._view.watches.settled_number() == number:
                        break
            except ViewNotReadyError:
                return [], True
            await asyncio.sleep(0.001)
        else:
            return [], True
        watch.drop_until(number)
        if is_behind:
            self._progress.behind_since_s = monotonic_s()
            return [], False
        if is_complete:
            self._progress.start_anew(current)
        if row is None or current is None or not self._may_see(row.user_id):
            return [], False
        event = self._progress.event_of_current(current, row.body)
        return ([] if event is None else [event]), False

    def _is_behind(self, current: EventId | None) -> bool:
        """Tell whether the client has seen a session that this view does not know yet, or not as far."""
        last = self._progress.last
        if last is None:
            return False
        if current is not None and current.session_id == last.session_id:
            return current.version < last.version
        head = self._view.head(last.session_id)
        # Of another policy or user it is as good as unknown: nothing tells whether it exists.
        if head is None or head.policy_id != self._policy_id or not self._may_see(head.user_id):
            return True
        return head.version < last.version

    def _is_caught_up(self) -> bool:
        """Where the client's last session was waited for: tell whether all that there was by then is read."""
        since_s = self._progress.behind_since_s
        return since_s is not None and self._view.complete_as_of_s >= since_s + _ENDS_AGE_S

    def _reason_to_end(self, watch: Watch) -> str | None:
        if self._is_gone:
            return "client"
        if watch.is_overrun:
            return "too-slow"
        if self._view.is_stopping:
            return "stopping"
        if self._parts.auth.seconds_left(self._caller) <= 0:
            return "token-expired" if self._parts.auth.has_keys() else "unavailable"
        since_s = self._progress.behind_since_s
        if not self._view.is_alive or (since_s is not None and monotonic_s() - since_s > _CATCH_UP_S):
            return "unavailable"
        return "policy-gone" if self._is_policy_gone() else None

    def _is_policy_gone(self) -> bool:
        try:
            policy = self._view.policy(self._policy_id)
            if policy is not None and policy.is_enabled and self._may_see(policy.user_id):
                self._farewell_s = None
                return False
            if self._view.current(self._policy_id) is None:
                return True
        except ViewNotReadyError:
            return False
        if self._farewell_s is None:
            self._farewell_s = monotonic_s() + _FAREWELL_S
        return monotonic_s() >= self._farewell_s

    def _may_see(self, user_id: str) -> bool:
        return self._caller.user_id is None or self._caller.user_id == user_id

    async def _write(self, send: Send, data: bytes) -> None:
        """Raises TimeoutError where the client takes nothing."""
        async with asyncio.timeout(STALL_S):
            await send({"type": "http.response.body", "body": data, "more_body": True})


def _start(headers: Mapping[str, str]) -> Message:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": 200, "headers": raw}
