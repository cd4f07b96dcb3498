"""Targets that name their host too (RFC 9112, 3.2.2), over HTTP on a server as it is in production."""

import http.client
from collections.abc import Iterator

import pytest

from tests.support.api_tokens import authorization
from tests.support.memory_log import MemoryLog, served
from tests.support.updates import Update, session_id

ROOT = "/flex/vehicle-policies"


@pytest.fixture(scope="module")
def client() -> Iterator[http.client.HTTPConnection]:
    log = MemoryLog()
    log.write(Update(id=session_id(1)))
    with served(log) as port:
        made = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        yield made
        made.close()


def asked(client: http.client.HTTPConnection, method: str, target: str, token: bool = True) -> tuple[int, bytes]:
    client.request(method, target, headers=authorization() if token else {})
    answer = client.getresponse()
    return answer.status, answer.read()


@pytest.mark.parametrize("host", ["http://h", "https://h", "HTTP://h:80", "http://user@h", "http://[::1]:8080"])
@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/healthz", 200),
        ("HEAD", "/readyz", 200),
        ("GET", f"{ROOT}/p1/sessions/{session_id(1)}", 200),
        ("GET", f"{ROOT}/p%31/sessions/{session_id(1)}", 200),
        ("GET", f"{ROOT}/sessions?policyId=p1", 200),
        ("GET", f"{ROOT}/sessions?pageSize=0", 400),
        ("DELETE", f"{ROOT}/sessions", 405),
        ("GET", "//healthz", 404),
        ("GET", "/http://h/healthz", 404),
    ],
)
def test_the_host_makes_no_difference(
    client: http.client.HTTPConnection, host: str, method: str, target: str, status: int
) -> None:
    """A target with a host before it is answered as the same target without."""
    without, with_host = asked(client, method, target), asked(client, method, host + target)
    assert (without[0], with_host[0]) == (status, status)
    assert with_host[1] == without[1]


def test_the_gate_stands_before_it_too(client: http.client.HTTPConnection) -> None:
    """Whoever has no token does not get past the gate by naming a host."""
    assert asked(client, "GET", f"http://h{ROOT}/sessions", token=False)[0] == 401


@pytest.mark.parametrize("target", ["http://h", "http://h?x=1", "http://", "ftp://h/healthz", "h/healthz", "*"])
def test_what_names_no_path_of_ours(client: http.client.HTTPConnection, target: str) -> None:
    """A host alone, another scheme, or no form that a GET may have, is no path."""
    assert asked(client, "GET", target)[0] == 404
