"""One walk under way: what each reading does to the energies, and what stays open for the readings after it."""

from itertools import chain
from math import inf
from typing import Final

from msgspec import structs

from sessions.counters import Run, Step, is_step_steep, read
from sessions.energy import Bare, Charging, Energy, Frame
from sessions.grid import HOUR_US, MINUTE_US, QUARTER_US, SpanUs, clipped, micros, shares_wh
from sessions.levels import COUNTER_HOLDS_US, GAP_US, IDLE_RISE_PERCENT, Rise, lift_wh, next_highest, risen_percent

# A vehicle that still charges says so again within this time.
RATE_HOLDS_US: Final = 15 * MINUTE_US
# A counter may show so much more than a level's rise: two roundings of the level, half as much again for a capacity
# that is not right, and what a car draws that warms itself.
LEVEL_SLACK_PERCENT: Final = 2.0
LEVEL_SLACK_SHARE: Final = 1.5
BESIDE_BATTERY_W: Final = 10_000
# Charges kept apart, and stretches kept apart that only a level can fill; beyond it the oldest two become one.
SPANS_LIMIT: Final = 64
# Of what is told for one moment, the states come first and the levels last: each is judged by those before.
OFF, ON, COUNTER, RATE, LEVEL = range(5)


class Walker:
    """A walk under way; it lives within one call of `walk`."""

    def __init__(self, energy: Energy, frame: Frame, newest_level: tuple[int, float] | None) -> None:
        self._frame = frame
        self._newest_level = newest_level
        self._tail_from = energy.tail_from
        self._tail_wh = list(energy.tail_wh)
        self._sum_wh = energy.sum_wh
        self._passed_us = energy.passed_us
        self._run = energy.run
        self._charging = energy.charging
        self._rate = energy.rate
        self._rest = energy.rest
        self._worse = energy.worse
        self._bare = energy.bare
        self._rise = energy.rise
        self._given_wh = energy.given_wh
        self._is_known = energy.is_known
        self._implausible_steps = energy.implausible_steps
        self._restarts = energy.restarts

    def end(self) -> tuple[Energy, list[int]]:
        """Where the walk has come, and all energies from where it began."""
        tail_wh = self._tail_wh
        kept_us = self._passed_us if self._run is None else min(self._passed_us, self._run.read_us)
        if self._bare:
            kept_us = min(kept_us, self._bare[0][0])
        # What is put at the very end of a quarter-hour, when the vehicle is unplugged there, lies before it.
        tail_from = max((kept_us - 1) // QUARTER_US, self._tail_from)
        while tail_wh and not tail_wh[-1]:
            tail_wh.pop()
        energy = Energy(
            tail_from,
            self._passed_us,
            tuple(tail_wh[tail_from - self._tail_from :]),
            self._sum_wh,
            self._run,
            self._charging,
            self._rate,
            self._rest,
            self._worse,
            self._bare,
            self._rise,
            self._given_wh,
            self._is_known,
            self._implausible_steps,
            self._restarts,
        )
        return energy, tail_wh

    def has_bare_before_counter(self) -> bool:
        """Whether the counter was read, and time before that is covered by nothing."""
        return self._run is not None and bool(self._bare) and self._bare[0][0] < self._run.read_us

    def take(self, at_us: int, kind: int, value: float) -> None:
        """Take one reading of that kind."""
        if kind == COUNTER:
            self.read_counter(at_us, int(value))
        elif kind == RATE:
            self.take_rate(at_us, int(value))
        elif kind == LEVEL:
            self.take_level(at_us, value)
        else:
            self.take_state(at_us, is_on=kind == ON)

    def take_state(self, at_us: int, *, is_on: bool) -> None:
        """The vehicle is said to charge or not to; that holds until it is said to do otherwise."""
        charging = self._charging
        if charging.is_on is is_on or at_us <= self._frame.states_after_us:
            return
        self.pass_to(at_us)
        spans = charging.spans
        if charging.is_on and charging.since_us < at_us:
            spans = (*spans, (charging.since_us, at_us))
            if len(spans) > SPANS_LIMIT:
                spans = ((spans[0][0], spans[1][1]), *spans[2:])
        self._charging = Charging(is_on, at_us, spans)

    def take_rate(self, at_us: int, rate_w: int) -> None:
        """The vehicle charges at this rate from now on."""
        if at_us < self._frame.open_us or (self._rate is not None and at_us <= self._rate[0]):
            return
        self.pass_to(at_us)
        self._rate = (at_us, rate_w)

    def read_counter(self, at_us: int, counter_wh: int) -> None:
        """The counter shows so much; what it gained since it was last read is energy, if it is the same run."""
        run, frame = self._run, self._frame
        if at_us < frame.baseline_us or (run is not None and at_us <= run.read_us):
            return
        if run is None or at_us < frame.open_us:
            self.pass_to(at_us)
            self._run = Run(at_us, at_us, counter_wh)
            return
        charging = self._charging
        if run.before_zero_wh:
            # The rate is asked what the zero meant.
            self.pass_to(at_us)
        is_lone_zero = not run.highest_wh and run.began_us == run.read_us
        step, self._run = read(
            run,
            at_us,
            counter_wh,
            limit_wh=self._seen_wh(run, at_us) if is_lone_zero else frame.limit_wh,
            is_idle=charging.is_on is False,
            is_first=run.read_us < frame.open_us,
            is_counting=run.before_zero_wh > 0 and self._is_counting(run),
            given_wh=self._given_wh + sum(energy_wh for _, energy_wh in self._worse) if run.before_zero_wh else 0,
        )
        if step is Step.RISES:
            self._cover(run.read_us, at_us, max(counter_wh - run.highest_wh, 0))
            return
        self.pass_to(at_us)
        self._worse = ()
        self._given_wh = 0
        if step is Step.IMPLAUSIBLE:
            self._implausible_steps += 1
        else:
            self._restarts += 1

    def _seen_wh(self, run: Run, at_us: int) -> float:
        """The most that can have been charged since a run's one reading, by the levels told before and after it."""
        frame, rise, newest = self._frame, self._rise, self._newest_level
        if rise is None or newest is None or frame.limit_wh == inf or rise.told_us > run.read_us or newest[0] < at_us:
            return frame.limit_wh
        risen_wh = (risen_percent(rise.percent, newest[1]) + LEVEL_SLACK_PERCENT) * frame.wh_per_percent
        beside_wh = BESIDE_BATTERY_W * (at_us - run.read_us) // HOUR_US
        return min(frame.limit_wh, LEVEL_SLACK_SHARE * risen_wh + beside_wh)

    def _is_counting(self, run: Run) -> bool:
        """Whether a counter that showed zero as the charge began counts that charge.

        It does if it showed zero before that and after it; or if it had given nothing in its visit: it held what a
        charge before that had brought. Else a zero at that very moment may as well mean nothing.
        """
        charging = self._charging
        if not charging.is_on or not run.began_us <= charging.since_us <= run.read_us:
            return False
        return run.began_us < charging.since_us or (self._frame.open_us > 0 and not self._sum_wh)

    def take_level(self, at_us: int, percent: float) -> None:
        """The battery is at this level; its rise counts where nothing better covers the time since it was told."""
        rise = self._rise
        if at_us < self._frame.started_us or (rise is not None and at_us <= rise.told_us):
            return
        self.pass_to(at_us)
        if rise is None:
            self._rise = Rise(at_us, percent, at_us, percent, self._sum_wh)
            return
        read_us = 0 if self._run is None else self._run.read_us
        is_counted = at_us - read_us < COUNTER_HOLDS_US
        usable = _until(self._bare, read_us) if is_counted else self._bare
        rise_percent = risen_percent(rise.highest_percent, percent)
        is_idle = all(is_on is False for _, _, is_on in usable)
        if is_idle and is_counted and self._sum_wh > rise.base_wh and _bare_us(usable) < GAP_US:
            # It rose while the counter told of it; a capacity or efficiency that is not quite right explains the rest.
            self._bare = self._bare[len(usable) :]
            usable = ()
        if usable and not (is_idle and 0 < rise_percent <= IDLE_RISE_PERCENT):
            self._bare = self._bare[len(usable) :]
            self._lift(at_us, percent, rise, usable)
        elif usable or (is_counted and at_us > read_us):
            self._rise = structs.replace(rise, told_us=at_us, percent=percent, since_wh=0)
        else:
            self._rise = Rise(at_us, percent, at_us, next_highest(rise.highest_percent, percent), self._sum_wh)

    def pass_to(self, until_us: int) -> None:
        """Let time pass: the rate holds for a while, and what it does not cover is bare."""
        start_us, frame = self._passed_us, self._frame
        if until_us <= start_us:
            return
        self._passed_us = until_us
        if frame.unplugged_us is not None:
            until_us = min(until_us, frame.unplugged_us)
        if until_us <= start_us:
            return
        held_us = start_us
        if self._rate is not None:
            held_us = max(min(until_us, self._rate[0] + RATE_HOLDS_US), start_us)
            if held_us > start_us:
                self._is_known = True
                if self._rate[1] and self._charging.is_on is not False:
                    self._integrate(start_us, held_us, self._rate[1])
        if held_us < until_us and self._rise is not None:
            self._leave_bare(held_us, until_us)

    def _cover(self, start_us: int, end_us: int, energy_wh: int) -> None:
        """The counter tells the energy of a stretch, and replaces whatever else told of it."""
        self._is_known = True
        self._passed_us = max(self._passed_us, end_us)
        replaced_wh = self._drop_worse()
        self._bare = _until(self._bare, start_us)
        if self._given_wh:
            energy_wh, self._given_wh = max(energy_wh - self._given_wh, 0), 0
        if energy_wh:
            self._place(energy_wh, start_us, end_us)
        rise = self._rise
        if rise is None:
            return
        since_wh = rise.since_wh - replaced_wh + energy_wh
        if rise.told_us > start_us:
            since_wh = energy_wh * max(end_us - rise.told_us, 0) // (end_us - start_us)
        if self._bare:
            self._rise = structs.replace(rise, since_wh=since_wh)
            return
        highest_percent = next_highest(rise.highest_percent, rise.percent)
        told_us, percent = rise.told_us, rise.percent
        self._rise = Rise(told_us, percent, told_us, highest_percent, self._sum_wh - since_wh, since_wh)

    def _lift(self, at_us: int, percent: float, rise: Rise, bare: tuple[Bare, ...]) -> None:
        """Add what a rise shows beyond what was given since it began, onto the time that nothing better covers."""
        spans = [(start_us, end_us) for start_us, end_us, _ in bare]
        bare_us = _length_us(spans)
        open_us = _open_us(bare) if bare_us < GAP_US else bare_us
        # What is bare may have begun before the rise.
        passed_us = max(at_us - rise.base_us - (bare_us - open_us), open_us)
        rise_wh = round(risen_percent(rise.highest_percent, percent) * self._frame.wh_per_percent)
        energy_wh = lift_wh(rise_wh, self._sum_wh - rise.base_wh, open_us, passed_us)
        if self._is_known and self._frame.limit_wh == inf and bare_us < GAP_US:
            # Nobody told the capacity: by a guessed one no level may correct what was counted but for a moment.
            energy_wh = 0
        if is_step_steep(energy_wh, bare_us):
            self._implausible_steps += 1
        elif energy_wh:
            self._place_lift(energy_wh, bare, spans)
        self._rise = Rise(at_us, percent, at_us, next_highest(rise.highest_percent, percent), self._sum_wh)

    def _place_lift(self, energy_wh: int, bare: tuple[Bare, ...], spans: list[SpanUs]) -> None:
        """Put what a level adds; a counter that goes on may replace it from its last reading on, but not before."""
        read_us = 0 if self._run is None else self._run.read_us
        quarter, end_us = spans[0][0] // QUARTER_US, spans[-1][1]
        if end_us <= read_us and (end_us - 1) // QUARTER_US == quarter:
            # When within a quarter-hour it was charged makes no difference.
            self._put(quarter, energy_wh)
            return
        charging = [(start_us, end_us) for start_us, end_us, is_charging in bare if is_charging]
        spans = charging or self._planned(spans) or spans
        final = clipped(spans, 0, read_us)
        final_wh = energy_wh * _length_us(final) // _length_us(spans)
        if final:
            for quarter, share_wh in shares_wh(final_wh, final).items():
                self._put(quarter, share_wh)
        if len(final) < len(spans):
            for quarter, share_wh in shares_wh(energy_wh - final_wh, spans[len(final) :]).items():
                self._give(quarter, share_wh)

    def _place(self, energy_wh: int, start_us: int, end_us: int) -> None:
        """Put a counter's difference where it was charged: within the part, and before the vehicle was unplugged."""
        frame = self._frame
        if frame.unplugged_us is not None:
            end_us = min(end_us, frame.unplugged_us)
        start_us = max(start_us, frame.started_us)
        if start_us // QUARTER_US >= (end_us - 1) // QUARTER_US:
            self._put((end_us - 1) // QUARTER_US, energy_wh)
            return
        charging = self._charging
        spans = list(chain(charging.spans, [(charging.since_us, end_us)] if charging.is_on else []))
        known = clipped(spans, start_us, end_us)
        whole = [(start_us, end_us)]
        for quarter, share_wh in shares_wh(energy_wh, known or self._planned(whole) or whole).items():
            self._put(quarter, share_wh)

    def _planned(self, spans: list[SpanUs]) -> list[SpanUs]:
        planned = [(micros(start), micros(end)) for start, end in self._frame.planned()]
        return [inside for start_us, end_us in spans for inside in clipped(planned, start_us, end_us)]

    def _integrate(self, start_us: int, end_us: int, rate_w: int) -> None:
        while start_us < end_us:
            quarter = start_us // QUARTER_US
            stop_us = min(end_us, (quarter + 1) * QUARTER_US)
            total = self._rest + rate_w * (stop_us - start_us)
            energy_wh = (2 * total + HOUR_US) // (2 * HOUR_US)
            self._rest = total - energy_wh * HOUR_US
            self._give(quarter, energy_wh)
            if self._rise is not None:
                self._rise = structs.replace(self._rise, since_wh=self._rise.since_wh + energy_wh)
            start_us = stop_us

    def _leave_bare(self, start_us: int, end_us: int) -> None:
        bare, is_on = self._bare, self._charging.is_on
        is_read = self._run is not None and self._run.read_us == start_us
        if bare and bare[-1][1:] == (start_us, is_on) and not is_read:
            bare, start_us = bare[:-1], bare[-1][0]
        self._bare = (*bare, (start_us, end_us, is_on))
        if len(self._bare) > SPANS_LIMIT:
            (one_us, _, was_on), (_, other_us, is_on), *others = self._bare
            self._bare = ((one_us, other_us, None if was_on is not is_on else is_on), *others)

    def _give(self, quarter: int, energy_wh: int) -> None:
        """Energy of a source that the counter may still replace."""
        quarter = self._put(quarter, energy_wh)
        if self._run is None:
            return
        if self._worse and self._worse[-1][0] == quarter:
            self._worse = (*self._worse[:-1], (quarter, self._worse[-1][1] + energy_wh))
        else:
            self._worse = (*self._worse, (quarter, energy_wh))

    def _drop_worse(self) -> int:
        replaced_wh = 0
        for quarter, energy_wh in self._worse:
            self._put(quarter, -energy_wh)
            replaced_wh += energy_wh
        self._worse = ()
        self._rest = 0
        return replaced_wh

    def _put(self, quarter: int, energy_wh: int) -> int:
        quarter = max(quarter, self._tail_from)
        place = quarter - self._tail_from
        if place >= len(self._tail_wh):
            self._tail_wh += [0] * (place + 1 - len(self._tail_wh))
        self._tail_wh[place] += energy_wh
        self._sum_wh += energy_wh
        return quarter


def _until(bare: tuple[Bare, ...], end_us: int) -> tuple[Bare, ...]:
    """Of bare stretches those that end by a time; none reaches across a reading of the counter."""
    kept = len(bare)
    while kept and bare[kept - 1][1] > end_us:
        kept -= 1
    return bare[:kept]


def _open_us(bare: tuple[Bare, ...]) -> int:
    """How long it may have charged: nothing rose while it is known to have stood, unless it stood all the time."""
    return _bare_us(tuple(each for each in bare if each[2] is not False)) or _bare_us(bare)


def _bare_us(bare: tuple[Bare, ...]) -> int:
    return sum(end_us - start_us for start_us, end_us, _ in bare)


def _length_us(spans: list[SpanUs]) -> int:
    return sum(end_us - start_us for start_us, end_us in spans)
