"""Writes docs/reference/openapi.json and asyncapi.json: run it after a change of the API, a message or a topic."""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from api.app import create_app
from api.metrics import Metrics
from api.openapi import contract_of
from api.view.view import View
from api.writer import OutgoingRecord
from models.asyncapi import asyncapi_document
from runtime.settings import SECRET_MIN_BYTES, load_settings

_FOLDER: Final = Path(__file__).parent.parent / "docs" / "reference"
OPENAPI: Final = _FOLDER / "openapi.json"
ASYNCAPI: Final = _FOLDER / "asyncapi.json"


class _NoWriter:
    """A contract is written without writing any record."""

    async def partitions(self, topic: str) -> int:
        raise NotImplementedError(topic)

    async def write(self, record: OutgoingRecord) -> None:
        raise NotImplementedError(record.topic)


def openapi() -> dict[str, Any]:
    """What the app serves as /openapi.json."""
    settings = load_settings({"FLEX_AUTH_HS256_SECRET": "x" * SECRET_MIN_BYTES})
    return contract_of(create_app(View(), settings, Metrics(), writer=_NoWriter()))()


def pages() -> dict[Path, str]:
    """Each file as it should stand."""
    documents = {OPENAPI: openapi(), ASYNCAPI: asyncapi_document(version("flex-sessions"))}
    return {path: json.dumps(document, indent=1, ensure_ascii=False) + "\n" for path, document in documents.items()}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    sys.exit(0)
