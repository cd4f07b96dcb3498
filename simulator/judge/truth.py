"""Sessions held against the truth: each true part once, at its time and place, with its energy and its cost."""

from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import pairwise
from typing import Final

from msgspec import Struct

from models.ids import VehicleId, Zone
from models.session import Session
from simulator.judge.bounds import CLEAN_GAP_S, CLEAN_SHARE, ROUNDING_KWH, Bounds
from simulator.judge.findings import Finding
from simulator.judge.heard import Heard
from simulator.judge.metered import Metered
from simulator.world.market import Market
from simulator.world.moments import DAY_MS, MINUTE_MS, NEVER_MS, QUARTER_MS, SECOND_MS, millis, moment
from simulator.world.oracle import Oracle, TruePart

# What charges less is published by nobody, or may be missed.
_OBSERVED_KWH: Final = 0.05
# A session that does not end for so long is no longer waited for.
_PATIENCE_MS: Final = 8 * DAY_MS
# Less energy than that may lie on either side of a quarter-hour's edge.
_PRICED_KWH: Final = 0.02
# After so long at full power it is known: means of two windows in a row, of samples that are 10 min apart at most.
_STEADY_MS: Final = 35 * MINUTE_MS
# A mean over minutes is counted in whole Wh, so that full power is known to this share.
_POWER_SHARE: Final = 0.005
# A counter that falls by no more than this is taken for noise, so each replug may hide as much.
_REPLUG_KWH: Final = 0.1


class Seen(Struct, frozen=True):
    """A settled session, and when it came."""

    session: Session
    at_ms: int


class Comparison:
    """The truth and the sessions of one car, matched as soon as nothing more can come to them.

    `heard`: which words its feed delivered; null: all of them, at once. `metered`: what it delivered of the meter;
    null: all of it, or the bounds allow for what is missing.
    """

    __slots__ = (
        "_bounds",
        "_heard",
        "_market",
        "_metered",
        "_oracle",
        "_parts",
        "_report_to",
        "_sessions",
        "_vehicle_id",
        "matched",
        "valued",
    )

    def __init__(
        self,
        oracle: Oracle,
        vehicle_id: VehicleId,
        bounds: Bounds,
        market: Market,
        report: Callable[[Finding], None],
        heard: Heard | None = None,
        metered: Metered | None = None,
    ) -> None:
        self._oracle = oracle
        self._heard = heard
        self._metered = metered
        self._vehicle_id = vehicle_id
        self._bounds = bounds
        self._market = market
        self._report_to = report
        self._parts: list[TruePart] = []
        self._sessions: list[Seen] = []
        # True parts that were found among the sessions, and those of them whose savings were held against the truth.
        self.matched = self.valued = 0

    def happened(self, parts: list[TruePart]) -> None:
        """Parts that are over."""
        self._parts.extend(parts)

    def settled(self, session: Session, at_ms: int) -> None:
        """A session that has come."""
        self._sessions.append(Seen(session, at_ms))

    def judge(self, until_ms: int, active_ms: int | None = None) -> None:
        """Match what was over before that moment, less the time that sessions may take to come.

        `active_ms`: since when the car's session is active, which may come to stand for what is over; null: it settles
        no more.
        """
        bounds = self._bounds
        horizon_ms = until_ms - int(bounds.settle_s * SECOND_MS)
        blind_ms = int(bounds.blind_s * SECOND_MS)
        open_ms = until_ms
        if self._oracle.part is not None and (blind_ms or bounds.may_split):
            open_ms = self._oracle.part.started_ms - blind_ms
        if active_ms is not None and blind_ms and active_ms > until_ms - _PATIENCE_MS:
            open_ms = min(open_ms, active_ms - blind_ms)
        spans: list[tuple[int, int, TruePart | Seen]] = [
            (part.started_ms, max(_ended(part), part.known_ms or 0), part) for part in self._parts
        ]
        spans += [(*self._span(seen.session), seen) for seen in self._sessions]
        spans.sort(key=lambda span: span[:2])
        self._parts, self._sessions = [], []
        cluster: list[TruePart | Seen] = []
        end_ms = 0
        for start_ms, ended_ms, each in spans:
            if cluster and start_ms > end_ms + blind_ms:
                self._close(cluster, is_over=end_ms < min(horizon_ms, open_ms))
                cluster = []
            end_ms = max(end_ms, ended_ms) if cluster else ended_ms
            cluster.append(each)
        if cluster:
            self._close(cluster, is_over=end_ms < min(horizon_ms, open_ms))

    def _close(self, cluster: list[TruePart | Seen], *, is_over: bool) -> None:
        """Compare what lies together in time, or keep it for later."""
        parts = [each for each in cluster if isinstance(each, TruePart)]
        sessions = [each for each in cluster if isinstance(each, Seen)]
        if not is_over:
            self._parts.extend(parts)
            self._sessions.extend(sessions)
            return
        taken: dict[int, list[TruePart]] = {}
        came = [(seen.at_ms, self._span(seen.session)[0]) for seen in sessions]
        for part in parts:
            found = self._best(part, sessions)
            if found is None:
                self._check_missing(part)
            else:
                taken.setdefault(found, []).append(part)
        for place, seen in enumerate(sessions):
            if place in taken:
                is_crowded = len(parts) > 1 and self._bounds.blind_s > 0
                self._compare(taken[place], seen.session, came, is_crowded=is_crowded)
            else:
                self._check_invented(seen.session, parts)

    def _best(self, part: TruePart, sessions: list[Seen]) -> int | None:
        """The session that shares most time with the part; None where none does."""
        best, most_ms = None, -1
        ended_ms = _ended(part)
        before_ms, after_ms = int(self._bounds.start_s[0] * SECOND_MS), int(self._bounds.end_s[1] * SECOND_MS)
        for place, seen in enumerate(sessions):
            start_ms, end_ms = self._span(seen.session)
            if seen.session.user_id != part.user_id:
                continue
            shared_ms = min(ended_ms + after_ms, end_ms) - max(part.started_ms - before_ms, start_ms)
            is_same = start_ms == part.started_ms
            if is_same or shared_ms > 0:
                if is_same:
                    shared_ms += DAY_MS * 100
                if shared_ms > most_ms:
                    best, most_ms = place, shared_ms
        return best

    def _check_missing(self, part: TruePart) -> None:
        energy = part.energy_kwh()
        if part.is_doubtful or self._is_touched(part):
            return
        if self._heard is not None:
            is_told = self._heard.was_in(part.started_ms, _ended(part))
            # Of whose end nobody was told yet, that goes on, for all that anybody can know.
            if not is_told or not self._heard.was_out(_ended(part), NEVER_MS):
                return
        is_unmanaged = part.policy is None or not self._bounds.knows_place
        least = _OBSERVED_KWH + max(ROUNDING_KWH, self._bounds.energy_kwh * 2)
        least += self._bounds.energy_gap_s / 3_600 * part.full_kw
        if is_unmanaged and energy * (1 - self._bounds.energy_share) < least:
            return
        self._report("every true visit comes out", part, f"{energy:.3f} kWh, {part.policy and part.policy.id}")

    def _is_gap_seen(self, from_ms: int, to_ms: int) -> bool:
        """Whether two visits cannot be taken for one: where words are lost, the unplug must have been told."""
        return to_ms > from_ms and (self._heard is None or self._heard.was_out(from_ms, to_ms))

    def _check_invented(self, session: Session, parts: list[TruePart]) -> None:
        totals = session.statistics.aggregated
        start_ms, end_ms = self._span(session)
        if end_ms - start_ms <= max(self._bounds.blind_s * SECOND_MS, 1) or self._is_touched_at(start_ms, end_ms):
            return
        if self._bounds.may_split and any(
            (part.replugs or self._bounds.blind_s) and part.started_ms < end_ms and start_ms < _ended(part)
            for part in parts
        ):
            return
        energy = 0.0 if totals is None else totals.kwh_sum
        if session.policy_id is None and energy <= self._bounds.energy_kwh:
            return
        self._report_to(
            Finding(
                law="no visit is invented",
                vehicle_id=self._vehicle_id,
                at=moment(end_ms),
                detail=f"{session.id} {moment(start_ms)} to {moment(end_ms)}, {energy} kWh, {session.policy_id}",
            )
        )

    def _compare(
        self, parts: list[TruePart], session: Session, came: list[tuple[int, int]], *, is_crowded: bool
    ) -> None:
        bounds, part = self._bounds, parts[0]
        self.matched += len(parts)
        if len(parts) > 1:
            begun_ms, over_ms = self._span(session)
            whole = [
                part
                for part in parts
                if not part.is_doubtful
                and _ended(part) - part.started_ms > 1
                and part.started_ms < over_ms
                and begun_ms < _ended(part)
            ]
            seen = [self._is_gap_seen(_ended(one), later.started_ms) for one, later in pairwise(whole)]
            if any(seen) and not any(map(self._is_touched, whole)):
                self._report("a visit comes out once", part, f"{session.id} stands for {len(whole)}")
            part = whole[0] if len(whole) == 1 else part
        last = parts[-1] if len(parts) > 1 and part is parts[0] else part
        start_ms, end_ms = self._span(session)
        if part.is_doubtful or is_crowded or self._is_touched(part) or (bounds.may_split and part.replugs):
            return
        if _ended(part) - part.started_ms <= bounds.blind_s * SECOND_MS:
            return
        told_ms = self._told_ms(part, came)
        if told_ms is None:
            return
        is_joined = self._is_joined(part, start_ms)
        if not is_joined and not part.started_ms <= start_ms <= told_ms:
            self._check_time("a session begins with its visit", part, start_ms - part.started_ms, bounds.start_s)
        self._check_time("a session ends with its visit", part, end_ms - _ended(last), bounds.end_s)
        if bounds.knows_place and not is_joined:
            policy_id = part.policy and part.policy.id
            if (policy_id, part.location_id) != (session.policy_id, session.location_id):
                self._report(
                    "a session has its visit's place and policy",
                    part,
                    f"{session.policy_id} at {session.location_id} for {policy_id} at {part.location_id}",
                )
        self._check_totals(parts if last is not part else [part], session, told_ms)
        if last is part:
            self._check_cost(part, session)

    def _check_totals(self, parts: list[TruePart], session: Session, told_ms: int) -> None:
        """`told_ms`: since when anybody could know of the first of these parts."""
        bounds, part, totals = self._bounds, parts[0], session.statistics.aggregated
        if totals is None:
            return
        energy = sum(each.energy_kwh() for each in parts)
        off = abs(totals.kwh_sum - energy)
        gap_kwh = bounds.energy_gap_s / 3_600 * part.full_kw
        share_kwh = bounds.energy_share * energy + (bounds.energy_share - CLEAN_SHARE) * part.before_kwh
        untold_kwh = sum(stretch.energy_kwh(part.started_ms, told_ms) for stretch in part.stretches)
        unread_kwh = sum(map(self._unread_kwh, parts))
        if off > bounds.energy_kwh + share_kwh + gap_kwh + untold_kwh + unread_kwh + _slack_kwh(part):
            self._report("a session has its visit's energy", part, f"{totals.kwh_sum} kWh for {energy:.3f}")
        self._check_levels(part, parts[-1], totals.battery_from, totals.battery_to)

    def _told_ms(self, part: TruePart, came: list[tuple[int, int]]) -> int | None:
        """Since when anybody could know of the part; null: nobody ever could."""
        if self._heard is None:
            return part.started_ms
        return self._heard.first_in(part.started_ms, _ended(part), came)

    def _is_joined(self, part: TruePart, start_ms: int) -> bool:
        """Of no unplug before it anybody was told: to all that anybody knew, an earlier visit went on."""
        return self._heard is not None and start_ms < part.started_ms and self._heard.is_in_before(part.started_ms)

    def _check_levels(self, part: TruePart, last: TruePart, level_from: int | None, level_to: int | None) -> None:
        bound = self._bounds.level_percent
        if bound is None or part.is_cut:
            return
        for name, told, true in (("from", level_from, part.level_from), ("to", level_to, last.level_to)):
            if name == "from" and part.started_ms != part.plugged_in_ms:
                continue
            if told is None or not true - 1 - bound <= told <= true + bound:
                self._report("a session has its visit's levels", part, f"{name} {told} for {true:.2f}")

    def _check_cost(self, part: TruePart, session: Session) -> None:
        bound = self._bounds.money
        if bound is None or part.policy is None or not self._bounds.knows_place:
            return
        zone, at_ms = part.policy.zone, part.known_ms or 0
        if zone is None:
            if session.valuation is not None:
                self._report("no price, no cost", part, session.id)
            return
        cost, dearest, is_priced = self._cost(part.by_quarter(), zone, at_ms)
        if session.valuation is None:
            if is_priced and self._is_priced(part, at_ms):
                self._report("what has prices has a cost", part, f"{session.id}: {cost:.4f}")
            return
        if not is_priced and not self._is_hidden(part, session, zone, at_ms):
            self._report("no price, no cost", part, f"{session.id}: {session.valuation}")
            return
        told = session.valuation.tariff_cost
        loose = (_slack_kwh(part) + self._off_kwh(part)) * dearest + (0.05 if part.is_flat else 0.0)
        share = CLEAN_SHARE
        if abs(told.actual - cost) > bound + share * abs(cost) + loose:
            self._report("a session costs what its energy cost", part, f"{session.id}: {told.actual} for {cost:.4f}")
        knows_power = self._bounds.knows_power and self._off_kwh(part) < 1e-9 and not part.is_flat
        if not knows_power or part.steady_ms() < _STEADY_MS:
            return
        # Prices beyond the end may be needed, and missing: then nothing was told.
        reference, dearest, _ = self._cost(part.at_full_power(), zone, at_ms)
        # What nobody had told is missing in both, at the price of each.
        loose += (_POWER_SHARE * part.energy_kwh() + _slack_kwh(part)) * dearest
        self.valued += 1
        if abs(told.savings - (reference - cost)) > bound + share * (abs(cost) + abs(reference)) + loose:
            detail = f"{session.id}: {told} for {reference:.4f} less {cost:.4f}"
            self._report("a session saves what its shift in time saved", part, detail)

    def _cost(self, energies: Iterable[tuple[int, float]], zone: Zone, at_ms: int) -> tuple[float, float, bool]:
        """What they cost by the prices known then, the dearest of these, and whether each had one."""
        cost = dearest = 0.0
        is_priced = True
        for quarter, energy in energies:
            price = self._market.price(zone, quarter, at_ms)
            if price is None:
                is_priced = is_priced and energy < _PRICED_KWH
                continue
            cost += energy * price
            dearest = max(dearest, abs(price))
        return cost, dearest, is_priced

    def _off_kwh(self, part: TruePart) -> float:
        """How far the energy may be off beyond what it may be in a clean feed."""
        bounds = self._bounds
        told_kwh = (
            (bounds.energy_share - CLEAN_SHARE) * (part.energy_kwh() + part.before_kwh)
            + bounds.energy_kwh
            - ROUNDING_KWH
        )
        return told_kwh + (bounds.energy_gap_s - CLEAN_GAP_S) / 3_600 * part.full_kw + self._unread_kwh(part)

    def _unread_kwh(self, part: TruePart) -> float:
        return 0.0 if self._metered is None else self._metered.off_kwh(part)

    def _is_hidden(self, part: TruePart, session: Session, zone: Zone, at_ms: int) -> bool:
        """Whether all that lacks a price may be hidden by the feed, and none of it is shown: then it needs none."""
        lacking = {
            quarter: energy
            for quarter, energy in part.by_quarter()
            if energy >= _PRICED_KWH and self._market.price(zone, quarter, at_ms) is None
        }
        is_shown = any(
            point.kwh >= _PRICED_KWH and millis(point.start_at) // QUARTER_MS in lacking
            for point in session.statistics.timeseries
        )
        return sum(lacking.values()) <= self._off_kwh(part) and not is_shown

    def _span(self, session: Session) -> tuple[int, int]:
        """From when to when it lasts, by the true time."""

        def of(at: datetime | None) -> int:
            return 0 if at is None else millis(at) - self._bounds.skew_ms

        return of(session.plugged_in_at), of(session.plugged_out_at)

    def _is_touched(self, part: TruePart) -> bool:
        return self._is_touched_at(part.started_ms, _ended(part))

    def _is_touched_at(self, start_ms: int, end_ms: int) -> bool:
        """Whether policy or owner changed while words of this time may have been on their way."""
        late_ms = int(self._bounds.late_s * SECOND_MS)
        return late_ms > 0 and any(
            start_ms - late_ms <= touched_ms <= end_ms + late_ms for touched_ms in self._oracle.touches
        )

    def _is_priced(self, part: TruePart, at_ms: int) -> bool:
        """Whether every price that a baseline could need is known: from the start for a day beyond the end."""
        assert part.policy is not None
        assert part.policy.zone is not None
        first, last = part.started_ms // QUARTER_MS, (_ended(part) + DAY_MS) // QUARTER_MS
        return all(self._market.price(part.policy.zone, quarter, at_ms) is not None for quarter in range(first, last))

    def _check_time(self, law: str, part: TruePart, off_ms: int, allowed_s: tuple[float, float]) -> None:
        if not -allowed_s[0] * SECOND_MS <= off_ms <= allowed_s[1] * SECOND_MS:
            self._report(law, part, f"off by {off_ms / 1_000:.3f} s")

    def _report(self, law: str, part: TruePart, detail: str) -> None:
        where = f"visit {moment(part.started_ms)} to {moment(_ended(part))} at {part.location_id}: "
        self._report_to(Finding(law=law, vehicle_id=self._vehicle_id, at=moment(_ended(part)), detail=where + detail))


def _ended(part: TruePart) -> int:
    return part.started_ms if part.ended_ms is None else part.ended_ms


def _slack_kwh(part: TruePart) -> float:
    """What the rules themselves leave open: what nobody had told when a part was cut off, and counters begun anew."""
    return part.untold_kwh + part.replugs * _REPLUG_KWH
