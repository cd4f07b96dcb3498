"""A session as a line of CSV."""

import csv
import io
import json
from pathlib import Path

import pytest

from api.csv_stream import COLUMNS, csv_head, csv_rows

GOLDEN = Path(__file__).parents[2] / "golden" / "v1"


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


def test_lines_end_as_the_rfc_says() -> None:
    """Every line, the head too, ends with CR LF."""
    assert csv_head() == (",".join(COLUMNS) + "\r\n").encode()
