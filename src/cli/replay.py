"""`flex-sessions replay`: captures in, records on the input topics, and an account of what was written."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ingest.records import InputRecord, Skipped
    from ingest.writer import InputWriter
    from models.zones import IanaZone

# As ingest.replay.FORMATS: written out so that --help needs no adapters; a test holds them together.
FORMATS = ("events-jsonl", "tesla-fleet-telemetry", "teslafi-csv")


def _zone(_context: click.Context, _option: click.Parameter, name: str) -> "IanaZone":
    from models.zones import UnknownZoneError, get_zone

    try:
        return get_zone(name)
    except UnknownZoneError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.option("--format", "format_name", type=click.Choice(FORMATS), required=True, help="What the files are.")
@click.option("--vehicle", help="Vehicle id.  [default: the VIN in the capture, or the file's name]")
@click.option("--user", default="capture-user", show_default=True, help="User id.")
@click.option("--location", help="Location id of every event.  [default: none]")
@click.option("--timezone", "zone", default="UTC", show_default=True, callback=_zone, help="Of stamps without a zone.")
@click.option(
    "--speed", type=click.FloatRange(min=0, min_open=True), help="Recorded seconds per second.  [default: no pauses]"
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def replay(
    *,
    format_name: str,
    vehicle: str | None,
    user: str,
    location: str | None,
    zone: "IanaZone",
    speed: float | None,
    files: tuple[Path, ...],
) -> None:
    """Read captures and write their plug, charge and policy records, in the order of their times.

    Recorded events (events-jsonl) are written in the order of their lines. Exits with 1 at the first line of them that
    cannot be read, without a broker, and when a record is not taken; what a capture's broken lines told is lost, and
    counted in the last line.
    """
    import os

    from ingest.errors import CaptureError, WriteError
    from ingest.records import Naming, Skipped
    from ingest.replay import Capture, read_capture
    from ingest.writer import InputWriter, Target
    from models.ids import LocationId, UserId, VehicleId
    from runtime.settings import load_settings

    settings = load_settings(os.environ)
    skipped = Skipped()
    try:
        naming = Naming(
            vehicle_id=None if vehicle is None else VehicleId(vehicle),
            user_id=UserId(user),
            location_id=None if location is None else LocationId(location),
        )
        records = read_capture(Capture(format=format_name, files=files, naming=naming, zone=zone), skipped)
        target = Target(bootstrap_servers=settings.kafka_bootstrap_servers, topic_prefix=settings.topic_prefix)
        with InputWriter(target) as writer:
            _write_all(records if speed is None else _paced(records, speed), writer)
    except (CaptureError, WriteError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(_summary(writer, skipped))


def _write_all(records: "Iterable[InputRecord]", writer: "InputWriter") -> None:
    import sys

    # No length: recorded events are streamed, so their number is known only at the end.
    with click.progressbar(
        records, length=None, label="replaying", file=sys.stderr, hidden=not sys.stderr.isatty(), show_pos=True
    ) as shown:
        for record in shown:
            writer.write(record)


def _paced(records: "Iterable[InputRecord]", speed: float) -> "Iterator[InputRecord]":
    """Hold every record back until its distance from the first, divided by `speed`, has passed."""
    import time

    from runtime.clock import monotonic_s

    first, started_s = None, monotonic_s()
    for record in records:
        if record.at is not None:
            first = record.at if first is None else first
            due_s = (record.at - first).total_seconds() / speed
            time.sleep(max(0.0, due_s - (monotonic_s() - started_s)))
        yield record


def _summary(writer: "InputWriter", skipped: "Skipped") -> str:
    per_topic = ", ".join(f"{topic} {count}" for topic, count in sorted(writer.delivered.items())) or "nothing"
    return f"wrote {writer.delivered.total()} records ({per_topic}); skipped lines: {skipped}"
