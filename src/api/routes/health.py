"""Health, metrics and the contract: what operators and client developers read. No token needed, no ids in them."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from msgspec.json import encode
from prometheus_client import CONTENT_TYPE_LATEST

from api.docs_page import docs_page
from api.metrics import Metrics
from api.openapi import HEALTH, METRICS, READY
from api.problems import unavailable
from api.requests import refuse_query
from api.view.view import View

_RETRY_AFTER_S = 1
# The page brings its own style and runs no script; nothing may be fetched from anywhere.
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


def health_routes(view: View, metrics: Metrics, contract: Callable[[], dict[str, Any]]) -> APIRouter:
    router = APIRouter(default_response_class=Response)

    @router.get("/healthz", **HEALTH)
    async def healthz(request: Request) -> Response:
        refuse_query(request.scope["query_string"])
        if not view.is_alive:
            raise unavailable("The view no longer follows the topics.", _RETRY_AFTER_S)
        return Response(b'{"status":"alive"}', media_type="application/json")

    @router.get("/readyz", **READY)
    async def readyz(request: Request) -> Response:
        refuse_query(request.scope["query_string"])
        view.ready()
        return Response(b'{"status":"ready"}', media_type="application/json")

    @router.get("/metrics", **METRICS)
    async def scrape(request: Request) -> Response:
        refuse_query(request.scope["query_string"])
        return Response(metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    @router.get("/openapi.json", include_in_schema=False)
    async def openapi(request: Request) -> Response:
        refuse_query(request.scope["query_string"])
        return Response(encode(contract()), media_type="application/json")

    @router.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        refuse_query(request.scope["query_string"])
        return Response(
            docs_page(contract()), media_type="text/html", headers={"Content-Security-Policy": _PAGE_POLICY}
        )

    return router
