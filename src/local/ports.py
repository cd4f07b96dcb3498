"""Ports of this machine: is one free, and if not, a line that names it; or any free one."""

import errno
import os
import random
import socket
import time
from collections import deque
from typing import Final

from local.errors import LocalError
from runtime.clock import monotonic_s

LOOPBACK: Final = "127.0.0.1"
# Below the range from which Linux takes the ports of outgoing connections: a port found free stays so.
_CHOICE: Final = range(20_000, 32_000)
_TRIES: Final = 100
# A port is found free some seconds before somebody listens on it. Processes that look for one at the same time choose
# from different ones, and a process never gets one of its last ones again.
_SHARES: Final = 64
_given: deque[int] = deque(maxlen=64)
# A process that was killed a moment ago may still hold its port.
_PATIENCE_S: Final = 2.0


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there. Raises LocalError where the host is none of this machine's."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise LocalError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
        return True


def require_free(port: int, what: str, option: str, host: str = LOOPBACK) -> None:
    """Raise a line that names the port and the option that chooses another."""
    until_s = monotonic_s() + _PATIENCE_S
    while not is_free(port, host):
        if monotonic_s() >= until_s:
            raise LocalError(f"port {port} ({what}) is taken on {host}: free it, or choose another with {option}")
        time.sleep(0.1)


def free_port() -> int:
    """A port that nobody listens on."""
    own = _CHOICE[os.getpid() % _SHARES :: _SHARES]
    for _ in range(_TRIES):
        port = random.choice(own)  # noqa: S311 - not a secret
        if port not in _given and is_free(port):
            _given.append(port)
            return port
    raise LocalError(f"no free port between {_CHOICE.start} and {_CHOICE.stop} on {LOOPBACK}")
