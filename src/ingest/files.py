"""Files to lines of bytes, plain or gzip. Decides only what is a line: bounded, numbered, never decoded here."""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from ingest.errors import CaptureError

# Above the largest message that the writer takes (1 MB) with its envelope; a longer line is not a recording of ours.
LINE_LIMIT_BYTES: Final = 4 * 1_024 * 1_024


class Line(NamedTuple):
    """One line without its end, and where it stands ("file:number")."""

    text: bytes
    where: str


def check_readable(path: Path) -> None:
    """Raise CaptureError now rather than after the first files have been written."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise CaptureError(f"{path}: {error.strerror}") from error


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a file, with constant memory. Raises CaptureError where it cannot be read."""
    number = 0
    try:
        with _opened(path) as file:
            while raw := file.readline(LINE_LIMIT_BYTES + 1):
                number += 1
                if len(raw) > LINE_LIMIT_BYTES:
                    raise CaptureError(f"{path}:{number}: a line of more than {LINE_LIMIT_BYTES} bytes")
                yield Line(raw.rstrip(b"\r\n"), f"{path.name}:{number}")
    except (OSError, EOFError, zlib.error) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise CaptureError(f"{path}: {reason}") from error


def _opened(path: Path) -> gzip.GzipFile | io.BufferedReader:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")
