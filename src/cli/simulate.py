"""`flex-sessions simulate`: a simulated fleet that writes telemetry until it is told to stop."""

import click

# Findings that are printed.
_SHOWN = 50
# The demo's fleet keeps every vehicle's state in one file.
_LIMIT = 100_000


@click.command()
@click.option("--vehicles", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="Size of the fleet.")
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="Which fleet: the same seed, the same events."
)
@click.option(
    "--speed",
    type=click.FloatRange(1, 86_400),
    default=720.0,
    show_default=True,
    help="Simulated seconds per second, until the fleet has caught up with the present.",
)
@click.option(
    "--start-ago", "start_ago_h", type=click.FloatRange(0, 72), default=24.0, show_default=True, help="Hours of past."
)
@click.option("--fresh", is_flag=True, help="Begin anew instead of going on where the last run stopped.")
@click.option(
    "--judge", "is_judging", is_flag=True, help="Another fleet, whose truth is known: judge the system by it."
)
@click.option("--feed", default="clean", show_default=True, help="With --judge: how the fleet is told.")
@click.option("--days", type=click.IntRange(1, 365), default=3, show_default=True, help="With --judge, event clock.")
@click.option("--minutes", type=click.FloatRange(0.1), default=None, help="With --judge, wall clock: of the present.")
@click.option("--unruly", type=click.FloatRange(0, 5), default=1.0, show_default=True, help="With --judge: odd lives.")
def simulate(  # noqa: PLR0913 - one for each option
    *,
    vehicles: int,
    seed: int,
    speed: float,
    start_ago_h: float,
    fresh: bool,
    is_judging: bool,
    feed: str,
    days: int,
    minutes: float | None,
    unruly: float,
) -> int:
    """Write the telemetry of a simulated fleet, from the past into the present, then in real time.

    Day-ahead prices and policies come first. In real time its vehicles obey the commands on vehicle.charge-commands.
    The position is kept in FLEX_STATE_DIR: a restart goes on where it stopped. Logs are JSON lines on standard error.

    With --judge the fleet is one whose true visits are known, and all that the worker publishes of it is held to them.
    FLEX_CLOCK says how the worker runs: `event`, then days of history are told at once; `wall`, then some hours of past
    (--start-ago, at most 36), then the present. Exit status 1: something was found.
    """
    if is_judging:
        return _judge(
            vehicles=vehicles,
            seed=seed,
            past_h=start_ago_h,
            feed=feed,
            days=days,
            minutes=minutes,
            unruly=unruly,
        )
    import os
    from pathlib import Path

    from ingest.errors import WriteError
    from runtime.logs import configure_logs
    from runtime.settings import load_settings
    from simulator.run import Options, run_simulator

    settings = load_settings(os.environ)
    configure_logs(settings.log_level, "simulator")
    options = Options(vehicles=vehicles, seed=seed, speed=speed, start_ago_h=start_ago_h, is_fresh=fresh)
    try:
        run_simulator(
            options,
            bootstrap_servers=settings.kafka_bootstrap_servers,
            topic_prefix=settings.topic_prefix,
            state_dir=Path(settings.state_dir).expanduser(),
        )
    except WriteError as error:
        raise click.ClickException(str(error)) from error
    return 0


def _judge(
    *, vehicles: int, seed: int, past_h: float, feed: str, days: int, minutes: float | None, unruly: float
) -> int:
    import os
    import sys

    from ingest.errors import WriteError
    from runtime.logs import configure_logs
    from runtime.settings import load_settings
    from simulator.feeds.catalogue import NAMES
    from simulator.live.system import PAST_LIMIT_H, WhatToRun, judge_system

    if feed not in NAMES:
        raise click.BadParameter(f"one of {', '.join(NAMES)}", param_hint="--feed")
    settings = load_settings(os.environ)
    configure_logs(settings.log_level, "simulator")
    is_wall = settings.clock == "wall"
    if is_wall and past_h > PAST_LIMIT_H:
        raise click.BadParameter(f"at most {PAST_LIMIT_H:g} with --judge", param_hint="--start-ago")
    chosen = WhatToRun(
        seed=seed,
        vehicles=vehicles,
        feed=feed,
        unruly=unruly,
        is_wall=is_wall,
        days=days,
        past_h=past_h,
        present_s=None if minutes is None else minutes * 60,
    )
    done = 0
    try:
        with click.progressbar(length=100, label=f"seed {seed} {feed}", file=sys.stderr) as bar:

            def tell(share: float) -> None:
                nonlocal done
                bar.update(int(share * 100) - done)
                done = int(share * 100)

            summary = judge_system(
                chosen,
                bootstrap_servers=settings.kafka_bootstrap_servers,
                topic_prefix=settings.topic_prefix,
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
    return 1 if summary.findings else 0
