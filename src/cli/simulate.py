"""`flex-sessions simulate`: a simulated fleet whose truth is known drives a system, and judges it."""

import click

# Findings that are printed.
_SHOWN = 50


@click.command()
@click.option("--vehicles", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="Size of the fleet.")
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="Which fleet: the same seed, the same lives."
)
@click.option("--feed", default="clean", show_default=True, help="How the fleet is told: clean, or with a defect.")
@click.option("--unruly", type=click.FloatRange(0, 5), default=1.0, show_default=True, help="How odd lives are.")
@click.option(
    "--start-ago", "past_h", type=click.FloatRange(0, 36), default=36.0, show_default=True, help="Hours of past."
)
@click.option("--minutes", type=click.FloatRange(0.1), default=None, help="How long in the present.  [default: no end]")
@click.option("--days", type=click.IntRange(1, 365), default=3, show_default=True, help="With FLEX_CLOCK=event.")
@click.option("--fresh", is_flag=True, help="Begin anew instead of going on where the last run stopped.")
@click.option("--judge", is_flag=True, help="A run of its own, which fails where the worker stops or errs.")
def simulate(  # noqa: PLR0913 - one for each option
    *,
    vehicles: int,
    seed: int,
    feed: str,
    unruly: float,
    past_h: float,
    minutes: float | None,
    days: int,
    fresh: bool,
    judge: bool,
) -> int:
    """Write what a simulated fleet tells, from the past into the present, and hold all that comes of it to the truth.

    Prices and policies come along. In the present its vehicles obey the commands on vehicle.charge-commands. The
    position is kept in FLEX_STATE_DIR: a restart goes on where it stopped. Logs are JSON lines on standard error.

    FLEX_CLOCK says how the worker runs: `wall`, then some hours of past (--start-ago), then the present; `event`, then
    days of history (--days) are told at once, and nothing is kept.

    With --judge the exit status is 1 where something was found, and the run ends where the worker rests.
    """
    import os
    import sys
    from contextlib import nullcontext
    from pathlib import Path

    from ingest.errors import WriteError
    from runtime.logs import configure_logs
    from runtime.settings import load_settings
    from simulator.feeds.catalogue import NAMES
    from simulator.live.system import WhatToRun, run_fleet

    if feed not in NAMES:
        raise click.BadParameter(f"one of {', '.join(NAMES)}", param_hint="--feed")
    settings = load_settings(os.environ)
    configure_logs(settings.log_level, "simulator")
    chosen = WhatToRun(
        seed=seed,
        vehicles=vehicles,
        feed=feed,
        unruly=unruly,
        is_wall=settings.clock == "wall",
        days=days,
        past_h=past_h,
        present_s=None if minutes is None else minutes * 60,
        is_strict=judge,
        is_fresh=fresh,
    )
    done = 0
    try:
        with (
            click.progressbar(length=100, label=f"seed {seed} {feed}", file=sys.stderr)
            if judge
            else nullcontext() as bar
        ):

            def tell(share: float) -> None:
                nonlocal done
                if bar is not None:
                    bar.update(int(share * 100) - done)
                done = int(share * 100)

            summary = run_fleet(
                chosen,
                bootstrap_servers=settings.kafka_bootstrap_servers,
                topic_prefix=settings.topic_prefix,
                state_dir=Path(settings.state_dir).expanduser(),
                tell=tell,
            )
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--days") from error
    except WriteError as error:
        raise click.ClickException(str(error)) from error
    for finding in summary.findings[:_SHOWN]:
        click.echo(f"seed {seed} {feed}: {finding.law}: {finding.vehicle_id} {finding.at}: {finding.detail}")
    click.echo(
        f"{summary.records:,} records written, {summary.updates:,} updates and {summary.commands:,} commands read, "
        f"{summary.taken:,} of them followed, {summary.visits:,} true visits compared "
        f"({summary.savings:,} with their savings); "
        + (f"{len(summary.findings)} findings" if summary.findings else "nothing found")
    )
    return 1 if judge and summary.findings else 0
