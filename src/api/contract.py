"""How the contract is written: parameters, answers and operations of OpenAPI 3.1, but no call of ours."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from api.problems import MEDIA_TYPE
from api.times import TIME_PATTERN
from api.view.records import UUID_FORM
from models.ids import ID_PATTERN


def anchored(pattern: str) -> str:
    """A pattern of Python for JSON Schema, whose ^ and $ stand for the ends of the text: it knows no lines."""
    return pattern.replace(r"\A", "^").replace(r"\Z", "$")


REF: Final = "#/components/schemas/{name}"
ID_SCHEMA: Final = {"type": "string", "pattern": anchored(ID_PATTERN)}
UUID_SCHEMA: Final = {"type": "string", "format": "uuid", "pattern": f"^{UUID_FORM}$"}
TIME_SCHEMA: Final = {"type": "string", "format": "date-time", "pattern": anchored(TIME_PATTERN)}
CURSOR_SCHEMA: Final = {"type": "string", "minLength": 1, "maxLength": 512}

# What every operation answers, by its id: FastAPI drops every null out of what it passes on, and nulls are part of our
# examples. Filled by `operation`.
ANSWERS: Final[dict[str, Mapping[int, Any]]] = {}
# What every operation takes as its body, for the same reason.
BODIES: Final[dict[str, Mapping[str, Any]]] = {}
# Every struct that an answer or a body refers to.
SCHEMAS: Final[set[type[Struct]]] = set()
# Those that clients write, by name: what has a default may be left out.
SAID_BY_CLIENTS: Final[set[str]] = set()


def parameter(name: str, where: str, schema: Mapping[str, Any], description: str, example: str | int) -> dict[str, Any]:
    """A parameter in the path, the query or a header."""
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "schema": dict(schema),
        "description": description,
        "example": example,
    }


def reference(schema: type[Struct]) -> dict[str, str]:
    """A reference to the schema of this struct, which the document then holds."""
    SCHEMAS.add(schema)
    return {"$ref": REF.format(name=schema.__name__)}


def json_body(kinds: Sequence[type[Struct]], examples: Mapping[str, object], *media_types: str) -> dict[str, Any]:
    """A request body that is one of these structs; null too, where an example is null."""
    options: list[dict[str, Any]] = [reference(kind) for kind in kinds]
    SAID_BY_CLIENTS.update(kind.__name__ for kind in kinds)
    if None in examples.values():
        options.append({"type": "null"})
    schema = options[0] if len(options) == 1 else {"oneOf": options}
    content = {"schema": schema, "examples": {name: {"value": value} for name, value in examples.items()}}
    return {"required": True, "content": dict.fromkeys(media_types or ("application/json",), content)}


def json_answer(schema: type[Struct], example: object, description: str) -> dict[str, Any]:
    """An answer that is one of our structs."""
    content = {"schema": reference(schema), "example": example}
    return {"description": description, "content": {"application/json": content}}


def problem(status: int, kind: str, title: str, description: str, issues: object = ()) -> dict[int, dict[str, Any]]:
    """An answer that is a problem document."""
    example = {
        "type": f"urn:flex-sessions:problem:{kind}",
        "title": title,
        "status": status,
        "detail": description,
        "issues": list(issues) if isinstance(issues, list) else [],
    }
    content = {"schema": {"$ref": REF.format(name="Problem")}, "example": example}
    return {status: {"description": description, "content": {MEDIA_TYPE: content}}}


def any_of(*problems: Mapping[int, Any]) -> dict[int, dict[str, Any]]:
    """An answer of one status that is one of several problems, each with its example."""
    [status] = {status for one in problems for status in one}
    contents = [one[status]["content"][MEDIA_TYPE] for one in problems]
    examples = {
        one["example"]["type"].rpartition(":")[2]: {"summary": one["example"]["detail"], "value": one["example"]}
        for one in contents
    }
    content = {"schema": contents[0]["schema"], "examples": examples}
    description = " Or: ".join(one[status]["description"] for one in problems)
    return {status: {"description": description, "content": {MEDIA_TYPE: content}}}


def operation(
    operation_id: str, summary: str, description: str, responses: Mapping[int, Any], **extra: Any
) -> dict[str, Any]:
    """Keywords for a route of FastAPI."""
    ANSWERS[operation_id] = dict(responses)
    if "requestBody" in extra:
        BODIES[operation_id] = extra["requestBody"]
    return {
        "operation_id": operation_id,
        "summary": summary,
        "description": description,
        "responses": dict(responses),
        "openapi_extra": extra,
    }
