"""The same tables over a bad line: what comes late, out of order or more than once ends in the same sessions."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import chain
from random import Random
from typing import Final

from msgspec import structs

from models.ids import SessionId
from models.session import LatestError, LatestOutcome, LatestTarget, Session
from sessions.events import Event, Rules, TimerDue
from tests.replays.disturbance import Late, disturbed
from tests.replays.driver import Lane, drives, policies, telemetry
from tests.replays.judging import Published, replay

# As good as off; yet a visit that has ended stays open for what is late until anything later comes.
_RULES: Final = Rules(unplug_debounce=timedelta(microseconds=1))
_SEED: Final = 20_250_304
# Some rows of some vehicles are enough to meet each delay in each place.
_LANES: Final = 6
_ROWS: Final = 60


def test_late_plug_ins_and_repeated_messages_change_nothing(published: Published) -> None:
    """A plug-in that comes late, and any message that comes again, ends in the same sessions."""
    for in_order, as_it_came in _both(published, Late.PLUG_INS, _without_id):
        for one, other in zip(as_it_came, in_order, strict=True):
            assert one == other, f"seed {_SEED}"


def test_late_samples_move_no_bounds_and_no_sums(published: Published) -> None:
    """Samples that come late, in any order, leave bounds, energy and levels of a session as they are."""
    for in_order, as_it_came in _both(published, Late.LATER_SAMPLES, _without_series):
        for one, other in zip(as_it_came, in_order, strict=True):
            assert one == other, f"seed {_SEED}"


def test_late_samples_change_nothing(published: Published) -> None:
    """Samples that come late while their visit is open count as if they had come in time."""
    for in_order, as_it_came in _both(published, Late.SAMPLES, _without_id):
        for one, other in zip(as_it_came, in_order, strict=True):
            assert one == other, f"seed {_SEED}"


def _both(
    published: Published, late: Late, shown: Callable[[Session], Session]
) -> Iterator[tuple[list[Session], list[Session]]]:
    """The sessions of some vehicles, managed and not: told in order, and as it came over the line."""
    for lane in published.lanes[:_LANES]:
        kept = Lane(lane.vehicle_id, lane.rows[:_ROWS])
        visits = list(telemetry(kept, drives(kept), is_counter_for_life=True))
        after: list[Event] = [TimerDue(kept.rows[-1].end + timedelta(days=2))]
        for before in (policies(kept), []):
            in_order = replay(kept, chain(before, *visits, after), _RULES)
            as_it_came = replay(kept, chain(before, disturbed(visits, late, Random(_SEED)), after), _RULES)
            assert (in_order.refusals, as_it_came.refusals) == ((), ())
            yield [shown(one) for one in in_order.settled], [shown(one) for one in as_it_came.settled]


def _without_id(session: Session) -> Session:
    """What happened: without its name, for an unmanaged session is named by the first that was heard of it, and
    without what we did about it, for nobody can act on what he does not know yet.
    """
    happened = structs.replace(
        session, blocks=(), target=LatestTarget(), outcome=LatestOutcome(), error=LatestError(), valuation=None
    )
    return happened if session.policy_id is not None else structs.replace(happened, id=SessionId(""))


def _without_series(session: Session) -> Session:
    return structs.replace(_without_id(session), statistics=structs.replace(session.statistics, timeseries=()))
