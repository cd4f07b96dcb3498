"""`flex-sessions up`: the whole system on this machine."""

import click

_PORT = click.IntRange(1, 65_535)


@click.command()
@click.option("--kafka-port", type=_PORT, default=9092, show_default=True, help="Port of the embedded Kafka.")
@click.option("--api-port", type=_PORT, help="Port of the API.  [default: FLEX_API_PORT]")
@click.option(
    "--vehicles",
    type=click.IntRange(1, 5_000),
    default=20,
    show_default=True,
    help="Simulated vehicles; of more than 200 less past.",
)
@click.option("--no-simulator", is_flag=True, help="Start no simulated fleet.")
def up(kafka_port: int, api_port: int | None, vehicles: int, *, no_simulator: bool) -> int:
    """Run everything on this machine: embedded Kafka, topics, worker, API and a simulated fleet.

    Prints the API's URL, a bearer token and lines to try. Ctrl-C stops all of it; started again, it goes on.
    """
    import os

    from local.up import Options, run_up
    from runtime.settings import load_settings

    options = Options(kafka_port=kafka_port, api_port=api_port, vehicles=0 if no_simulator else vehicles)
    return run_up(load_settings(os.environ), options)
