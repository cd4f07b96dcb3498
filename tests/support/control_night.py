"""A night at home under a policy, as a story: its prices, its samples, and what is asked of how it ends.

08:00 is minute 0; plugged in at 10 with 50 % of 60 kWh, 80 % wanted by minute 600 at 6 kW without losses.
"""

from sessions.events import Event, PolicyWritten, Rules
from sessions.prices import PriceBook
from sessions.state import Control
from tests.builders import HOME, ZONE, Story, plug, policy, priced, run, sample
from tests.support.controls import minutes

LOSSLESS = Rules(efficiency=1.0)


def book() -> PriceBook:
    """Cheap from minute 240 to 480."""
    return priced(*[0.3] * 4, *[0.1] * 4, *[0.3] * 40)


def home(reserve: float = 0.0, percent: float = 80.0, rate: float = 6) -> PolicyWritten:
    """The policy, from minute 0 on."""
    return policy(0, by="18:00", percent=percent, zone=ZONE, rate=rate, capacity=60, reserve=reserve)


def night(
    *events: Event,
    level: float | None = 50.0,
    reserve: float = 0.0,
    percent: float = 80.0,
    prices: PriceBook | None = None,
    before: Story | None = None,
) -> Story:
    """The policy, the plug-in and what happens; or only that, `before` having happened."""
    known = book() if prices is None else prices
    if before is not None:
        return run(*events, before=before.vehicle, rules=LOSSLESS, prices=known)
    return run(home(reserve, percent), plug(10, where=HOME, level=level), *events, rules=LOSSLESS, prices=known)


def control_of(story: Story) -> Control:
    """How the open visit is controlled."""
    assert story.vehicle.visit is not None
    control = story.vehicle.visit.part.control
    assert control is not None
    return control


def on(at: float, kwh: float, level: float | None = None) -> Event:
    """A sample of a vehicle that charges."""
    return sample(at, kwh, level=level, charging=True)


def off(at: float, kwh: float | None = None, level: float | None = None, state: str | None = None) -> Event:
    """A sample of one that does not."""
    return sample(at, kwh, level=level, charging=False, state=state)


def charged(start: int, end: int, kwh: float = 0.0, every: int = 5, kw: float = 6.0) -> list[Event]:
    """Samples of a charge from a counter of so much on."""
    return [on(at, round(kwh + (at - start) * kw / 60, 3)) for at in range(start, end + 1, every)]


def errors(story: Story) -> list[str | None]:
    """The error of each update, as often as it changes."""
    found: list[str | None] = []
    for change in story.changes:
        error = change.session.error.latest
        code = None if error is None else f"{error.code} {minutes(error.occurred_at):g}"
        if not found or found[-1] != code:
            found.append(code)
    return found
