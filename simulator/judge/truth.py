"""Sessions held against the truth: each true part once, at its time and place, with its energy and its cost."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Final

from msgspec import Struct, structs

from models.ids import VehicleId
from models.session import Session
from simulator.judge.amounts import Amounts
from simulator.judge.bounds import ROUNDING_KWH, Bounds
from simulator.judge.findings import Finding
from simulator.judge.heard import Heard
from simulator.judge.metered import Metered
from simulator.world.market import Market
from simulator.world.moments import DAY_MS, NEVER_MS, SECOND_MS, millis, moment
from simulator.world.oracle import Oracle, TruePart

# What charges less is published by nobody, or may be missed.
_OBSERVED_KWH: Final = 0.05
# A session that does not end for so long is no longer waited for.
_PATIENCE_MS: Final = 8 * DAY_MS


class Seen(Struct, frozen=True):
    """A settled session, and when it came."""

    session: Session
    at_ms: int


class Comparison:
    """The truth and the sessions of one car, matched as soon as nothing more can come to them.

    `heard`: which words its feed delivered; null: all of them, at once. `spoken`: the same, where only some of the
    words say nothing of the plug; null: each does. `metered`: what it delivered of the meter; null: all of it, or the
    bounds allow for what is missing.
    """

    __slots__ = (
        "_amounts",
        "_bounds",
        "_heard",
        "_oracle",
        "_parts",
        "_report_to",
        "_sessions",
        "_spoken",
        "_vehicle_id",
        "compared",
        "skipped",
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
        spoken: Heard | None = None,
    ) -> None:
        self._oracle = oracle
        self._heard = heard
        self._spoken = spoken
        self._vehicle_id = vehicle_id
        self._bounds = bounds
        self._amounts = Amounts(bounds, market, metered, self._report)
        self._report_to = report
        self._parts: list[TruePart] = []
        self._sessions: list[Seen] = []
        # True parts whose boundaries and energy were held against a session, and those of them whose savings were too.
        self.compared = self.valued = 0
        # All other parts that were judged, by why they could not be compared.
        self.skipped: Counter[str] = Counter()

    @property
    def unjudged(self) -> int:
        """True parts, the one that goes on among them, that nothing was said of yet."""
        return len(self._parts) + (self._oracle.part is not None)

    def happened(self, parts: list[TruePart]) -> None:
        """Parts that are over."""
        for part in parts:
            known = self._as_spoken(part)
            if known is None:
                self.skipped["nobody was told"] += 1
            else:
                self._parts.append(known)

    def _as_spoken(self, part: TruePart) -> TruePart | None:
        """The part from the first word on that said that its plug was in; null: none did.

        A plug event says so, but where another owner takes the car over at the plug there is none.
        """
        if self._spoken is None or not self._spoken.remembers(part.plugged_in_ms):
            return part
        begun_ms = self._spoken.first_in(part.plugged_in_ms, _ended(part), [])
        if begun_ms is None:
            return None
        if begun_ms <= part.started_ms:
            return part
        return structs.replace(part, started_ms=begun_ms, plugged_in_ms=begun_ms, level_from=part.level_at(begun_ms))

    def settled(self, session: Session, at_ms: int) -> None:
        """A session that has come."""
        self._sessions.append(Seen(session, at_ms))

    def judge(self, until_ms: int, active_ms: int | None = None) -> None:
        """Match what was over before that moment, less the time that sessions may take to come.

        `active_ms`: since when the car's session is active, which may come to stand for what is over; null: it settles
        no more.
        """
        bounds, part = self._bounds, self._oracle.part
        horizon_ms = until_ms - int(bounds.settle_s * SECOND_MS)
        open_ms = NEVER_MS
        if part is not None and (bounds.blind_s or bounds.may_split):
            open_ms = part.started_ms
        if active_ms is not None and bounds.blind_s and active_ms > until_ms - _PATIENCE_MS:
            open_ms = min(open_ms, active_ms)
        spans: list[tuple[int, int, TruePart | Seen]] = [
            (part.started_ms, max(_ended(part), part.known_ms or 0), part) for part in self._parts
        ]
        spans += [(*self._span(seen.session), seen) for seen in self._sessions]
        spans.sort(key=lambda span: span[:2])
        self._parts, self._sessions = [], []
        cluster: list[TruePart | Seen] = []
        end_ms = 0
        for start_ms, ended_ms, each in spans:
            if cluster and self._is_apart(end_ms, start_ms, horizon_ms):
                self._close(cluster, is_over=end_ms < horizon_ms and self._is_apart(end_ms, open_ms, horizon_ms))
                cluster = []
            end_ms = max(end_ms, ended_ms) if cluster else ended_ms
            cluster.append(each)
        if cluster:
            self._close(cluster, is_over=end_ms < horizon_ms and self._is_apart(end_ms, open_ms, horizon_ms))

    def _is_apart(self, end_ms: int, start_ms: int, horizon_ms: int) -> bool:
        """Whether nothing that ended then can be one with what begins there. By `horizon_ms` all words had come."""
        if start_ms > end_ms + int(self._bounds.blind_s * SECOND_MS):
            return True
        return self._heard is not None and self._is_clear(end_ms, min(start_ms, horizon_ms))

    def _is_clear(self, end_ms: int, start_ms: int) -> bool:
        """Whether a visit that ended then has nothing of one that begins there: that was told, and in order."""
        heard = self._heard
        return self._is_gap_seen(end_ms, start_ms) and (heard is None or not heard.is_mixed(end_ms, start_ms))

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
        crowded = self._crowded(parts)
        for part in parts:
            found = self._best(part, sessions)
            if found is None:
                self._check_missing(part)
            else:
                taken.setdefault(found, []).append(part)
        for place, seen in enumerate(sessions):
            if place in taken:
                self._compare(self._sharing(taken[place], seen, crowded), seen, came, crowded)
            else:
                self._check_invented(seen.session, parts)

    def _sharing(self, parts: list[TruePart], seen: Seen, crowded: set[int]) -> list[TruePart]:
        """Those that share time with the session, if any does.

        What only lies near it may be one with its neighbours, if nobody was told of what lay between; else it is lost.
        """
        begun_ms, over_ms = self._span(seen.session)
        sharing = [part for part in parts if part.started_ms < over_ms and begun_ms < _ended(part)]
        if not sharing:
            return parts
        for part in parts:
            if any(part is each for each in sharing):
                continue
            if part.started_ms in crowded:
                self.skipped[self._cause(part) or "one with another"] += 1
            else:
                self._check_missing(part)
        return sharing

    def _best(self, part: TruePart, sessions: list[Seen]) -> int | None:
        """The session that shares most time with the part; None where none does."""
        best, most_ms = None, -1
        ended_ms = _ended(part)
        before_ms, after_ms = int(self._bounds.start_s[0] * SECOND_MS), int(self._bounds.end_s[1] * SECOND_MS)
        for place, seen in enumerate(sessions):
            start_ms, end_ms = self._span(seen.session)
            if seen.session.user_id != part.user_id:
                continue
            near_ms = min(ended_ms + after_ms, end_ms) - max(part.started_ms - before_ms, start_ms)
            # What a boundary may be off counts only where nothing was there in the part's own time.
            shared_ms = min(ended_ms, end_ms) - max(part.started_ms, start_ms)
            is_same = start_ms == part.started_ms
            rank_ms = shared_ms + DAY_MS * 100 if shared_ms > 0 else near_ms
            if is_same:
                rank_ms = near_ms + DAY_MS * 1_000
            if (is_same or near_ms > 0) and rank_ms > most_ms:
                best, most_ms = place, rank_ms
        return best

    def _crowded(self, parts: list[TruePart]) -> set[int]:
        """When those began that may be one with their neighbours: nobody was told of what lay between."""
        if self._heard is None:
            return set()
        pairs = [pair for pair in pairwise(parts) if not self._is_clear(_ended(pair[0]), pair[1].started_ms)]
        return {part.started_ms for pair in pairs for part in pair}

    def _check_missing(self, part: TruePart) -> None:
        energy, heard = part.energy_kwh() - self._amounts.unread_kwh(part), self._heard
        if cause := self._cause(part):
            self.skipped[cause] += 1
            return
        is_unmanaged = part.policy is None or not self._bounds.knows_place
        if heard is not None:
            told_ms = heard.first_in(part.started_ms, _ended(part), [])
            # Of whose end nobody was told yet, that goes on, for all that anybody can know.
            if told_ms is None or not self._is_told(part) or not heard.was_out(_ended(part), NEVER_MS):
                self.skipped["nobody was told"] += 1
                return
            is_unmanaged = is_unmanaged or not heard.was_placed(told_ms, _ended(part))
            energy -= sum(stretch.energy_kwh(part.started_ms, told_ms) for stretch in part.stretches)
        least = _OBSERVED_KWH + max(ROUNDING_KWH, self._bounds.energy_kwh * 2)
        least += self._bounds.energy_gap_s / 3_600 * part.full_kw
        self.skipped["hardly charged" if is_unmanaged else "missing"] += 1
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

    def _compare(self, parts: list[TruePart], seen: Seen, came: list[tuple[int, int]], crowded: set[int]) -> None:
        bounds, part, session = self._bounds, parts[0], seen.session
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
            gaps = [self._is_gap_seen(_ended(one), later.started_ms) for one, later in pairwise(whole)]
            if any(gaps) and not any(map(self._is_touched, whole)):
                self._report("a visit comes out once", part, f"{session.id} stands for {len(whole)}")
            part = whole[0] if len(whole) == 1 else part
        last = parts[-1] if len(parts) > 1 and part is parts[0] else part
        self.skipped.update(self._cause(each) or "one with another" for each in parts if each is not part)
        start_ms, end_ms = self._span(session)
        told_ms = self._told_ms(part, came)
        cause = self._cause(part)
        if cause is None and part.started_ms in crowded:
            cause = "one with another"
        elif cause is None and (told_ms is None or not self._is_told(part)):
            cause = "nobody was told"
        elif cause is None and self._heard is not None:
            cause = self._muddled(part, seen, came)
        if cause is not None or told_ms is None:
            self.skipped[cause or ""] += 1
            return
        self.compared += 1
        is_joined = self._is_joined(part, start_ms)
        if not is_joined and not part.started_ms <= start_ms <= told_ms:
            self._check_time("a session begins with its visit", part, start_ms - part.started_ms, bounds.start_s)
        self._check_time("a session ends with its visit", part, end_ms - _ended(last), bounds.end_s)
        if bounds.knows_place and not is_joined:
            self._check_place(part, session)
        late_kwh = self._late_kwh(last, seen)
        self._amounts.check_totals(parts if last is not part else [part], session, told_ms, late_kwh)
        if last is part:
            self.valued += self._amounts.check_cost(part, session, late_kwh)

    def _late_kwh(self, part: TruePart, seen: Seen) -> float:
        """What a car drew that warmed itself, and told of only when its session had come: no rate of it counts."""
        if self._heard is None:
            return 0.0
        read_ms = self._heard.last_read(part.started_ms, _ended(part), seen.at_ms)
        warmed = [stretch for stretch in part.stretches if stretch.curve is None]
        return sum(stretch.energy_kwh(read_ms, _ended(part)) for stretch in warmed)

    def _muddled(self, part: TruePart, seen: Seen, came: list[tuple[int, int]]) -> str | None:
        """Why what came late, and in any order, made another session of the part than its own; null: it did not."""
        heard, end_ms = self._heard, self._span(seen.session)[1]
        if heard is None:
            return None
        if heard.first_in(part.started_ms, _ended(part), came, seen.at_ms) is None:
            return "a charge was inferred before its plug was told"
        if self._bounds.may_split and end_ms < _ended(part) and heard.is_silent(end_ms, _ended(part)):
            return "silent, then another counter"
        return None

    def _check_place(self, part: TruePart, session: Session) -> None:
        place, policy_id = part.location_id, part.policy and part.policy.id
        if self._heard is not None:
            is_told = self._heard.was_placed(max(part.plugged_in_ms, self._span(session)[0]), _ended(part))
            if is_told is None:
                return
            place, policy_id = (place, policy_id) if is_told else (None, None)
        if (policy_id, place) != (session.policy_id, session.location_id):
            detail = f"{session.policy_id} at {session.location_id} for {policy_id} at {place}"
            self._report("a session has its visit's place and policy", part, detail)

    def _cause(self, part: TruePart) -> str | None:
        """Why nobody can say what a session should show of the part; null: it can be said."""
        if part.is_doubtful:
            return "the rules leave it open"
        if self._is_touched(part):
            return "policy or owner changed"
        return "put back at once" if self._bounds.may_split and part.replugs else None

    def _told_ms(self, part: TruePart, came: list[tuple[int, int]]) -> int | None:
        """Since when anybody could know of the part; null: nobody ever could."""
        if self._heard is None:
            return part.started_ms
        return self._heard.first_in(part.started_ms, _ended(part), came)

    def _is_told(self, part: TruePart) -> bool:
        """Whether a word of its plug arrived that nobody can miss."""
        return self._heard is None or self._heard.was_in(part.started_ms, _ended(part))

    def _is_joined(self, part: TruePart, start_ms: int) -> bool:
        """Of no unplug before it anybody was told: to all that anybody knew, an earlier visit went on."""
        return self._heard is not None and start_ms < part.started_ms and self._heard.is_in_before(part.started_ms)

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

    def _check_time(self, law: str, part: TruePart, off_ms: int, allowed_s: tuple[float, float]) -> None:
        if not -allowed_s[0] * SECOND_MS <= off_ms <= allowed_s[1] * SECOND_MS:
            self._report(law, part, f"off by {off_ms / 1_000:.3f} s")

    def _report(self, law: str, part: TruePart, detail: str) -> None:
        where = f"visit {moment(part.started_ms)} to {moment(_ended(part))} at {part.location_id}: "
        self._report_to(Finding(law=law, vehicle_id=self._vehicle_id, at=moment(_ended(part)), detail=where + detail))


def _ended(part: TruePart) -> int:
    return part.started_ms if part.ended_ms is None else part.ended_ms
