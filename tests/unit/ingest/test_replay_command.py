"""The replay command without a broker: what it refuses, and how it says so."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import replay as command
from ingest import writer
from ingest.replay import FORMATS

NOWHERE = {"FLEX_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
GOOD = '{"topic":"vehicle.plug","key":"v","value":{}}\n'


def _replay(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(command.replay, arguments, env=NOWHERE)
    return result.exit_code, result.output


def test_the_formats_offered_are_those_that_are_read() -> None:
    """--format offers exactly the adapters."""
    assert command.FORMATS == FORMATS


def test_without_a_broker_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that does not answer ends the replay within the limit, with one line."""
    monkeypatch.setattr(writer, "CONNECT_LIMIT_S", 0.1)
    (tmp_path / "events.jsonl").write_text(GOOD)
    assert _replay("--format", "events-jsonl", str(tmp_path / "events.jsonl")) == (
        1,
        "Error: no Kafka broker answers at 127.0.0.1:1 within 0.1 s\n",
    )


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_missing_file_is_one_line(tmp_path: Path, format_name: str) -> None:
    """A file that is not there is named before any broker is asked."""
    path = tmp_path / "none"
    assert _replay("--format", format_name, str(path)) == (1, f"Error: {path}: No such file or directory\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--format", "nonsense"), "'nonsense' is not one of"),
        (("--format", "teslafi-csv", "--timezone", "Mars/Base"), "no IANA time zone"),
        (("--format", "teslafi-csv", "--timezone", "../x"), "no IANA time zone"),
        (("--format", "teslafi-csv", "--speed", "0"), "--speed"),
        (("--format", "teslafi-csv", "--vehicle", "a b"), "--vehicle 'a b'"),
        (("--format", "teslafi-csv", "--location", ""), "--location"),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, arguments: tuple[str, ...], text: str) -> None:
    """An option that cannot be is refused by its name."""
    code, output = _replay(*arguments, str(tmp_path))
    assert code != 0
    assert text in output
