"""The highest power of a part."""

import pytest

from sessions.events import TelemetryReceived
from tests.builders import sample
from tests.support.statistics import told


def _counter(*powers_kw: float, step: float = 5) -> list[TelemetryReceived]:
    """A reading every `step` minutes, after so much power each."""
    readings = [0.0]
    for power_kw in powers_kw:
        readings.append(readings[-1] + power_kw * step / 60)
    return [sample(10 + number * step, kwh) for number, kwh in enumerate(readings)]


def _rates(*rates_kw: float, step: float = 5) -> list[TelemetryReceived]:
    return [sample(10 + number * step, rate=rate_kw) for number, rate_kw in enumerate(rates_kw)]


PEAKS: dict[str, tuple[list[TelemetryReceived], int | None]] = {
    "steady": (_counter(6, 6), 6_000),
    "one mean alone proves nothing": (_counter(6), None),
    "the lower of two in a row": (_counter(6, 12, 9), 9_000),
    "the highest of all": (_counter(6, 6, 12, 12, 3, 3), 12_000),
    "one wrong reading": (_counter(6, 6, 240, 6, 6), 6_000),
    "too short": (_counter(6, 6, 6, 6, step=1), None),
    "over five minutes": (_counter(*[6] * 10, step=1), 6_000),
    "over longer": (_counter(6, 6, step=20), 6_000),
    "a counter of few digits": (_counter(0, 0, 12, 0, 0, 12, 0, 0, 12), 4_000),
    "an impossible step": (_counter(6, 6, 401, 9, 9), 9_000),
    "began anew": ([*_counter(6, 6), sample(25, 0.1), sample(30, 0.5), sample(35, 0.9)], 6_000),
    "nothing charged": (_counter(0, 0, 0), None),
    "nothing told": ([sample(10, level=50), sample(20, level=60)], None),
    "late readings tell no power": ([sample(10, 0.0), sample(40, 3.0), sample(15, 1.0), sample(20, 2.0)], None),
    "rates": (_rates(6, 6, 6), 6_000),
    "rates, the lower of two in a row": (_rates(6, 12, 9, 0), 9_000),
    "rates, one wrong": (_rates(6, 6, 300, 6, 6), 6_000),
    "rates, impossible": (_rates(6, 6, 401, 6, 6), 6_000),
    "rates of a minute": (_rates(*[6, 12, 6, 12, 6, 12, 6, 12, 6, 12, 6], step=1), 8_400),
    "rates held for 15 minutes": (_rates(6, 6, 6, step=30), 3_000),
    "rates that discharge": (_rates(-6, -6, -6), None),
    "rates while it does not charge": ([sample(10 + 5 * n, rate=6, charging=False) for n in range(4)], None),
    "counters are better": (
        [sample(10 + 5 * number, number * 0.5, rate=7) for number in range(4)],
        6_000,
    ),
    "rates serve until a counter tells": ([*_rates(7, 7, 7, 7), sample(40, 1.0), sample(45, 1.5)], 7_000),
    "a counter that stands tells nothing": ([*_rates(7, 7, 7, 7), *(sample(40 + n, 1.0) for n in range(9))], 7_000),
    "rates, but for when it stood": (
        [
            *(sample(5 * n, rate=0, charging=False) for n in range(3)),
            *(sample(15 + 5 * n, rate=6, charging=True) for n in range(3)),
        ],
        6_000,
    ),
    "a few seconds of charging": (
        [sample(0, 0.0, charging=False), sample(1, 0.0, charging=True), sample(1.5, 0.05, charging=False)]
        + [sample(5 + 5 * n, 0.05, charging=False) for n in range(9)],
        None,
    ),
    "a few minutes of charging": (
        [sample(0, 0.0, charging=True), sample(10, 1.8, charging=True), sample(20, 2.0, charging=False)],
        None,
    ),
    "from when it charges until it stops": (
        [
            sample(0, 0.0, charging=False),
            sample(30, 0.0, charging=True),
            sample(36, 1.1, charging=True),
            sample(42, 2.2, charging=False),
            sample(60, 2.2, charging=False),
        ],
        11_000,
    ),
    "two means of about the same, though it may have stood": (
        [sample(10, 0.0, charging=False), sample(40, 5.5, charging=True), sample(70, 11.0, charging=False)],
        11_000,
    ),
    "counters are better, once they tell": (
        [*_rates(7, 7, 7, 7), *(sample(40 + 5 * number, number * 0.5, rate=7) for number in range(4))],
        6_000,
    ),
}


@pytest.mark.parametrize(("events", "peak_w"), PEAKS.values(), ids=PEAKS)
def test_peak(events: list[TelemetryReceived], peak_w: int | None) -> None:
    """The highest mean over at least five minutes that the next one bears out, by the counter if there is one."""
    assert told(events).part.peak_w == peak_w
