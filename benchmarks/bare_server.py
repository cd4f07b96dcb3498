"""A bare Starlette route that returns constant bytes, on the server that the API uses: what its read is measured by."""

import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def main() -> None:
    """`bare_server PORT FILE`: the bytes of the file at the path of the current session."""
    port, body = int(sys.argv[1]), Path(sys.argv[2]).read_bytes()

    async def constant(_request: Request) -> Response:
        return Response(body, media_type="application/json")

    app = Starlette(routes=[Route("/flex/vehicle-policies/{policyId}/session", constant)])
    uvicorn.run(app, host="127.0.0.1", port=port, http="h11", ws="none", log_config=None, access_log=False)


if __name__ == "__main__":
    main()
