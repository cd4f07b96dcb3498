"""A session as a line of CSV."""

import asyncio
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from api import csv_stream
from api.auth import Authenticator, Principal, Signature
from api.auth_keys import Key
from api.csv_stream import COLUMNS, CsvParts, SessionsCsv, csv_head, csv_rows
from api.event_stream import Slots
from api.metrics import Metrics
from api.view.paging import Selection
from api.view.view import View
from runtime.settings import load_settings
from tests.support.memory_store import MemoryStore
from tests.support.system import SECRET

GOLDEN = Path(__file__).parents[2] / "golden" / "v1"
ABSENT = object()


def row_of(name: str) -> dict[str, str]:
    """The line of a golden session, read by a reader that is not ours."""
    body = GOLDEN.joinpath(name).read_bytes()
    text = (csv_head() + csv_rows([json.dumps(json.loads(body)["session"]).encode()])).decode()
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    return row


def expected(name: str) -> dict[str, str]:
    """The same, worked out from the JSON."""
    session = json.loads(GOLDEN.joinpath(name).read_bytes())["session"]
    sums = session["statistics"]["aggregated"] or {}
    target = session["target"]["latest"] or {}
    valuation = session["valuation"] or {"tariffCost": {}}
    said = {name: session.get(name) for name in COLUMNS[:8]} | {
        "kwhSum": sums.get("kwhSum"),
        "batteryFrom": sums.get("batteryFrom"),
        "batteryTo": sums.get("batteryTo"),
        "targetType": target.get("type"),
        "minimumChargeTarget": target.get("minimumChargeTarget"),
        "readyBy": target.get("readyBy"),
        "outcomeState": (session["outcome"]["latest"] or {}).get("state"),
        "errorCode": (session["error"]["latest"] or {}).get("code"),
        "currency": valuation.get("currency"),
        "costActual": valuation["tariffCost"].get("actual"),
        "costBaseline": valuation["tariffCost"].get("baseline"),
        "costSavings": valuation["tariffCost"].get("savings"),
    }
    return {name: "" if value is None else str(value) for name, value in said.items()}


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.glob("*.json")))
def test_every_column(name: str) -> None:
    """Each column holds what the session says in its place, and is empty where that is null or of a null whole."""
    assert row_of(name) == expected(name)


@pytest.mark.parametrize("name", ["settled-managed.json", "settled-unmanaged.json"])
def test_whatever_the_view_took_is_a_line(name: str) -> None:
    """A body that lacks any one field, or has something else in its place, is a line still, with the fields that every
    session in the view has; and the line beside it is whole.
    """
    text = GOLDEN.joinpath(name).read_bytes()
    whole = json.loads(text)["session"]
    checked = ["id", "policyId", "vehicleId", "userId", "locationId", "state", "pluggedInAt", "pluggedOutAt"]
    for path in paths(whole):
        if path[-1] in checked:
            continue
        for odd in (None, "odd", 1, [], {}, ABSENT):
            body = json.loads(json.dumps(whole))
            place = body
            for step in path[:-1]:
                place = place[step]
            if odd is ABSENT:
                del place[path[-1]]
            else:
                place[path[-1]] = odd
            bodies = [json.dumps(each).encode() for each in (body, whole)]
            lines = list(csv.DictReader(io.StringIO((csv_head() + csv_rows(bodies)).decode(), newline="")))
            assert [lines[0][column] for column in checked] == [whole[column] or "" for column in checked]
            assert lines[1] == expected(name)


def paths(found: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The way to every field of an object of objects."""
    if isinstance(found, dict):
        for name, value in found.items():
            yield (*above, name)
            yield from paths(value, (*above, name))


def test_a_missing_field_is_empty_and_the_others_are_not() -> None:
    """A field that is absent is as one that is null: the columns beside it keep their values."""
    session = json.loads(GOLDEN.joinpath("settled-managed.json").read_bytes())["session"]
    del session["error"], session["statistics"]["aggregated"]["batteryFrom"]
    text = csv_head() + csv_rows([json.dumps(session).encode()])
    (line,) = csv.DictReader(io.StringIO(text.decode(), newline=""))
    assert (line["errorCode"], line["batteryFrom"]) == ("", "")
    assert line["kwhSum"] == str(session["statistics"]["aggregated"]["kwhSum"])


SIGNATURE = Signature({"alg": "HS256"}, Key("HS256", SECRET.encode()))


@pytest.mark.parametrize(("ending", "reason"), [("defect", "defect"), ("stop", "stopping"), ("leave", "client")])
def test_why_a_stream_ended_is_told(monkeypatch: pytest.MonkeyPatch, ending: str, reason: str) -> None:
    """A defect of ours, and a stop that could not wait, are not counted as clients that left."""
    metrics, view = Metrics(), View()
    view.publish(MemoryStore())
    auth = Authenticator(load_settings({"FLEX_AUTH_HS256_SECRET": SECRET}), metrics)
    stream = SessionsCsv(
        CsvParts(view, auth, metrics, Slots(1)),
        Principal(scopes=frozenset(), user_id=None, expires_at_s=9e9, token_digest=b"", signature=SIGNATURE),
        Selection(),
    )

    def broken() -> bytes:
        raise ZeroDivisionError

    async def run() -> None:
        sending = asyncio.Event()

        async def send(_message: Message) -> None:
            sending.set()
            await asyncio.sleep(60)

        async def receive() -> Message:
            await sending.wait()
            return {"type": "http.disconnect"} if ending == "leave" else await asyncio.Future()

        async def quick(_message: Message) -> None:
            return None

        if ending == "defect":
            monkeypatch.setattr(csv_stream, "csv_head", broken)
            with pytest.raises(ZeroDivisionError):
                await stream({"type": "http"}, receive, quick)
            return
        task = asyncio.create_task(stream({"type": "http"}, receive, send))
        await sending.wait()
        if ending == "stop":
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            await task

    asyncio.run(run())
    counted = metrics.registry.get_sample_value
    assert counted("flex_api_streams_ended_total", {"kind": "csv", "reason": reason}) == 1


def test_lines_end_as_the_rfc_says() -> None:
    """Every line, the head too, ends with CR LF."""
    assert csv_head() == (",".join(COLUMNS) + "\r\n").encode()
