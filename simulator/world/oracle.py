"""What really happened to one car, counted the oracle's own way: true visits, their parts, and the energy in them.

It hears of plugs, policies and power from the world itself, never from a message. A part is what one session has to
show: a visit, cut where a policy lets go of it. Policies are judged by the published rules, in this module's own words.
"""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from models.ids import ChargerId, LocationId, PolicyId, UserId
from models.policy import VehiclePolicy
from simulator.world.battery import ChargeCurve
from simulator.world.moments import HOUR_MS, QUARTER_MS, SECOND_MS

# A plug that is back after no longer than this never left.
DEBOUNCE_MS: Final = 60 * SECOND_MS
# The newest changes of policy or owner that are remembered, and of what people did besides.
_TOUCHES_LIMIT: Final = 64


class Stretch(Struct):
    """Power that flowed from `start_ms` to `end_ms`: along a curve from `start_percent` on, or flat without one.

    `efficiency`: the share of the grid's energy that reaches the battery. `flat_kw`: at the grid.
    """

    start_ms: int
    end_ms: int
    start_percent: float
    limit_percent: float
    curve: ChargeCurve | None
    efficiency: float = 1.0
    flat_kw: float = 0.0

    def energy_kwh(self, from_ms: int, to_ms: int) -> float:
        """The grid's energy between two moments."""
        from_ms, to_ms = max(from_ms, self.start_ms), min(to_ms, self.end_ms)
        if to_ms <= from_ms:
            return 0.0
        if self.curve is None:
            return self.flat_kw * (to_ms - from_ms) / HOUR_MS
        gained = self.level_at(to_ms) - self.level_at(from_ms)
        return gained / 100 * self.curve.capacity_kwh / self.efficiency

    def level_at(self, at_ms: int) -> float:
        """The battery's level in % at a moment of it."""
        at_ms = min(max(at_ms, self.start_ms), self.end_ms)
        if self.curve is None:
            return self.start_percent
        return self.curve.level_after(self.start_percent, (at_ms - self.start_ms) / 1_000, self.limit_percent)


class TruePart(Struct, kw_only=True):
    """One part of a visit as it was. `ended_ms` null: it goes on. `known_ms`: when its end could be known for sure.

    `policy`: who managed it, if anybody did. `is_cut`: a policy ended it, not the plug. `is_doubtful`: the rules leave
    open whether it is a part at all (a policy's change while an unplug waits to be confirmed). `is_flat`: it drew power
    without charging. `replugs`: how often the plug was out and back. `untold_kwh`: what had been drawn but not told
    when it was cut off, at either end. `before_kwh`, `replugs_before`: of the parts before it in its visit, whose
    counter goes on. `curve`: what its charger can give, up to the car's `limit_percent`. `meddled`: what people did
    that no plan could reckon with.
    """

    user_id: UserId
    location_id: LocationId | None
    plugged_in_ms: int
    started_ms: int
    level_from: float
    ended_ms: int | None = None
    known_ms: int | None = None
    level_to: float = 0.0
    policy: VehiclePolicy | None = None
    managed_ms: int | None = None
    stretches: list[Stretch]
    is_cut: bool = False
    is_doubtful: bool = False
    is_flat: bool = False
    replugs: int = 0
    untold_kwh: float = 0.0
    before_kwh: float = 0.0
    replugs_before: int = 0
    curve: ChargeCurve | None = None
    limit_percent: float = 100.0
    meddled: str | None = None

    def energy_kwh(self) -> float:
        """The grid's energy in this part."""
        end_ms = self.started_ms if self.ended_ms is None else self.ended_ms
        return sum(stretch.energy_kwh(self.started_ms, end_ms) for stretch in self.stretches)

    def level_at(self, at_ms: int) -> float:
        """The battery's level in % at a moment of this part."""
        begun = [stretch for stretch in self.stretches if stretch.start_ms <= at_ms]
        return begun[-1].level_at(at_ms) if begun else self.level_from

    @property
    def full_kw(self) -> float:
        """The most power that flowed."""
        return max(
            (
                stretch.flat_kw if stretch.curve is None else stretch.curve.rate_kw / stretch.efficiency
                for stretch in self.stretches
            ),
            default=0.0,
        )

    def steady_ms(self) -> int:
        """The longest time for which full power flowed without a break: a curve's, below its knee."""
        end_ms = self.started_ms if self.ended_ms is None else self.ended_ms
        longest_ms = 0
        for stretch in self.stretches:
            curve = stretch.curve
            if curve is None or curve.rate_kw / stretch.efficiency < self.full_kw:
                continue
            flat_s = curve.seconds_to(stretch.start_percent, min(curve.knee_percent, stretch.limit_percent))
            until_ms = min(stretch.end_ms, end_ms, stretch.start_ms + int(flat_s * SECOND_MS))
            longest_ms = max(longest_ms, until_ms - max(stretch.start_ms, self.started_ms))
        return longest_ms

    def at_full_power(self) -> Iterator[tuple[int, float]]:
        """The same energy by quarter-hours, had it flowed at full power from the beginning of the part on."""
        left, now_ms, full_kw = self.energy_kwh(), self.started_ms, self.full_kw
        while left > 0 and full_kw > 0:
            quarter = now_ms // QUARTER_MS
            next_ms = (quarter + 1) * QUARTER_MS
            energy = min(left, full_kw * (next_ms - now_ms) / HOUR_MS)
            yield quarter, energy
            left, now_ms = left - energy, next_ms

    def by_quarter(self) -> Iterator[tuple[int, float]]:
        """Energies (kWh) of the quarter-hours (counted from 1970) in which power flowed."""
        end_ms = self.started_ms if self.ended_ms is None else self.ended_ms
        for stretch in self.stretches:
            first_ms, last_ms = max(stretch.start_ms, self.started_ms), min(stretch.end_ms, end_ms)
            for quarter in range(first_ms // QUARTER_MS, -(-last_ms // QUARTER_MS)):
                energy = stretch.energy_kwh(
                    max(first_ms, quarter * QUARTER_MS), min(last_ms, (quarter + 1) * QUARTER_MS)
                )
                if energy > 0:
                    yield quarter, energy


class Oracle:
    """The truth of one car. Parts that are over are taken away with `finished`."""

    __slots__ = (
        "_charger_id", "_out_ms", "_out_percent", "_over", "_part", "_wished", "limits", "meddlings", "policies",
        "touches",
    )  # fmt: skip

    def __init__(self) -> None:
        self.policies: dict[PolicyId, VehiclePolicy] = {}
        self._part: TruePart | None = None
        self._charger_id: ChargerId | None = None
        self._out_ms: int | None = None
        self._out_percent = 0.0
        self._over: list[TruePart] = []
        # The policy whose next visit somebody has wished something for.
        self._wished: PolicyId | None = None
        # When a policy or the owner changed, the newest times (ms).
        self.touches: list[int] = []
        # When somebody started the car by hand, set its limit or wished for another target, the newest times (ms).
        self.meddlings: list[int] = []
        # The car's own limits (%), and since when each (ms): the newest that were set.
        self.limits: list[tuple[int, float]] = []

    def finished(self, now_ms: int) -> list[TruePart]:
        """The parts that are over and have not been taken yet."""
        self._confirm(now_ms)
        over, self._over = self._over, []
        return over

    @property
    def is_open(self) -> bool:
        """Whether a visit is open, or was until just now."""
        return self._part is not None

    @property
    def part(self) -> TruePart | None:
        """The open part."""
        return self._part

    def plug_in(
        self,
        at_ms: int,
        user_id: UserId,
        location_id: LocationId | None,
        charger_id: ChargerId | None,
        percent: float,
        untold_kwh: float = 0.0,
    ) -> None:
        """The plug went in. Within the debounce, and at the same charger, it never left."""
        self._confirm(at_ms)
        part = self._part
        if part is not None:
            is_other = None not in {charger_id, self._charger_id} and charger_id != self._charger_id
            if not is_other:
                self._out_ms = None
                part.replugs += 1
                part.meddled = "plug pulled"
                self._charger_id = charger_id or self._charger_id
                return
            self._close(at_ms)
        self._charger_id = charger_id
        self._part = part = TruePart(
            user_id=user_id,
            location_id=location_id,
            plugged_in_ms=at_ms,
            started_ms=at_ms,
            level_from=percent,
            stretches=[],
            untold_kwh=untold_kwh,
        )
        self._take_over(part, at_ms)

    def plug_out(self, at_ms: int, percent: float) -> None:
        """The plug went out: the visit is over unless it comes back."""
        self._confirm(at_ms)
        if self._part is not None and self._out_ms is None:
            self._out_ms, self._out_percent = at_ms, percent

    def flow(self, stretch: Stretch) -> None:
        """Power flows from now on; its end is set when it is known."""
        if self._part is not None:
            self._part.stretches.append(stretch)

    def offer(self, curve: ChargeCurve, limit_percent: float) -> None:
        """What the charger of the visit that begins can give, and up to where."""
        if self._part is not None:
            self._part.curve, self._part.limit_percent = curve, limit_percent

    def meddle(self, how: str) -> None:
        """Somebody did what no plan could reckon with."""
        if self._part is not None:
            self._part.meddled = how

    def wish(self, at_ms: int, policy_id: PolicyId) -> None:
        """Somebody wished something of a policy's session: of the one that is open, or else of the next."""
        self.note_meddling(at_ms)
        part = self._part
        if part is not None and part.policy is not None and part.policy.id == policy_id:
            part.meddled = "target wished"
        else:
            self._wished = policy_id

    def change_user(self, at_ms: int, last_told_ms: int) -> None:
        """Another user's first word: the open visit was over with the last word of the one before."""
        self._touch(at_ms)
        self._confirm(at_ms)
        if self._part is not None:
            if self._out_ms is None:
                self._out_ms, self._out_percent = last_told_ms, self._part.level_at(last_told_ms)
            self._close(at_ms)

    def write_policy(self, at_ms: int, policy: VehiclePolicy, percent: float, untold_kwh: float) -> None:
        """A policy was written. One that may not stand beside the others is refused, and changes nothing."""
        self._touch(at_ms)
        known = self.policies.get(policy.id)
        if known is not None and (known.user_id, known.vehicle_id) != (policy.user_id, policy.vehicle_id):
            return
        if policy.is_enabled and any(
            other.id != policy.id
            and other.is_enabled
            and (other.user_id, other.location_id) == (policy.user_id, policy.location_id)
            for other in self.policies.values()
        ):
            return
        self._confirm(at_ms)
        self.policies[policy.id] = policy
        part = self._part
        if part is None:
            return
        if part.policy is not None and part.policy.id == policy.id:
            if not policy.is_enabled or policy.location_id != part.policy.location_id:
                self._cut(at_ms, percent, untold_kwh)
            else:
                part.policy, part.meddled = policy, "policy changed"
        if self._part is not None:
            self._take_over(self._part, at_ms)

    def delete_policy(self, at_ms: int, policy_id: PolicyId, percent: float, untold_kwh: float) -> None:
        """A policy is gone."""
        self._touch(at_ms)
        self._confirm(at_ms)
        self.policies.pop(policy_id, None)
        part = self._part
        if part is not None and part.policy is not None and part.policy.id == policy_id:
            self._cut(at_ms, percent, untold_kwh)
            self._take_over(self._part or part, at_ms)

    def note_meddling(self, at_ms: int) -> None:
        """Somebody does what no plan could know."""
        self.meddlings.append(at_ms)
        del self.meddlings[:-_TOUCHES_LIMIT]

    def set_limit(self, at_ms: int, percent: float) -> None:
        """The car's own limit is another from now on."""
        self.note_meddling(at_ms)
        self.meddle("limit changed")
        self.limits.append((at_ms, percent))
        del self.limits[:-_TOUCHES_LIMIT]

    def _touch(self, at_ms: int) -> None:
        self.touches.append(at_ms)
        del self.touches[:-_TOUCHES_LIMIT]

    def _take_over(self, part: TruePart, at_ms: int) -> None:
        if part.policy is not None or part.location_id is None:
            return
        for policy in self.policies.values():
            if policy.is_enabled and (policy.user_id, policy.location_id) == (part.user_id, part.location_id):
                part.policy, part.managed_ms = policy, at_ms
                if policy.id == self._wished:
                    self._wished, part.meddled = None, "target wished"
                part.is_doubtful = part.is_doubtful or self._out_ms is not None
                return

    def _cut(self, at_ms: int, percent: float, untold_kwh: float) -> None:
        """A policy lets go: the part ends, and the next one begins."""
        part = self._part
        assert part is not None
        at_ms = max(at_ms, part.started_ms + 1)
        self._part = TruePart(
            user_id=part.user_id,
            location_id=part.location_id,
            plugged_in_ms=part.plugged_in_ms,
            started_ms=at_ms,
            level_from=percent,
            stretches=[stretch for stretch in part.stretches if stretch.end_ms > at_ms],
            is_doubtful=self._out_ms is not None,
            is_flat=part.is_flat,
            untold_kwh=untold_kwh,
        )
        part.untold_kwh += untold_kwh
        part.is_cut = True
        part.ended_ms = at_ms if self._out_ms is None else self._out_ms
        part.known_ms, part.level_to = at_ms, percent
        self._part.before_kwh = part.before_kwh + part.energy_kwh()
        self._part.replugs_before = part.replugs_before + part.replugs
        self._over.append(part)

    def _confirm(self, now_ms: int) -> None:
        """Nothing comes back after the debounce."""
        if self._out_ms is not None and now_ms > self._out_ms + DEBOUNCE_MS:
            self._close(self._out_ms + DEBOUNCE_MS)

    def _close(self, known_ms: int) -> None:
        part = self._part
        assert part is not None
        assert self._out_ms is not None or known_ms
        part.ended_ms = known_ms if self._out_ms is None else self._out_ms
        part.known_ms, part.level_to = known_ms, self._out_percent
        self._over.append(part)
        self._part, self._out_ms, self._charger_id = None, None, None
