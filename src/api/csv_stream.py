"""The filtered list as CSV (RFC 4180), streamed: one page of sessions in memory at a time, whatever the list's length.

A stream that cannot go to its end is cut without the last chunk of HTTP, so that no client takes a part for the whole.
"""

import asyncio
import csv
import io
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct, structs
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from api.auth import Authenticator, Principal
from api.event_stream import STALL_S, Slots
from api.heads import OF_HEAD
from api.metrics import Metrics
from api.problems import respond, unavailable
from api.view.paging import Cursor, Direction, Selection
from api.view.view import View, ViewNotReadyError
from runtime.logs import get_log

log: Final = get_log()

MEDIA_TYPE: Final = "text/csv; charset=utf-8; header=present"
# Sessions per piece: some 25 KB of text, and a few milliseconds in which no other request is answered.
_PIECE_ROWS: Final = 100
_RETRY_AFTER_S: Final = 10
COLUMNS: Final = (
    "id",
    "policyId",
    "vehicleId",
    "userId",
    "locationId",
    "state",
    "pluggedInAt",
    "pluggedOutAt",
    "kwhSum",
    "batteryFrom",
    "batteryTo",
    "targetType",
    "minimumChargeTarget",
    "readyBy",
    "outcomeState",
    "errorCode",
    "currency",
    "costActual",
    "costBaseline",
    "costSavings",
)


class _Camel(Struct, frozen=True, rename="camel", kw_only=True):
    """Only what the columns need is decoded; the text of times goes through as it stands. Absent is as good as null."""


class _Aggregated(_Camel, frozen=True):
    kwh_sum: float | None = None
    battery_from: int | None = None
    battery_to: int | None = None


class _Statistics(_Camel, frozen=True):
    aggregated: _Aggregated | None = None


class _Target(_Camel, frozen=True):
    type: str | None = None
    minimum_charge_target: float | None = None
    ready_by: str | None = None


class _LatestTarget(_Camel, frozen=True):
    latest: _Target | None = None


class _Outcome(_Camel, frozen=True):
    state: str | None = None


class _LatestOutcome(_Camel, frozen=True):
    latest: _Outcome | None = None


class _Error(_Camel, frozen=True):
    code: str | None = None


class _LatestError(_Camel, frozen=True):
    latest: _Error | None = None


class _Cost(_Camel, frozen=True):
    actual: float | None = None
    baseline: float | None = None
    savings: float | None = None


class _Valuation(_Camel, frozen=True):
    currency: str | None = None
    tariff_cost: _Cost | None = None


class _Checked(_Camel, frozen=True):
    """What every session in the view has: it is not taken without (api.view.records)."""

    id: str
    policy_id: str | None
    vehicle_id: str
    user_id: str
    location_id: str | None
    state: str
    plugged_in_at: str | None
    plugged_out_at: str | None


class _Session(_Checked, frozen=True):
    statistics: _Statistics | None = None
    target: _LatestTarget | None = None
    outcome: _LatestOutcome | None = None
    error: _LatestError | None = None
    valuation: _Valuation | None = None


_DECODER: Final = msgspec.json.Decoder(_Session)
_CHECKED: Final = msgspec.json.Decoder(_Checked)


def csv_head() -> bytes:
    """The line of column names."""
    return _text([COLUMNS])


def csv_rows(bodies: list[bytes]) -> bytes:
    """One line per session body, in the order of COLUMNS; null is an empty field.

    A body with something else where a column has its value is a line too, with what is sure: it must not cut the list.
    """
    sessions, faults = [], []
    for body in bodies:
        try:
            session = _DECODER.decode(body)
        except msgspec.DecodeError as error:
            faults.append(str(error))
            session = _Session(**structs.asdict(_CHECKED.decode(body)))
        sessions.append(session)
    if faults:
        log.warning("columns of sessions cannot be read and stay empty", sessions=len(faults), first=faults[0])
    return _text(map(_row, sessions))


def _text(rows: Iterable[tuple[object, ...]]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\r\n").writerows(rows)
    return buffer.getvalue().encode()


def _row(session: _Session) -> tuple[object, ...]:
    # What is null as a whole leaves its fields empty: csv writes None so.
    sums = None if session.statistics is None else session.statistics.aggregated
    target = None if session.target is None else session.target.latest
    outcome = None if session.outcome is None else session.outcome.latest
    error = None if session.error is None else session.error.latest
    cost = None if session.valuation is None else session.valuation.tariff_cost
    return (
        session.id,
        session.policy_id,
        session.vehicle_id,
        session.user_id,
        session.location_id,
        session.state,
        session.plugged_in_at,
        session.plugged_out_at,
        *((None, None, None) if sums is None else (sums.kwh_sum, sums.battery_from, sums.battery_to)),
        *((None, None, None) if target is None else (target.type, target.minimum_charge_target, target.ready_by)),
        None if outcome is None else outcome.state,
        None if error is None else error.code,
        None if session.valuation is None else session.valuation.currency,
        *((None, None, None) if cost is None else (cost.actual, cost.baseline, cost.savings)),
    )


class CsvParts(Struct, frozen=True):
    """What all CSV streams of an app share."""

    view: View
    auth: Authenticator
    metrics: Metrics
    slots: Slots


class SessionsCsv(Response):
    """The answer to one client."""

    media_type = MEDIA_TYPE

    def __init__(self, parts: CsvParts, caller: Principal, selection: Selection) -> None:
        super().__init__()
        self._parts = parts
        self._caller = caller
        self._selection = selection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        slots = self._parts.slots
        if slots.left <= 0:
            problem = unavailable("Too many CSV streams are open.", _RETRY_AFTER_S)
            await respond(problem.problem, problem.headers)(scope, receive, send)
            return
        if OF_HEAD in scope:
            # Without a length, as the stream itself, and without a stream.
            await send(_start())
            await send({"type": "http.response.body", "body": b""})
            return
        slots.left -= 1
        self._parts.metrics.streams.labels("csv").inc()
        # Where nothing else ends it, the server does: the time to drain is over.
        reason = "stopping"
        sending = asyncio.create_task(self._send_all(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            reason = "defect" if sending.done() else "client"
            if sending.done():
                reason = sending.result()
        finally:
            sending.cancel()
            leaving.cancel()
            slots.left += 1
            self._parts.metrics.streams.labels("csv").dec()
            self._parts.metrics.streams_ended.labels("csv", reason).inc()
        if reason not in {"complete", "client"}:
            log.warning("a CSV stream was cut", reason=reason)

    async def _send_all(self, send: Send) -> str:
        """Every page; returns why it ended: only `complete` ends the answer as HTTP wants it."""
        # The first page before anything is said: a view that is not ready still gets its status.
        page = self._parts.view.page(self._selection, None, _PIECE_ROWS)
        await send(_start())
        data = csv_head()
        try:
            while True:
                data += csv_rows(page.bodies)
                is_last = page.after is None
                if self._parts.auth.seconds_left(self._caller) <= 0:
                    return "token-expired"
                async with asyncio.timeout(STALL_S):
                    await send({"type": "http.response.body", "body": data, "more_body": not is_last})
                if page.after is None:
                    return "complete"
                await asyncio.sleep(0)  # others have their turn between two pieces
                page = self._parts.view.page(self._selection, Cursor(Direction.AFTER, page.after), _PIECE_ROWS)
                data = b""
        except TimeoutError:
            return "too-slow"
        except ViewNotReadyError:
            return "unavailable"


def _start() -> Message:
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-disposition", b'attachment; filename="sessions.csv"'),
    ]
    return {"type": "http.response.start", "status": 200, "headers": headers}


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
