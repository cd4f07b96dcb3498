"""The contracts that are checked in: what the app serves, what the topics are, and examples that are what they say."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from fastapi import Request

from api.conditions import has_it_already, required_match
from api.problems import Problem, ProblemError
from api.requests import check_session_id, parse_list
from api.routes.events import _last_event_id
from api.target_bodies import read_target
from models.codec import decode_charge, decode_plug, decode_policy, decode_prices, decode_target, encode
from models.command import ChargeCommand
from models.ids import ChargingEventId
from models.topics import TOPICS
from models.webhook import SessionUpdated, UpdateHeaders, encode_headers
from scripts.write_contracts import ASYNCAPI, OPENAPI, pages

OPENAPI_DOCUMENT: dict[str, Any] = json.loads(OPENAPI.read_text(encoding="utf-8"))
ASYNCAPI_DOCUMENT: dict[str, Any] = json.loads(ASYNCAPI.read_text(encoding="utf-8"))


def test_the_files_are_what_the_code_says() -> None:
    """docs/reference/openapi.json and asyncapi.json are what `scripts/write_contracts.py` writes: run it."""
    for path, text in pages().items():
        assert path.read_text(encoding="utf-8") == text, path.name


OPERATIONS: dict[str, dict[str, Any]] = {
    f"{method.upper()} {path}": operation
    for path, methods in OPENAPI_DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


@pytest.mark.parametrize(("name", "operation"), OPERATIONS.items(), ids=OPERATIONS)
def test_every_operation_has_examples_of_all_its_answers(name: str, operation: dict[str, Any]) -> None:
    """Each answer with a body shows one, and each parameter; each error is a problem document that says its own status;
    what any request may meet is named, and by a call that is guarded also what a missing token, a missing scope and
    too many calls come to.
    """
    assert operation["operationId"]
    assert operation["description"]
    if "/flex/" in name:
        assert operation["security"]
        assert {"401", "403", "429", "503"} <= operation["responses"].keys()
    assert {"400", "413", "414", "431", "500"} <= operation["responses"].keys()
    for status, answer in operation["responses"].items():
        for media_type, content in answer.get("content", {}).items():
            if media_type == "application/problem+json":
                for example in examples_of(content):
                    problem = msgspec.convert(example, Problem)
                    assert problem.status == int(status)
                    assert problem.type.startswith("urn:flex-sessions:problem:")
            else:
                assert content["example"], (status, media_type)
    assert all(parameter["example"] for parameter in operation.get("parameters", []))
    for content in operation.get("requestBody", {}).get("content", {}).values():
        assert content["examples"]


def examples_of(content: dict[str, Any]) -> list[Any]:
    """What is shown of an answer: one example, or one of each kind."""
    return [content["example"]] if "example" in content else [one["value"] for one in content["examples"].values()]


# A query parameter, a path parameter, a header and a field of a body, with how each may be spelt and how not.
SPELLINGS: list[tuple[str, list[str], list[str]]] = [
    (
        "sessionId",
        ["00000000-0000-5000-8000-00000000abcd"],
        ["00000000-0000-5000-8000-00000000ABCD", "0000000000005000800000000000abcd", "abcd"],
    ),
    (
        "Last-Event-ID",
        ["00000000-0000-5000-8000-00000000abcd:1"],
        ["00000000-0000-5000-8000-00000000ABCD:1", "-00000000000500080000000000000000abcd:1", "abcd:1"],
    ),
    (
        "from",
        ["2026-11-24T00:36:38Z", "2026-11-24t00:36:38.123456789z", "2026-11-24T00:36:38-05:30"],
        [
            "2026-11-24 00:36:38Z",
            "2026-11-24T00:36:38+0000",
            "2026-11-24T00:36:38+00",
            "2026-11-24T00:36:38.1234567890Z",
            "2026-11-24T00:36:38.Z",
            "2026-11-24T00:36:38,1Z",
            "2026-11-24T00:36Z",
            "20261124T003638Z",
            "2026-11-24T00:36:38",
        ],
    ),
    (
        "If-Match",
        ["*", '"x"', 'W/"x"', '"x","y"', '"x" , W/"y,z"', ', "x"', '"x",', '"x", ,\t,"y"', '""'],
        ["x", '"x" "y"', '*, "x"', '"x" y', "*,", ",", '"x"y'],
    ),
]


@pytest.mark.parametrize(
    ("name", "text", "is_right"),
    [(name, text, True) for name, right, _ in SPELLINGS for text in right]
    + [(name, text, False) for name, _, wrong in SPELLINGS for text in wrong],
)
def test_what_the_schema_takes_the_api_takes(name: str, text: str, *, is_right: bool) -> None:
    """The pattern of a parameter and the code that reads it take the same, a time in a body too."""
    schemas = [
        one["schema"]
        for operation in OPERATIONS.values()
        for one in operation.get("parameters", [])
        if one["name"] == name
    ]
    if name == "from":
        schemas.append(OPENAPI_DOCUMENT["components"]["schemas"]["RegularOverride"]["properties"]["readyBy"])
    assert schemas
    for schema in schemas:
        assert (re.search(schema["pattern"], text) is not None) == is_right
    for read in READ[name]:
        if is_right:
            read(text)
        else:
            with pytest.raises(ProblemError):
                read(text)


def asked_with(name: str, text: str) -> Request:
    return Request({"type": "http", "headers": [(name.lower().encode(), text.encode())]})


def target_by(text: str) -> object:
    given = {"type": "REGULAR", "batteryReserve": 0, "minimumChargeTarget": 1, "readyBy": text}
    return read_target(given, datetime(2026, 11, 24, tzinfo=UTC))


READ: dict[str, list[Callable[[str], object]]] = {
    "sessionId": [check_session_id],
    "Last-Event-ID": [lambda text: _last_event_id(asked_with("Last-Event-ID", text))],
    "from": [lambda text: parse_list(urlencode({"from": text}).encode(), None), target_by],
    "If-Match": [
        lambda text: required_match(asked_with("If-Match", text)),
        lambda text: has_it_already(asked_with("If-None-Match", text), "x"),
    ],
}


def test_every_code_of_an_issue_is_in_the_reference() -> None:
    """docs/reference/http.md names each code with which `issues` may say what is wrong with a value."""
    root = OPENAPI.parents[2]
    said = root.joinpath("docs/reference/http.md").read_text(encoding="utf-8").partition("Codes in `issues`")[2]
    codes = {
        code
        for path in (root / "src/api").rglob("*.py")
        for code in re.findall(r'"(bad-[a-z-]+)"', path.read_text(encoding="utf-8"))
    }
    assert len(codes) > 10
    assert [code for code in sorted(codes) if f"`{code}`" not in said] == []


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for inner in node.values():
            yield from references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from references(inner)


@pytest.mark.parametrize("document", [OPENAPI_DOCUMENT, ASYNCAPI_DOCUMENT], ids=["openapi", "asyncapi"])
def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """No $ref of a contract points at nothing."""
    found = set(references(document))
    assert found
    for reference in found:
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_every_topic_has_its_channel() -> None:
    """The AsyncAPI document has one channel per topic of the table, configured as the table says."""
    channels = ASYNCAPI_DOCUMENT["channels"]
    assert list(channels) == [spec.name for spec in TOPICS]
    for spec in TOPICS:
        bound = channels[spec.name]["bindings"]["kafka"]["topicConfiguration"]
        said = bound | channels[spec.name].get("x-topic-configuration", {})
        flat = {name: ",".join(value) if isinstance(value, list) else str(value) for name, value in said.items()}
        assert flat == dict(spec.config)


READERS: dict[str, Callable[[bytes], Any]] = {
    "plugEvent": decode_plug,
    "chargeSample": decode_charge,
    "policy": decode_policy,
    "prices": decode_prices,
    "sessionTarget": decode_target,
    "sessionUpdated": msgspec.json.Decoder(SessionUpdated).decode,
    "chargeCommand": msgspec.json.Decoder(ChargeCommand).decode,
}


@pytest.mark.parametrize("name", READERS)
def test_examples_of_messages_can_be_taken(name: str) -> None:
    """Each message's example is read by the decoder that reads the topic, and has no field that its schema lacks."""
    message = ASYNCAPI_DOCUMENT["components"]["messages"][name]
    schema = ASYNCAPI_DOCUMENT["components"]["schemas"][message["payload"]["$ref"].rpartition("/")[2]]
    for example in message["examples"]:
        READERS[name](json.dumps(example["payload"]).encode())
        assert example["payload"].keys() <= schema["properties"].keys()
        assert set(schema["required"]) <= example["payload"].keys()


def test_the_headers_of_an_update_are_the_ones_that_are_told() -> None:
    """The contract names exactly the headers that an update has."""
    update = msgspec.convert(
        ASYNCAPI_DOCUMENT["components"]["messages"]["sessionUpdated"]["examples"][0]["payload"], SessionUpdated
    )
    written = encode_headers(
        UpdateHeaders(
            session_id=update.session.id,
            version=1,
            created_at=update.created_at,
            charging_event_id=ChargingEventId("event-1"),
            represents_charging_event=True,
            vehicle_id=update.session.vehicle_id,
        )
    )
    told = ASYNCAPI_DOCUMENT["components"]["messages"]["sessionUpdated"]["headers"]
    assert [name for name, _ in written] == list(told["properties"]) == told["required"]
    assert encode(update)
