"""The calls of policies and target overrides as a client makes them, with a token that may do everything."""

import json
import uuid
from typing import Any

import httpx

from tests.support.api_process import ROOT, Api
from tests.support.api_tokens import authorization

EVERYTHING = "flex:sessions:read flex:sessions:write flex:policies:read flex:policies:write"
WEEK = {"monday": {"deadline": "07:00", "minimumChargeTarget": 80}}


def new_body(vehicle: str | None = None, **changes: Any) -> dict[str, Any]:
    """What a policy of user-1 at home is asked to be, for a vehicle of its own where none is named."""
    return {
        "userId": "user-1",
        "vehicleId": vehicle or f"car-{uuid.uuid4().hex[:12]}",
        "locationId": "home",
        "timezoneName": "Europe/Berlin",
        "zone": "DE-LU",
        "batteryReserve": 20,
        "schedule": WEEK,
    } | changes


class PolicyClient:
    """One client of one API process. `claims` are those of its token."""

    def __init__(self, api: Api, **claims: Any) -> None:
        self.api = api
        self._claims = {"scope": EVERYTHING, "sub": "client-1"} | claims

    def call(
        self, method: str, path: str, body: Any = ..., headers: dict[str, str] | None = None, **claims: Any
    ) -> httpx.Response:
        """Any call; a body of `...` is none."""
        all_headers = authorization(**(self._claims | claims)) | (headers or {})
        if body is ...:
            return self.api.client.request(method, path, headers=all_headers)
        all_headers["Content-Type"] = "application/json"
        return self.api.client.request(method, path, headers=all_headers, content=json.dumps(body))

    def post(self, body: Any, key: str | None = None, **claims: Any) -> httpx.Response:
        return self.call("POST", ROOT, body, {} if key is None else {"Idempotency-Key": key}, **claims)

    def made(self, vehicle: str | None = None, **changes: Any) -> httpx.Response:
        """The answer to a POST that must succeed."""
        answer = self.post(new_body(vehicle, **changes))
        assert answer.status_code == 201, answer.text
        return answer

    def patch(self, policy_id: str, body: Any, etag: str | None = "*", **claims: Any) -> httpx.Response:
        return self.call("PATCH", f"{ROOT}/{policy_id}", body, {} if etag is None else {"If-Match": etag}, **claims)

    def delete(self, policy_id: str, etag: str | None = "*", **claims: Any) -> httpx.Response:
        headers = {} if etag is None else {"If-Match": etag}
        return self.call("DELETE", f"{ROOT}/{policy_id}", headers=headers, **claims)

    def get(self, policy_id: str, headers: dict[str, str] | None = None, **claims: Any) -> httpx.Response:
        return self.call("GET", f"{ROOT}/{policy_id}", headers=headers, **claims)

    def listed(self, query: str = "", **claims: Any) -> list[str]:
        """The ids of a whole list of policies, page by page."""
        found: list[str] = []
        cursor = ""
        while True:
            answer = self.call("GET", f"{ROOT}?{query}{cursor}", **claims)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += [row["id"] for row in page["data"]]
            if page["pagination"]["after"] is None:
                return found
            cursor = f"&after={page['pagination']['after']}"
