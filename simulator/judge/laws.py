"""The laws of the stream: what holds of every update, whatever the vehicle told. Knows neither truth nor core."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from msgspec import Struct, structs

from models.command import ChargeCommand
from models.ids import ChargingEventId, PolicyId, SessionId, VehicleId
from models.session import Block, Session, SessionState
from simulator.judge.findings import Finding, Intervals, Update

_QUARTER: Final = timedelta(minutes=15)
# Of one vehicle: how many sessions that are over are remembered, to see that they stay so.
_OVER_LIMIT: Final = 64
_VALID: Final = timedelta(minutes=2)
# By how much longer a command of a vehicle holds whose messages come late: it is written later by that.
_DELAY_LIMIT: Final = timedelta(minutes=30)
# So long a block that runs may go on beyond its planned end.
_OVERRUN: Final = timedelta(minutes=5)
# Nothing charges a car faster.
_MOST_WH: Final = 100_000
_UPCOMING: Final = SessionState.UPCOMING
_SETTLED: Final = SessionState.SETTLED
_OUTCOMES: Final = frozenset({"ON_TRACK", "AT_RISK", "SUCCEEDED", "FAILED"})
_VERDICTS: Final = frozenset({"SUCCEEDED", "FAILED"})

# Settled sessions are remembered for so long, to see that none overlaps them: a late one is late by less.
_REMEMBERED: Final = timedelta(days=8)

# So long the worker knows for sure which sessions stand for one charging event.
_COMPARED: Final = timedelta(days=6)

Report = Callable[[str, datetime, str], None]


class _Past(Struct, frozen=True):
    """When a settled session was, and for which part of a visit it stands."""

    charging_event_id: ChargingEventId
    session_id: SessionId
    started_at: datetime
    ended_at: datetime
    is_managed: bool


class Ledger:
    """All that one vehicle has published, as far as the laws need it. `is_ordered`: its messages come in order."""

    __slots__ = (
        "_command", "_current", "_events", "_is_ordered", "_live", "_over", "_report_to", "_settled", "_vehicle_id",
    )  # fmt: skip

    def __init__(self, vehicle_id: VehicleId, report: Callable[[Finding], None], *, is_ordered: bool) -> None:
        self._vehicle_id = vehicle_id
        self._report_to = report
        self._is_ordered = is_ordered
        self._live: dict[SessionId, Update] = {}
        self._current: dict[PolicyId, SessionId] = {}
        self._over: list[SessionId] = []
        self._events: list[_Past] = []
        self._command: ChargeCommand | None = None
        self._settled: tuple[SessionId, datetime] | None = None

    @property
    def current(self) -> dict[PolicyId, SessionId]:
        """The current session of each policy that has one."""
        return self._current

    @property
    def active_since(self) -> datetime | None:
        """Since when the active session lasts; null: there is none."""
        return next((each.head.plugged_in_at for each in self._live.values() if each.head.plugged_in_at), None)

    def take(self, update: Update) -> None:
        """Hold one update to the laws."""
        head = update.head
        known = self._live.get(head.id)
        if head.id in self._over:
            self._report("final sessions stay", update.created_at, f"{head.id} version {update.version}")
            return
        if update.version != (1 if known is None else known.version + 1):
            self._report(
                "versions count 1, 2, 3",
                update.created_at,
                f"{head.id}: {update.version} after {known and known.version}",
            )
        if known is not None:
            self._check_successor(known, update)
        self._check_shape(update)
        if head.state is _SETTLED:
            self._live.pop(head.id, None)
            self._end(head.id)
            self._settled = head.id, update.created_at
            if head.policy_id is not None and self._current.get(head.policy_id) == head.id:
                del self._current[head.policy_id]
            self._check_settled(update)
            return
        self._live[head.id] = update
        if not update.represents:
            self._report("the managed session represents its event, else the later", update.created_at, head.id)
        if head.policy_id is None:
            self._report("unmanaged sessions are published settled", update.created_at, head.id)
        elif self._current.setdefault(head.policy_id, head.id) != head.id:
            self._report("one current session a policy", update.created_at, f"{head.policy_id}: {head.id}")

    def adopt(self, update: Update) -> None:
        """Remember an update of before the judge was there: of some sessions only the newest is left."""
        head = update.head
        self.forget(head.id)
        if head.state is _SETTLED:
            self._end(head.id)
            return
        self._live[head.id] = update
        if head.policy_id is not None:
            self._current[head.policy_id] = head.id

    def forget(self, session_id: SessionId) -> None:
        """The session is gone, or about to be told anew."""
        known = self._live.pop(session_id, None)
        if known is not None and known.head.policy_id is not None:
            self._current.pop(known.head.policy_id, None)

    def erase(self, session_id: SessionId, at: datetime) -> None:
        """A tombstone."""
        known = self._live.pop(session_id, None)
        if known is None or known.head.state is not _UPCOMING:
            self._report("only awaited sessions are erased", at, session_id)
            return
        self._end(session_id)
        if known.head.policy_id is not None:
            self._current.pop(known.head.policy_id, None)

    def after_step(self, enabled: Iterable[PolicyId], at: datetime) -> None:
        """After each step: every enabled policy has a current session, no other has one, at most one is active."""
        if self._current.keys() != set(enabled):
            self._report("one current session a policy", at, f"{sorted(self._current)} for {sorted(enabled)}")
        if sum(update.head.state is not _UPCOMING for update in self._live.values()) > 1:
            self._report("one active session a vehicle", at, str(sorted(self._live)))

    def command(self, command: ChargeCommand, now: datetime, *, is_in_step: bool = True) -> None:
        """At most one command is outstanding, and it is of the session that is active.

        `is_in_step`: all updates of its step have been taken, and none of a later one. In one step a session may be
        commanded for and settle after that.
        """
        known, self._command = self._command, command
        if not _VALID <= command.valid_until - command.at <= _VALID + _DELAY_LIMIT:
            self._report("a command holds for 2 min from when it is written", now, str(command))
        if known is not None and command.at < known.valid_until:
            self._report("one command at a time", now, f"{command.at} before {known.valid_until}")
        if command.reason.value == "RELEASED" or not is_in_step:
            return
        if self._settled is not None and self._settled[0] == command.session_id and command.at <= self._settled[1]:
            return
        active = self._live.get(command.session_id)
        if active is None or active.head.state is _UPCOMING:
            self._report("commands are of active sessions", now, str(command))

    def _check_successor(self, known: Update, update: Update) -> None:
        before, after, at = known.head, update.head, update.created_at
        if (before.policy_id, before.user_id, before.vehicle_id) != (after.policy_id, after.user_id, after.vehicle_id):
            self._report("whose session it is never changes", at, after.id)
        if before.state is not _UPCOMING and after.state is _UPCOMING:
            self._report("an active session never waits again", at, after.id)
        if self._is_ordered and at < known.created_at:
            self._report("updates come in the order of their causes", at, f"{after.id} after {known.created_at}")
        if (
            before.plugged_in_at is not None
            and (after.plugged_in_at is None or after.plugged_in_at > before.plugged_in_at)
        ) or (self._is_ordered and before.plugged_in_at not in {None, after.plugged_in_at}):
            self._report("the plug-in stays", at, f"{after.id}: {before.plugged_in_at} to {after.plugged_in_at}")
        if before == after and _same(known.intervals, update.intervals):
            self._report("an update brings news", at, f"{after.id} version {update.version}")
        self._check_target(before, after, at)
        if known.intervals is not None and after.policy_id is not None:
            past_at = known.intervals.until - _OVERRUN
            over = [block for block in before.blocks if block.end_at < past_at]
            still = after.blocks[: len(over)]
            ended = after.plugged_out_at
            if ended is not None:
                over = [block for block in over if block.end_at <= ended]
                still = after.blocks[: len(over)]
            if [_bounds(block) for block in over] != [_bounds(block) for block in still]:
                self._report("past blocks stay", at, f"{after.id}: {_texts(over)} to {_texts(after.blocks)}")

    def _check_target(self, before: Session, after: Session, at: datetime) -> None:
        one, other = before.target.latest, after.target.latest
        if one is None or other is None or one == other:
            return
        is_changed = structs.replace(one, id=0) != structs.replace(other, id=0)
        # One may have come and gone between two updates.
        if other.id <= one.id or (not is_changed and other.id < one.id + 2):
            self._report("target ids grow with every change", at, f"{after.id}: {one} to {other}")

    def _check_shape(self, update: Update) -> None:
        head, at = update.head, update.created_at
        totals, intervals = head.statistics.aggregated, update.intervals
        if head.state is _UPCOMING:
            told = (head.plugged_in_at, head.plugged_out_at, totals, intervals, head.outcome.latest, head.error.latest)
            if any(each is not None for each in told) or head.blocks or head.target.latest is None:
                self._report("an awaited session knows only its target", at, head.id)
            return
        if totals is None or head.plugged_in_at is None or intervals is None:
            self._report("a session that began has a start and totals", at, head.id)
            return
        if (head.plugged_out_at is not None) != (head.state is _SETTLED):
            self._report("plugged out is settled", at, head.id)
        energy_wh = round(totals.kwh_sum * 1_000)
        if energy_wh / 1_000 != totals.kwh_sum or sum(intervals.energy_wh) != energy_wh:
            self._report("the series adds up", at, f"{head.id}: {sum(intervals.energy_wh)} Wh, {totals.kwh_sum} kWh")
        if intervals.energy_wh and (min(intervals.energy_wh) < 0 or max(intervals.energy_wh) > _MOST_WH):
            self._report("an interval holds what can be charged in it", at, head.id)
        if len(intervals.energy_wh) > intervals.count or intervals.started_at != head.plugged_in_at:
            self._report("the series is as long as the session", at, head.id)
        self._check_blocks(head, head.plugged_in_at, energy_wh, at)
        self._check_plan(head, at)

    def _check_plan(self, head: Session, at: datetime) -> None:
        outcome = head.outcome.latest
        if head.policy_id is None:
            if head.blocks or head.target.latest or outcome or head.valuation:
                self._report("an unmanaged session has no plan", at, head.id)
        elif head.target.latest is None or outcome is None or outcome.state not in _OUTCOMES:
            self._report("a managed session has target and outcome", at, head.id)

    def _check_blocks(self, head: Session, plugged_in_at: datetime, energy_wh: int, at: datetime) -> None:
        blocks = head.blocks
        if not blocks:
            return
        if blocks[0].start_at < plugged_in_at:
            self._report("blocks lie in the session", at, f"{head.id}: {blocks[0]}")
        for one, other in pairwise(blocks):
            if one.end_at > other.start_at:
                self._report("blocks do not overlap", at, f"{head.id}: {one} {other}")
        if any(block.start_at > block.end_at or block.kwh_sum < 0 for block in blocks):
            self._report("a block has a length", at, head.id)
        if head.state is _SETTLED:
            began = sum(round(block.kwh_sum * 1_000) for block in blocks)
            if began > energy_wh:
                self._report("blocks hold no more than the session", at, f"{head.id}: {began} of {energy_wh} Wh")
            if head.plugged_out_at is not None and blocks[-1].end_at > head.plugged_out_at:
                self._report("blocks lie in the session", at, f"{head.id}: {blocks[-1]}")

    def _check_settled(self, update: Update) -> None:
        head, at = update.head, update.created_at
        started_at, ended_at, intervals = head.plugged_in_at, head.plugged_out_at, update.intervals
        if started_at is None or ended_at is None or intervals is None:
            return
        if ended_at < started_at:
            self._report("a session has a length", at, f"{head.id}: {started_at} to {ended_at}")
        if ended_at > started_at and intervals.until != ended_at:
            self._report("the series ends with the session", at, f"{head.id}: {intervals.until}, {ended_at}")
        outcome = head.outcome.latest
        if outcome is not None and outcome.state not in _VERDICTS:
            self._report("a settled session has a verdict", at, f"{head.id}: {outcome.state}")
        cost = None if head.valuation is None else head.valuation.tariff_cost
        if cost is not None and abs(cost.baseline - cost.actual - cost.savings) > 1e-6:
            self._report("savings are baseline less actual", at, f"{head.id}: {cost}")
        self._events = [past for past in self._events if ended_at - past.ended_at < _REMEMBERED]
        for past in self._events:
            is_same = past.charging_event_id == update.charging_event_id
            if not is_same and past.started_at < ended_at and started_at < past.ended_at:
                detail = f"{head.id} and {past.session_id} from {max(past.started_at, started_at)}"
                self._report("sessions do not overlap", at, detail)
        self._check_represents(update, ended_at)
        is_managed = head.policy_id is not None
        self._events.append(_Past(update.charging_event_id, head.id, started_at, ended_at, is_managed))

    def _check_represents(self, update: Update, ended_at: datetime) -> None:
        head = update.head
        rivals = [past for past in self._events if past.charging_event_id == update.charging_event_id]
        if any(past.ended_at < ended_at - _COMPARED for past in rivals):
            # Whether the worker still knows of it, nobody can say to the minute.
            return
        is_due = head.policy_id is not None or not any(past.is_managed for past in rivals)
        if update.represents is not is_due:
            detail = f"{head.id}: {update.represents} beside {[past.session_id for past in rivals]}"
            self._report("the managed session represents its event, else the later", update.created_at, detail)

    def _end(self, session_id: SessionId) -> None:
        self._over.append(session_id)
        del self._over[:-_OVER_LIMIT]

    def _report(self, law: str, at: datetime, detail: str) -> None:
        self._report_to(Finding(law=law, vehicle_id=self._vehicle_id, at=at, detail=detail))


def _bounds(block: Block) -> tuple[str, datetime, datetime]:
    return block.type, block.start_at, block.end_at


def _texts(blocks: Sequence[Block]) -> list[str]:
    return [f"{block.start_at:%d %H:%M:%S.%f} to {block.end_at:%H:%M:%S.%f}" for block in blocks]


def _same(one: Intervals | None, other: Intervals | None) -> bool:
    """Whether two series tell the same but for idle time at their ends."""
    if one is None or other is None:
        return one is other
    return _told(one) == _told(other)


def _told(intervals: Intervals) -> tuple[list[int], list[int | None]]:
    energies = list(intervals.energy_wh)
    while energies and not energies[-1]:
        energies.pop()
    return energies, list(intervals.levels[: len(energies)])
