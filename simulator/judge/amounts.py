"""What a session shows of energy, levels, cost and savings, held against its true parts."""

from collections.abc import Callable, Iterable
from typing import Final

from models.ids import Zone
from models.session import Session
from simulator.judge.bounds import CLEAN_SHARE, ROUNDING_KWH, Bounds
from simulator.judge.metered import Metered
from simulator.world.market import Market
from simulator.world.moments import DAY_MS, MINUTE_MS, QUARTER_MS, millis
from simulator.world.oracle import TruePart

# So long after the plug a car reads its meter first. A level may fill these seconds with an even share of its rise.
_FIRST_READ_S: Final = 2
# Less energy than that may lie on either side of a quarter-hour's edge.
_PRICED_KWH: Final = 0.02
# After so long at full power it is known: means of two windows in a row, of samples that are 10 min apart at most.
_STEADY_MS: Final = 35 * MINUTE_MS
# A mean over minutes is counted in whole Wh, so that full power is known to this share.
_POWER_SHARE: Final = 0.005
# A counter that falls by no more than this is taken for noise, so each replug may hide as much, of whatever is charged
# next: in a later part of the visit, if a policy let go of it meanwhile.
_REPLUG_KWH: Final = 0.1

Report = Callable[[str, TruePart, str], None]


class Amounts:
    """The amounts of one car's sessions. `metered`: what its feed delivered of the meter; null: all that counts."""

    __slots__ = ("_bounds", "_market", "_metered", "_report")

    def __init__(self, bounds: Bounds, market: Market, metered: Metered | None, report: Report) -> None:
        self._bounds = bounds
        self._market = market
        self._metered = metered
        self._report = report

    def check_totals(self, parts: list[TruePart], session: Session, told_ms: int, late_kwh: float = 0.0) -> None:
        """Energy and levels of these parts together. `told_ms`: since when anybody could know of the first of them.

        `late_kwh`: what was told too late to count.
        """
        bounds, part, totals = self._bounds, parts[0], session.statistics.aggregated
        if totals is None:
            return
        energy = sum(each.energy_kwh() for each in parts)
        off = abs(totals.kwh_sum - energy)
        gap_kwh = bounds.energy_gap_s / 3_600 * part.full_kw
        share_kwh = bounds.energy_share * energy + (bounds.energy_share - CLEAN_SHARE) * part.before_kwh
        untold_kwh = sum(stretch.energy_kwh(part.started_ms, told_ms) for stretch in part.stretches)
        unread_kwh = sum(map(self.unread_kwh, parts)) + late_kwh
        first_kwh = max(bounds.energy_kwh, _FIRST_READ_S / 3_600 * part.full_kw)
        if off > first_kwh + share_kwh + gap_kwh + untold_kwh + unread_kwh + _slack_kwh(part):
            self._report("a session has its visit's energy", part, f"{totals.kwh_sum} kWh for {energy:.3f}")
        self._check_levels(part, parts[-1], totals.battery_from, totals.battery_to)

    def _check_levels(self, part: TruePart, last: TruePart, level_from: int | None, level_to: int | None) -> None:
        bound = self._bounds.level_percent
        if bound is None or part.is_cut:
            return
        for name, told, true in (("from", level_from, part.level_from), ("to", level_to, last.level_to)):
            if name == "from" and part.started_ms != part.plugged_in_ms:
                continue
            if told is None or not true - 1 - bound <= told <= true + bound:
                self._report("a session has its visit's levels", part, f"{name} {told} for {true:.2f}")

    def check_cost(self, part: TruePart, session: Session, late_kwh: float = 0.0) -> bool:
        """What it cost and saved; tells whether the savings could be held against the truth. `late_kwh`: as above."""
        bound = self._bounds.money
        if bound is None or part.policy is None or not self._bounds.knows_place:
            return False
        zone, at_ms = part.policy.zone, part.known_ms or 0
        if zone is None:
            if session.valuation is not None:
                self._report("no price, no cost", part, session.id)
            return False
        cost, dearest, is_priced = self._cost(part.by_quarter(), zone, at_ms)
        if session.valuation is None:
            if is_priced and self._is_priced(part, at_ms):
                self._report("what has prices has a cost", part, f"{session.id}: {cost:.4f}")
            return False
        if not is_priced and not self._is_hidden(part, session, zone, at_ms):
            self._report("no price, no cost", part, f"{session.id}: {session.valuation}")
            return False
        told = session.valuation.tariff_cost
        loose = (_slack_kwh(part) + self._off_kwh(part) + late_kwh) * dearest + (0.05 if part.is_flat else 0.0)
        if abs(told.actual - cost) > bound + loose:
            self._report("a session costs what its energy cost", part, f"{session.id}: {told.actual} for {cost:.4f}")
        knows_power = self._bounds.knows_power and self._off_kwh(part) < 1e-9 and not part.is_flat
        if not knows_power or part.steady_ms() < _STEADY_MS:
            return False
        # Prices beyond the end may be needed, and missing: then nothing was told.
        reference, dearest, _ = self._cost(part.at_full_power(), zone, at_ms)
        # What nobody had told is missing in both, at the price of each.
        loose += (_POWER_SHARE * part.energy_kwh() + _slack_kwh(part)) * dearest
        if abs(told.savings - (reference - cost)) > bound + loose:
            detail = f"{session.id}: {told} for {reference:.4f} less {cost:.4f}"
            self._report("a session saves what its shift in time saved", part, detail)
        return True

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
        return told_kwh + bounds.energy_gap_s / 3_600 * part.full_kw + self.unread_kwh(part)

    def unread_kwh(self, part: TruePart) -> float:
        """How far the part's energy may be off where rates alone told of it."""
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

    def _is_priced(self, part: TruePart, at_ms: int) -> bool:
        """Whether every price that a baseline could need is known: from the start for a day beyond the end."""
        assert part.policy is not None
        assert part.policy.zone is not None
        ended_ms = part.started_ms if part.ended_ms is None else part.ended_ms
        first, last = part.started_ms // QUARTER_MS, (ended_ms + DAY_MS) // QUARTER_MS
        return all(self._market.price(part.policy.zone, quarter, at_ms) is not None for quarter in range(first, last))


def _slack_kwh(part: TruePart) -> float:
    """What the rules themselves leave open: what nobody had told when a part was cut off, and counters begun anew."""
    return part.untold_kwh + (part.replugs + part.replugs_before) * _REPLUG_KWH
