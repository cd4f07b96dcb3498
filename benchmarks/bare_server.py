"""A bare Starlette route that returns constant bytes: what the API's read of the current session is measured by.

The server and the interpreter's settings are the API's own; what differs is the application alone.
"""

import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.run import listen, server_config, settle_process


def main() -> None:
    """`bare_server PORT FILE`: the bytes of the file at the path of the current session."""
    port, body = int(sys.argv[1]), Path(sys.argv[2]).read_bytes()

    async def constant(_request: Request) -> Response:
        return Response(body, media_type="application/json")

    app = Starlette(routes=[Route("/flex/vehicle-policies/{policyId}/session", constant)])
    settle_process()
    uvicorn.Server(server_config(app, drain_s=1)).run(sockets=[listen("127.0.0.1", port)])


if __name__ == "__main__":
    main()
