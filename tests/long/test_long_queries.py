"""Ten thousand query strings and cursors that no client of ours would send: each is a page or a named fault; half a
minute.
"""

import asyncio
import base64
import json
import math
import random
import string
from collections import Counter
from collections.abc import Callable, Iterator
from urllib.parse import quote

import httpx
import msgspec
import pytest

from api.app import create_app
from api.cursors import write_cursor
from api.metrics import Metrics
from api.policy_cursors import write_policy_cursor
from api.problems import Problem
from api.view.keys import Position
from api.view.paging import Direction, Selection
from api.view.policies import PolicySelection
from api.view.projector import apply_update
from api.view.store import Draft
from api.view.view import View
from api.writer import OutgoingRecord
from runtime.settings import load_settings
from tests.support.api_tokens import bearer
from tests.support.memory_store import MemoryStore
from tests.support.policy_client import EVERYTHING
from tests.support.system import SECRET
from tests.support.updates import Update, session_id

ROOT = "/flex/vehicle-policies"
PATHS = [f"{ROOT}/sessions", f"{ROOT}/sessions.csv", ROOT]
# Of all paths together.
COUNT = 10_000
NAMES = ["from", "to", "policyId", "locationId", "vehicleId", "userId", "after", "before", "pageSize", "x", "", "FROM"]
VALUES = ["", "v1", "p1", "home", "0", "1", "100", "101", "-1", "1e2", "٣", "2025-01-01T00:00:00Z", "2025-01-01"]
TIMES = ["2025-01-01T00:00:00+01:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "2025-13-01T00:00:00Z"]


class NoWriter:
    """Nothing is written here."""

    async def partitions(self, topic: str) -> int:
        raise AssertionError(topic)

    async def write(self, record: OutgoingRecord) -> None:
        raise AssertionError(record)


def right_cursors() -> Iterator[str]:
    position = Position(1, session_id(1))
    for direction in Direction:
        yield write_cursor(direction, position, Selection())
        yield write_cursor(direction, position, Selection(vehicle_id="v1"))
        yield write_policy_cursor(direction, "p1", PolicySelection())


CURSORS = list(right_cursors())


def damaged(dice: random.Random) -> str:
    """A cursor that was cut, stretched, altered in its text or in what it says."""
    text = dice.choice(CURSORS)
    match dice.randrange(5):
        case 0:
            return text[: dice.randrange(len(text))]
        case 1:
            place = dice.randrange(len(text))
            return text[:place] + dice.choice(string.printable) + text[place + 1 :]
        case 2:
            wire = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            wire[dice.choice([*wire, "z"])] = dice.choice([None, -1, 2**63, 2**63 - 1, -(2**63), "", "after", [], 1.5])
            return base64.urlsafe_b64encode(json.dumps(wire).encode()).decode().rstrip("=")
        case 3:
            return base64.urlsafe_b64encode(dice.randbytes(dice.randrange(40))).decode()
        case _:
            return text * dice.randrange(4)


def noise(dice: random.Random) -> str:
    return "".join(chr(dice.choice([dice.randrange(128), dice.randrange(0x3000)])) for _ in range(dice.randrange(12)))


def query(dice: random.Random) -> str:
    """Some parameters, some of them right."""
    makers: list[Callable[[random.Random], str]] = [
        lambda dice: dice.choice(VALUES),
        lambda dice: dice.choice(TIMES),
        lambda dice: dice.choice(CURSORS),
        damaged,
        noise,
    ]
    parts = []
    for _ in range(dice.randrange(5)):
        value = dice.choice(makers)(dice)
        written = quote(value) if dice.randrange(5) else dice.choice(["%", "%ff", "%zz", "a=b", "+", "%00", ";"])
        parts.append(f"{dice.choice(NAMES)}{dice.choice(['=', '=', '=', '', '=='])}{written}")
    return dice.choice(["&", "&", "&", ";", "&&"]).join(parts)


@pytest.mark.parametrize("path", PATHS)
def test_fuzzed_queries(path: str) -> None:
    """Whatever stands in the query, the answer is a page or a 400 that names its faults, never a 500."""
    store, view = MemoryStore(), View()
    draft = Draft(store)
    for number in range(5):
        apply_update(draft, *Update(id=session_id(number), in_h=number, out_h=9).read())
    store.write(draft.changes)
    view.publish(store)
    settings = load_settings(
        {"FLEX_AUTH_HS256_SECRET": SECRET, "FLEX_RATE_LIMIT_PER_S": "1000000", "FLEX_RATE_LIMIT_BURST": "1000000"}
    )
    app = create_app(view, settings, Metrics(), writer=NoWriter())
    statuses = asyncio.run(_ask_all(httpx.ASGITransport(app=app, raise_app_exceptions=True), path))
    assert set(statuses) == {200, 400}
    assert min(statuses.values()) > COUNT // 300


async def _ask_all(transport: httpx.ASGITransport, path: str) -> Counter[int]:
    dice, statuses = random.Random(path), Counter[int]()
    headers = {"Authorization": f"Bearer {bearer(scope=EVERYTHING)}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
        for _ in range(math.ceil(COUNT / len(PATHS))):
            asked = query(dice)
            # As bytes, so that the client mends nothing.
            url = httpx.URL("http://api").copy_with(raw_path=f"{path}?{asked}".encode("ascii", "replace"))
            answer = await client.get(url)
            statuses[answer.status_code] += 1
            if answer.status_code == 400:
                problem = msgspec.json.decode(answer.content, type=Problem)
                assert problem.issues, asked
    return statuses
