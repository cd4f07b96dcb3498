"""`flex-sessions simulate`: a simulated fleet that writes telemetry until it is told to stop."""

import click


@click.command()
@click.option("--vehicles", type=click.IntRange(1, 100_000), default=20, show_default=True, help="Size of the fleet.")
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
def simulate(*, vehicles: int, seed: int, speed: float, start_ago_h: float, fresh: bool) -> int:
    """Write the telemetry of a simulated fleet, from the past into the present, then in real time.

    Day-ahead prices and policies come first. In real time its vehicles obey the commands on vehicle.charge-commands.
    The position is kept in FLEX_STATE_DIR: a restart goes on where it stopped. Logs are JSON lines on standard error.
    """
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
