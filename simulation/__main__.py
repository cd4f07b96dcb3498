"""`python -m simulation`: the fleet against the pure core, seed after seed, with a summary and an exit status."""

import sys
from collections import Counter
from time import monotonic

import click

from sessions.events import Event, TelemetryReceived
from simulation.lane import Lane
from simulation.run import Options, Run, Summary
from simulation.shrink import Shrunk, shrink
from simulator.feeds.catalogue import CLEAN, NAMES, feed_maker
from simulator.world.moments import MINUTE_MS, millis, moment

_EACH = "each"
# Findings that are shown for each law, and the last events of a shrunk history.
_SHOWN = 2
_EVENTS_SHOWN = 40
_SHRINK_S = 60.0


@click.command()
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The first seed.")
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="How many, one after another.")
@click.option("--vehicles", type=click.IntRange(1, 1_000_000), default=20, show_default=True)
@click.option("--days", type=click.IntRange(1, 3_650), default=7, show_default=True, help="Simulated days of each run.")
@click.option("--feed", type=click.Choice([*NAMES, _EACH]), default=CLEAN, show_default=True, help="How it is told.")
@click.option("--clock", type=click.Choice(["wall", "event"]), default="wall", show_default=True)
@click.option("--unruly", type=click.FloatRange(0, 5), default=1.0, show_default=True, help="How odd lives are.")
@click.option("--calm", is_flag=True, help="Every day's prices are known at their usual hour.")
@click.option("--only", type=click.IntRange(1), default=None, help="Only this vehicle of the fleet.")
@click.option("--minutes", type=click.FloatRange(0.1), default=None, help="No new run after so many minutes.")
@click.option("--shrink/--no-shrink", "is_shrinking", default=True, help="Look for the shortest history of a finding.")
@click.option("--stop/--go-on", "is_stopping", default=False, help="Stop at the first seed that finds something.")
def main(  # noqa: PLR0913 - one for each option
    *,
    seed: int,
    seeds: int,
    vehicles: int,
    days: int,
    feed: str,
    clock: str,
    unruly: float,
    calm: bool,
    only: int | None,
    minutes: float | None,
    is_shrinking: bool,
    is_stopping: bool,
) -> None:
    """Drive the session logic with a simulated fleet whose truth is known. Exit status 1: something was found."""
    ends_s = float("inf") if minutes is None else monotonic() + minutes * 60
    names = [name for name in NAMES if feed in {name, _EACH}]
    total = Summary()
    laws: Counter[tuple[str, str]] = Counter()
    runs = 0
    for number in range(seed, seed + seeds):
        for name in names:
            if monotonic() > ends_s or (is_stopping and total.findings):
                continue
            options = Options(
                seed=number,
                vehicles=vehicles,
                days=days,
                is_wall=clock == "wall",
                unruly=unruly,
                is_calm_market=calm,
                numbers=None if only is None else (only,),
            )
            summary = _run(options, name)
            runs += 1
            _add(total, summary)
            laws.update((name, finding.law) for finding in summary.findings)
            _show(options, name, summary, is_shrinking=is_shrinking)
    _conclude(total, laws, runs)
    sys.exit(1 if total.findings else 0)


def _run(options: Options, name: str) -> Summary:
    running = Run(options, feed_maker(name))
    done = 0
    with click.progressbar(length=100, label=f"seed {options.seed} {name}", file=sys.stderr) as bar:
        for share in running.days():
            bar.update(int(share * 100) - done)
            done = int(share * 100)
    return running.summary


def _add(total: Summary, summary: Summary) -> None:
    for field in (
        "events",
        "messages",
        "updates",
        "commands",
        "crashes",
        "visits",
        "parts",
        "unjudged",
        "savings",
        "verdicts",
        "refused",
        "elapsed_s",
        "core_s",
    ):
        setattr(total, field, getattr(total, field) + getattr(summary, field))
    total.nights = total.nights.plus(summary.nights)
    total.skipped.update(summary.skipped)
    total.findings.extend(summary.findings[:_SHOWN])


def _show(options: Options, name: str, summary: Summary, *, is_shrinking: bool) -> None:
    shown: Counter[str] = Counter()
    for finding in summary.findings:
        shown[finding.law] += 1
        if shown[finding.law] > _SHOWN:
            continue
        click.echo(f"seed {options.seed} {name}: {finding.law}: {finding.vehicle_id} {finding.at}: {finding.detail}")
        if is_shrinking and shown[finding.law] == 1:
            _tell(shrink(options, feed_maker(name), finding, _SHRINK_S), name)


def _tell(shrunk: Shrunk | None, name: str) -> None:
    if shrunk is None:
        click.echo("  its car alone does not show it")
        return
    click.echo(f"  the shortest history that shows it ({len(shrunk.acts)} acts): {shrunk.finding.detail}")
    for act in shrunk.acts:
        click.echo(f"    {act}")
    events: list[str] = []

    def hear(now_ms: int, _lane: Lane, event: Event, *_: object) -> None:
        # A session settles some time after what it is about.
        if now_ms <= millis(shrunk.finding.at) + 5 * MINUTE_MS:
            events.append(_text(now_ms, event))

    for _ in Run(shrunk.options, feed_maker(name), hear).days():
        pass
    click.echo(f"  {len(events)} events, the last of them:")
    for event in events[-_EVENTS_SHOWN:]:
        click.echo(f"    {event}")


def _text(now_ms: int, event: Event) -> str:
    """An event on one line: when it came, and what it tells."""
    if isinstance(event, TelemetryReceived):
        told = [
            f"{field}={value}"
            for field in event.message.__struct_fields__
            if field not in {"event_id", "vehicle_id"} and (value := getattr(event.message, field)) is not None
        ]
        return f"{moment(now_ms):%m-%d %H:%M:%S.%f} {type(event.message).__name__} {' '.join(told)}"
    return f"{moment(now_ms):%m-%d %H:%M:%S.%f} {event}"


def _conclude(total: Summary, laws: Counter[tuple[str, str]], runs: int) -> None:
    own_us = (total.elapsed_s - total.core_s) / max(1, total.events) * 1e6
    core_us = total.core_s / max(1, total.events) * 1e6
    click.echo(
        f"{runs} runs, {total.events:,} events, {total.updates:,} updates, {total.commands:,} commands, "
        f"{total.crashes:,} crashes, {total.verdicts:,} verdicts, {total.refused:,} messages refused; "
        f"{total.events / max(total.elapsed_s, 1e-9):,.0f} events/s "
        f"(core {core_us:.0f} us, world and judge {own_us:.0f} us an event)"
    )
    skipped = "".join(f", {count:,}: {cause}" for cause, count in total.skipped.most_common())
    click.echo(
        f"of {total.parts:,} true visits {total.visits:,} compared ({total.savings:,} with their savings), "
        f"{total.unjudged:,} not judged{skipped}"
    )
    nights = total.nights
    left_out = "".join(f", {count:,}: {cause}" for cause, count in nights.left_out.most_common())
    click.echo(
        f"of {nights.possible:,} managed nights in which it was possible {nights.met:,} ready in time; "
        f"{nights.priced:,} priced, cost {nights.cost:,.2f}, least {nights.best:,.2f}; left out{left_out or ' none'}"
    )
    for (name, law), count in sorted(laws.items()):
        click.echo(f"  {name}: {law}: {count}")
    click.echo("nothing found" if not laws else f"{sum(laws.values())} findings")


if __name__ == "__main__":
    main()
