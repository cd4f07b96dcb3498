"""What is read of a request's headers, once."""

import re

import pytest

from api.heads import read_head

OWN = re.compile(rb"[0-9a-f]{24}")


@pytest.mark.parametrize(
    ("given", "authorization"),
    [
        ([], b""),
        ([(b"authorization", b"Bearer a")], b"Bearer a"),
        ([(b"authorization", b"Bearer a"), (b"authorization", b"Bearer a")], b""),
        ([(b"x-authorization", b"Bearer a")], b""),
    ],
)
def test_authorization(given: list[tuple[bytes, bytes]], authorization: bytes) -> None:
    """Only a request with exactly one Authorization header may be known again by it."""
    assert read_head({"type": "http", "headers": given}).authorization == authorization


@pytest.mark.parametrize("harmful", [b"", b"a b", b"a\nb", b'a"b', b"\xff", b"a" * 65, b"a\n"])
def test_request_ids(harmful: bytes) -> None:
    """An id that would need escapes in a log, or is too long, is replaced by one of our own, each another one."""
    made = {read_head({"type": "http", "headers": [(b"x-request-id", harmful)]}).request_id for _ in range(3)}
    assert len(made) == 3
    assert all(OWN.fullmatch(one) for one in made)


def test_size() -> None:
    """The size is that of all names and values."""
    assert read_head({"type": "http", "headers": [(b"a", b"12"), (b"bc", b"")]}).size_bytes == 5
