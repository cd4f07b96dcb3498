"""Samples of one vehicle that Hypothesis draws: whatever fields, sometimes wrong, and in whatever order they arrive.

Minute 0 is the plug-in.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypedDict, TypeVar, Unpack

from hypothesis import strategies as st

from models.telemetry import ChargeSample
from sessions.events import TelemetryReceived
from sessions.evidence import Observation, observe
from tests.builders import sample

# Times within it are not too late for each other.
DAY_MIN: Final = 1_430
DAYS_MIN: Final = 5 * DAY_MIN

# Dense polls, sparse ones, two messages of one minute, a long silence.
_STEPS_MIN = st.sampled_from([0.05, 0.3, 1.0, 1.0, 1.0, 2.0, 5.0, 7.0, 14.9, 15.0, 16.0, 40.0, 300.0])
_LONG_STEPS_MIN = st.sampled_from([1.0, 15.0, 40.0, 300.0, 700.0, 1_500.0])
_POWERS_KW = st.sampled_from([0.0, 0.0, 1.7, 11.0, 150.0])
_RATES_KW = st.sampled_from([0.0, 1.4, 7.36, 11.0, -3.0])
_LEVELS = st.sampled_from([20.0, 20.7, 21.9, 22.0, 24.5, 30.0, 55.5])

_Told = TypeVar("_Told", Observation, TelemetryReceived)

# A counter's reading from what it should show, and how long it is since it was read.
CounterErrors = Callable[[st.DrawFn, float], float]


def noisy(draw: st.DrawFn, true_kwh: float) -> float:
    """A counter that never falls by more than noise."""
    return max(0.0, true_kwh - draw(st.sampled_from([0.0] * 5 + [0.04])))


def exact(_draw: st.DrawFn, true_kwh: float) -> float:
    """A counter that never falls."""
    return true_kwh


def wild(draw: st.DrawFn, true_kwh: float) -> float:
    """A counter that shows zeros, begins anew and jumps to another register."""
    return draw(st.sampled_from([true_kwh] * 6 + [0.0, true_kwh / 3, max(true_kwh - 0.3, 0.0), true_kwh + 9_000]))


class Shape(TypedDict, total=False):
    """What may be asked of samples: see `messages`."""

    counter: CounterErrors | None
    rate: bool
    level: bool
    charging: bool
    max_size: int
    max_min: float
    min_step: float
    has_charges: bool
    is_full: bool


def samples(**shape: Unpack[Shape]) -> st.SearchStrategy[list[Observation]]:
    """What such messages say."""
    return messages(**shape).map(lambda told: [seen(event) for event in told])


@st.composite
def messages(
    draw: st.DrawFn,
    *,
    counter: CounterErrors | None = exact,
    rate: bool = True,
    level: bool = True,
    charging: bool = True,
    max_size: int = 24,
    max_min: float = DAY_MIN,
    min_step: float = 0.0,
    has_charges: bool = False,
    is_full: bool = False,
) -> list[TelemetryReceived]:
    """Samples in the order of their times. `has_charges`: the vehicle charges for ten minutes of every twenty.

    `is_full`: every sample tells everything, and none comes long after the one before.
    """
    told: list[TelemetryReceived] = []
    at_min, counter_kwh = 0.0, draw(st.sampled_from([0.0, 0.02, 12.0]))
    gap = st.nothing() if is_full else st.none()
    sparse = [False] if is_full else draw(st.sampled_from([[False], [True], [False, False, True]]))
    for _ in range(draw(st.integers(1, max_size))):
        step_min = max(draw(_STEPS_MIN if max_min <= DAY_MIN else _LONG_STEPS_MIN), min_step)
        if is_full:
            step_min = min(step_min, 5.0)
        at_min += step_min
        counter_kwh += min(draw(_POWERS_KW) * step_min / 60, 50.0)
        if at_min > max_min:
            break
        is_on = at_min % 20 < 10
        rates_kw = _RATES_KW if not has_charges else st.sampled_from([1.4, 7.36, 11.0]) if is_on else st.just(0.0)
        kwh = counter(draw, counter_kwh) if counter is not None and not draw(st.sampled_from(sparse)) else None
        told.append(
            sample(
                at_min,
                kwh,
                rate=draw(gap | rates_kw) if rate else None,
                level=draw(gap | _LEVELS) if level else None,
                charging=draw(gap | (st.just(is_on) if has_charges else st.booleans())) if charging else None,
            )
        )
    return told


def seen(event: TelemetryReceived) -> Observation:
    """What a sample says."""
    assert isinstance(event.message, ChargeSample)
    return observe(event.message)


def shuffled(told: Sequence[_Told]) -> st.SearchStrategy[list[_Told]]:
    """The same samples in another order of arrival."""
    return st.permutations(list(told))


def time_of(told: Observation | TelemetryReceived) -> datetime:
    """When it was told."""
    return told.message.at if isinstance(told, TelemetryReceived) else told.at


@st.composite
def delayed(draw: st.DrawFn, told: Sequence[_Told]) -> list[_Told]:
    """The same samples, each delayed by at most a day."""
    delays_min = [draw(st.sampled_from([0.0, 0.0, 3.0, 60.0, DAY_MIN])) for _ in told]
    arrivals = [time_of(each) + timedelta(minutes=late_min) for each, late_min in zip(told, delays_min, strict=True)]
    return [told[number] for _, number in sorted(zip(arrivals, range(len(told)), strict=True))]
