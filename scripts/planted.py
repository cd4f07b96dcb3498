"""The judge judged: defects planted one at a time in a copy of the session logic; does the simulated fleet find each?

Each run is `python -m simulation` on clean feeds with the spoilt copy in front of the real one, for at most so many
minutes. A place that the code no longer has is an error: then the list is to be mended. Exit status 1: one was missed.

    make planted
    .venv/bin/python scripts/planted.py --minutes 5 verdict STOP
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Plant:
    """`old` in a module of `src/sessions` becomes `new`; it must be there once."""

    name: str
    module: str
    old: str
    new: str


PLANTS = (
    Plant("a debounce of zero", "events", "unplug_debounce: timedelta = timedelta(seconds=60)",
          "unplug_debounce: timedelta = timedelta(0)"),
    Plant("a lost counter reset", "counters", "if step_wh < -COUNTER_NOISE_WH and",
          "if step_wh < -1000 * COUNTER_NOISE_WH and"),
    Plant("a doubled block", "public", "    return tuple(blocks)", "    return tuple([*blocks[:1], *blocks])"),
    Plant("a skipped version", "parts", "session.version + 1,",
          "session.version + (2 if session.version == 7 else 1),"),
    Plant("a settled session that moves", "parts", "    step.keep_session(managed.policy.id, None)",
          "    step.outputs.append(structs.replace(step.outputs[-1], version=session.version + 2))\n"
          "    step.keep_session(managed.policy.id, None)"),
    Plant("no next session after some", "visits", "    if policy_id is not None:\n"
          "        open_session(step, policy_id, at)\n\n\ndef visit_end",
          "    if policy_id is not None and at.minute % 10:\n"
          "        open_session(step, policy_id, at)\n\n\ndef visit_end"),
    Plant("a visit that ends when it is confirmed", "visits",
          "end_visit(step, unplugged_at, unplugged_at + step.rules.unplug_debounce)",
          "end_visit(step, unplugged_at + step.rules.unplug_debounce, unplugged_at + step.rules.unplug_debounce)"),
    Plant("a total that is rounded", "public", "kwh_sum=kwh_from_wh(totals.energy_sum_wh)",
          "kwh_sum=kwh_from_wh(totals.energy_sum_wh // 10 * 10)"),
    Plant("prices of the next quarter-hour", "valuation", "first = quarter_index(EPOCH, started_at)",
          "first = quarter_index(EPOCH, started_at) + 1"),
    Plant("negative prices that count as none", "valuation", "energy * price_per_kwh[quarter]",
          "energy * max(0.0, price_per_kwh[quarter])"),
    Plant("a reference at another power", "valuation", "at_full_power = total_wh * _HOUR / power_w",
          "at_full_power = total_wh * _HOUR / (power_w * 0.7)"),
    Plant("a reference that begins an hour late", "valuation",
          "in quarters(started_at, started_at + at_full_power)",
          "in quarters(started_at + _HOUR, started_at + _HOUR + at_full_power)"),
    Plant("savings the other way round", "valuation", "savings=_money(baseline - actual)",
          "savings=_money(actual - baseline)"),
    Plant("a place of hours ago", "visits", "PLACE_WINDOW: Final = timedelta(minutes=10)",
          "PLACE_WINDOW: Final = timedelta(hours=10)"),
    Plant("another owner who changes nothing", "visits", "    if vehicle.user_id == seen.user_id:",
          "    if vehicle.user_id:"),
    Plant("a disabled policy that holds on", "policies", "        if not stays_enabled or (policy is not None and",
          "        if policy is None or (policy is not None and"),
    Plant("two commands at a time", "steering",
          "may_at = now if vehicle.command_until is None else vehicle.command_until", "may_at = now"),
    Plant("another charger that is none", "visits", "    return None not in {visit.charger_id",
          "    return False and None not in {visit.charger_id"),
    Plant("a tombstone that is missing", "parts", "    step.outputs.append(SessionErased(session.id))\n", ""),
    Plant("timers that fire after the message", "timers",
          "if due_at is not None and due_at < before:\n                return",
          "if due_at is not None and due_at + DELAY_LIMIT < before:\n                return"),
    Plant("past blocks that grow", "public", "start_at=block.start_at, end_at=block.end_at))\n    if running",
          "start_at=block.start_at, end_at=max(block.end_at, control.checked_at)))\n    if running"),
    Plant("a step that changes what came in", "step", "part = visit.part = _copy(visit.part)", "part = visit.part"),
    Plant("small unmanaged visits lost", "parts", "OBSERVED_ENERGY_WH: Final = 50", "OBSERVED_ENERGY_WH: Final = 5000"),
    Plant("a policy that manages another's visit", "parts", " and policy.user_id == user_id:", ":"),
    Plant("a verdict that is always SUCCEEDED", "outcome", "SUCCEEDED if is_met else FAILED", "SUCCEEDED"),
    Plant("the dearest quarter-hours", "planner", "Cheapest(Window(request.prices[quarters],",
          "Cheapest(Window([-price for price in request.prices[quarters]],"),
    Plant("no STOP at all", "steering", "    given_at = _given_at(step, now)\n    if is_again",
          "    if action is Action.STOP:\n        return\n    given_at = _given_at(step, now)\n    if is_again"),
    Plant("a STOP that is not released", "steering",
          "    sent, charging, until = step.control.sent, step.charging, step.vehicle.command_until\n",
          "    sent, charging, until = None, step.charging, step.vehicle.command_until\n"),
    Plant("errors that nobody sees", "faults", "error.occurred_at) if control.errors else None",
          "error.occurred_at) if False else None"),
    Plant("blocks that are all REGULAR", "public", "blocks.append(Block(type=block.type,",
          'blocks.append(Block(type="REGULAR",'),
    Plant("quarter-hours without a level", "series", "until, energy_wh, levels, kept, origin",
          "until, energy_wh, (), kept, origin"),
    Plant("an unmanaged session that represents nothing", "dedup",
          "represents = event.is_managed or not any(known.is_managed for known in rivals)",
          "represents = event.is_managed"),
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0, help="the most for each defect (5)")
    parser.add_argument("names", nargs="*", help="only those whose name contains one of these words")
    arguments = parser.parse_args()
    hidden = 0
    for plant in PLANTS:
        if arguments.names and not any(name in plant.name for name in arguments.names):
            continue
        began_s = time.monotonic()
        finding = search(plant, arguments.minutes)
        hidden += finding is None
        sys.stdout.write(f"{time.monotonic() - began_s:6.1f} s  {plant.name}: {finding or 'NOT FOUND'}\n")
        sys.stdout.flush()
    return 1 if hidden else 0


def search(plant: Plant, minutes: float) -> str | None:
    """The first line of what the fleet finds; None: nothing in time. Raises ValueError where it does not fit."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "sessions"
        shutil.copytree(ROOT / "src" / "sessions", copy, ignore=shutil.ignore_patterns("__pycache__"))
        module = copy / f"{plant.module}.py"
        text = module.read_text()
        if text.count(plant.old) != 1:
            raise ValueError(f"{plant.name}: {plant.old!r} stands {text.count(plant.old)} times in {plant.module}")
        module.write_text(text.replace(plant.old, plant.new))
        done = subprocess.run(  # noqa: S603 - our own module, with our own interpreter
            [
                *(sys.executable, "-m", "simulation", "--seeds", "1000", "--stop", "--no-shrink"),
                *("--vehicles", "20", "--days", "6", "--minutes", str(minutes)),
            ],
            env=os.environ | {"PYTHONPATH": os.pathsep.join((folder, str(ROOT / "src"), str(ROOT)))},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode not in {0, 1}:
        raise RuntimeError(done.stderr[-2_000:])
    if done.returncode == 0:
        return None
    # A spoilt module that cannot run at all would prove nothing.
    lines = done.stdout.splitlines()
    if not lines:
        raise RuntimeError(done.stderr[-2_000:])
    return lines[0][:160]


if __name__ == "__main__":
    sys.exit(main())
