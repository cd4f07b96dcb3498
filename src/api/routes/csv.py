"""The filtered list as a CSV stream. Filters as those of the list; there are no pages, so no cursors and no size."""

from typing import Final

from fastapi import APIRouter, Request, Response

from api.auth import READ_SESSIONS, Authenticator
from api.csv_stream import CsvParts, SessionsCsv
from api.event_stream import Slots
from api.metrics import Metrics
from api.openapi import SESSIONS_CSV
from api.requests import parse_list
from api.view.view import View
from runtime.settings import Settings

_FILTERS: Final = ("from", "to", "policyId", "locationId", "vehicleId")


def csv_routes(view: View, auth: Authenticator, metrics: Metrics, settings: Settings) -> APIRouter:
    router = APIRouter(prefix="/flex/vehicle-policies", default_response_class=Response)
    parts = CsvParts(view, auth, metrics, Slots(settings.csv_clients))

    @router.get("/sessions.csv", **SESSIONS_CSV)
    async def sessions_csv(request: Request) -> Response:
        caller = auth.require(request, READ_SESSIONS)
        asked = parse_list(request.scope["query_string"], caller.user_id, _FILTERS)
        view.ready()
        return SessionsCsv(parts, caller, asked.selection)

    return router
