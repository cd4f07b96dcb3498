"""Files to lines."""

import gzip
from pathlib import Path

import pytest

from ingest import files
from ingest.errors import CaptureError
from ingest.files import read_lines


def test_plain_and_gzip_files_read_alike(tmp_path: Path) -> None:
    """Lines come without their ends and with their place, whatever the file is packed in."""
    content = b"one\r\ntwo\n\nlast"
    (tmp_path / "a.txt").write_bytes(content)
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(content))
    for name in ("a.txt", "a.txt.gz"):
        found = list(read_lines(tmp_path / name))
        assert [line.text for line in found] == [b"one", b"two", b"", b"last"]
        assert found[3].where == f"{name}:4"


@pytest.mark.parametrize(
    "content",
    [b"not gzip", gzip.compress(b"x" * 9_999, mtime=0)[:-12], b"\x1f\x8b\x08\x00" + b"\xff" * 50],
    ids=["no gzip", "cut short", "wrong within"],
)
def test_a_damaged_file_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    """A damaged file is an error that names it."""
    path = tmp_path / "a.csv.gz"
    path.write_bytes(content)
    with pytest.raises(CaptureError) as error:
        list(read_lines(path))
    assert str(path) in str(error.value)


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    """A file that is not there is an error that names it."""
    with pytest.raises(CaptureError) as error:
        list(read_lines(tmp_path / "none.txt"))
    assert "none.txt: No such file or directory" in str(error.value)


def test_an_endless_line_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line beyond the limit is an error, not memory."""
    monkeypatch.setattr(files, "LINE_LIMIT_BYTES", 100)
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 100 + b"\n")
    with pytest.raises(CaptureError) as error:
        list(read_lines(path))
    assert "a.txt:1" in str(error.value)
