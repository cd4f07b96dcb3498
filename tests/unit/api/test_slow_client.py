"""A client of events that takes them too slowly, over HTTP: it hears why its stream ended."""

import itertools
import socket

from models.session import SessionState
from tests.support.api_tokens import bearer
from tests.support.memory_log import MemoryLog, served
from tests.support.updates import Update, session_id
from tests.support.waiting import wait_until

SOON_S = 10
PATH = "/flex/vehicle-policies/p1/session/events"
# Updates per write; their session is some 500 bytes.
BATCH_UPDATES = 400


def test_a_client_that_falls_behind_hears_why() -> None:
    """A client that stops reading until too many updates wait for it, and then reads on, gets those that were under
    way, in order, and then `end` with `too-slow`.
    """
    log = MemoryLog()
    versions = itertools.count(1)

    def write() -> bool:
        log.write(
            *(
                Update(id=session_id(1), version=next(versions), state=SessionState.ACTIVE_REGULAR)
                for _ in range(BATCH_UPDATES)
            )
        )
        return log.is_overrun()

    with served(log) as port, socket.socket() as client:
        # Before it connects: it is the window that the client offers.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.settimeout(SOON_S)
        client.connect(("127.0.0.1", port))
        client.sendall(f"GET {PATH} HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {bearer()}\r\n\r\n".encode())
        wait_until(log.is_watched, SOON_S, "the stream")
        wait_until(write, SOON_S, "too many updates wait")
        taken = b""
        while b"event: end" not in taken or not taken.endswith(b"0\r\n\r\n"):
            piece = client.recv(65_536)
            assert piece
            taken += piece
    ids = [int(line.rpartition(b":")[2]) for line in taken.splitlines() if line.startswith(b"id: ")]
    assert ids == sorted(set(ids))
    assert len(ids) < next(versions) - 1
    assert b'event: end\ndata: {"reason":"too-slow"}\n\n' in taken
