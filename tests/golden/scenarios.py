"""The histories behind the golden files: one for each shape that a client meets.

`python -m tests.golden.scenarios` writes the files of the current version anew. Files of older versions are never
touched: whatever was published once must stay readable.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from models.codec import encode
from models.webhook import SessionUpdated
from sessions.events import Event, SessionChanged
from sessions.prices import PriceBook
from tests.builders import HOME, ZONE, Story, at_once, plug, policy, priced, ready, run, sample, target, timer, unplug

FOLDER: Final = Path(__file__).parent
CURRENT: Final = FOLDER / "v1"

# 08:00 to 08:00: dear while people are up, cheap from midnight to four.
_DAY: Final = [0.31, 0.29, 0.25, 0.22, 0.2, 0.2, 0.22, 0.25, 0.29, 0.34, 0.36, 0.33,
               0.29, 0.26, 0.22, 0.18, 0.12, 0.11, 0.1, 0.12, 0.19, 0.26, 0.3, 0.32]  # fmt: skip
_CAPACITY_KWH: Final = 60.0
_RATE_KW: Final = 7.2
_STEP_MIN: Final = 15


def _prices() -> PriceBook:
    return priced(*_DAY, *_DAY)


def _charged(start_min: float, end_min: float, percent: float, kwh: float = 0.0) -> list[Event]:
    """Samples of a charge at the full rate, from `percent` and a counter of `kwh` on; the last says that it is over."""
    events: list[Event] = []
    for step in range(int((end_min - start_min) / _STEP_MIN) + 1):
        passed_h = step * _STEP_MIN / 60
        told = sample(
            start_min + step * _STEP_MIN,
            round(kwh + _RATE_KW * passed_h, 3),
            level=round(percent + _RATE_KW * passed_h * 0.9 / _CAPACITY_KWH * 100, 1),
            charging=start_min + step * _STEP_MIN < end_min,
            rate=_RATE_KW if start_min + step * _STEP_MIN < end_min else 0.0,
            capacity=_CAPACITY_KWH,
        )
        events.append(told)
    return events


def _home(percent: float, reserve: float = 20.0) -> list[Event]:
    """A policy with a deadline at seven, and a plug-in at six in the evening."""
    return [
        policy(0, by="07:00", percent=80.0, reserve=reserve, zone=ZONE, rate=_RATE_KW, capacity=_CAPACITY_KWH),
        plug(600, where=HOME, level=percent, capacity=_CAPACITY_KWH),
    ]


def upcoming() -> Story:
    return run(_home(40.0)[0], prices=_prices())


def active_battery_reserve() -> Story:
    return run(*_home(12.0), *_charged(601, 616, 12.0), prices=_prices())


def active_regular() -> Story:
    return run(*_home(40.0), sample(601, 0.0, level=40.0, charging=False), prices=_prices())


def active_immediate_start() -> Story:
    plugged = run(*_home(40.0), prices=_prices())
    wish = target(602, plugged.latest.id, at_once(90.0))
    return run(*_home(40.0), wish, *_charged(603, 633, 40.0), prices=_prices())


def override() -> Story:
    plugged = run(*_home(40.0), prices=_prices())
    return run(*_home(40.0), target(602, plugged.latest.id, ready(1_200, 95.0, 30.0)), prices=_prices())


def settled_managed() -> Story:
    """A night by the plan: it charges from midnight on, and is done before four."""
    night = [sample(601, 0.0, level=40.0, charging=False), *_charged(960, 1_185, 40.0), sample(1_210, level=80.5)]
    return run(*_home(40.0), *night, unplug(1_390, level=80.5), timer(1_395), prices=_prices())


def settled_unmanaged() -> Story:
    return run(
        plug(0, level=30, capacity=_CAPACITY_KWH), *_charged(1, 46, 30.0), unplug(50), timer(52), prices=_prices()
    )


def deadline_missed() -> Story:
    """It comes home at six in the morning: there is no time to reach 80 % by seven."""
    late = [
        policy(0, by="07:00", percent=80.0, zone=ZONE, rate=_RATE_KW, capacity=_CAPACITY_KWH),
        plug(1_320, where=HOME, level=40.0, capacity=_CAPACITY_KWH),
        *_charged(1_320, 1_410, 40.0),
    ]
    return run(*late, unplug(1_412), timer(1_420), prices=_prices())


def error() -> Story:
    """It is told to charge and says that there is no power."""
    broken = [sample(minute, level=12.0, charging=False, state="PLUGGED_IN:NO_POWER") for minute in (601, 606, 611)]
    return run(*_home(12.0), *broken, prices=_prices())


SCENARIOS: Final[dict[str, Callable[[], Story]]] = {
    story.__name__.replace("_", "-"): story
    for story in (
        upcoming,
        active_battery_reserve,
        active_regular,
        active_immediate_start,
        settled_managed,
        settled_unmanaged,
        deadline_missed,
        override,
        error,
    )
}


def value(name: str) -> bytes:
    """The update that a scenario ends with; of a settled session, that one and not the UPCOMING after it."""
    changes = SCENARIOS[name]().changes
    found: SessionChanged = next(
        (one for one in reversed(changes) if one.session.plugged_out_at is not None), changes[-1]
    )
    update = SessionUpdated(user_id=found.session.user_id, created_at=found.created_at, session=found.session)
    return encode(update)


if __name__ == "__main__":
    for each in SCENARIOS:
        text = json.dumps(json.loads(value(each)), indent=1, ensure_ascii=False)
        (CURRENT / f"{each}.json").write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote {len(SCENARIOS)} files\n")
