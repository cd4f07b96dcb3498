"""What the headers of a request say to what stands around it, read once: who asks, under which name, how much.

Knows nothing of tokens or routes.
"""

import itertools
import re
import secrets
from typing import Final

from msgspec import Struct
from starlette.types import Scope

# Where an ASGI scope says that GET stands for HEAD: what is answered is told and not sent.
OF_HEAD: Final = "flex.head"
_REQUEST_ID: Final = re.compile(rb"\A[A-Za-z0-9._-]{1,64}\Z")
# Ids of our own: eight random bytes of this process, and a number.
_PROCESS: Final = secrets.token_hex(8).encode()
_NUMBERS: Final = itertools.count(1)
# W3C Trace Context, version 00 and what later versions must begin with.
_TRACEPARENT: Final = re.compile(
    r"\A(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?\Z"
)
_OF_BODIES: Final = frozenset({b"content-length", b"transfer-encoding"})


class Head(Struct, frozen=True, gc=False):
    """`request_id`: the client's own where it is a harmless one, else a new one. `trace`: what a well-formed
    traceparent says. `authorization`: empty unless there is exactly one. `size_bytes`: names and values of all headers.
    `has_body`: one is announced, however long.
    """

    request_id: bytes
    trace: dict[str, str]
    authorization: bytes
    size_bytes: int
    has_body: bool


def read_head(scope: Scope) -> Head:
    """Read all headers of a request."""
    request_id = authorization = b""
    trace: dict[str, str] = {}
    size_bytes = authorizations = 0
    has_body = False
    for name, value in scope["headers"]:
        size_bytes += len(name) + len(value)
        if name == b"authorization":
            authorization = value
            authorizations += 1
        elif name in _OF_BODIES:
            has_body = True
        elif name == b"x-request-id":
            request_id = value
        elif name == b"traceparent":
            found = _TRACEPARENT.match(value.decode("latin-1"))
            trace = {} if found is None else {"trace_id": found[1], "parent_span_id": found[2]}
    if not request_id or _REQUEST_ID.match(request_id) is None:
        request_id = b"%b%08x" % (_PROCESS, next(_NUMBERS))
    return Head(request_id, trace, authorization if authorizations == 1 else b"", size_bytes, has_body)
