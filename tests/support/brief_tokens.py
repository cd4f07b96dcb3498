"""Loaded by Schemathesis: a new token for every request that soon expires, and with it the stream that it opened."""

import time
from typing import Any

import schemathesis

from tests.support.api_tokens import authorization

# Seconds, whole ones as tokens have them: at least one of them is left when the request is made.
_LIFE_S = 2


@schemathesis.auth(refresh_interval=None)
class BriefTokens:
    def get(self, _case: Any, _context: Any) -> dict[str, str]:
        return authorization(exp=int(time.time()) + _LIFE_S)

    def set(self, case: Any, data: dict[str, str], _context: Any) -> None:
        case.headers = {**(case.headers or {}), **data}
