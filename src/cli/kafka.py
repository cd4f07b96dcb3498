"""`flex-sessions kafka`: the embedded broker alone, until it is told to stop."""

from pathlib import Path

import click


@click.command()
@click.option("--port", type=click.IntRange(1, 65_535), default=9092, show_default=True, help="Port of the first node.")
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Folder of its data.  [default: kafka in FLEX_STATE_DIR]"
)
@click.option("--nodes", type=click.Choice(["1", "3"]), default="1", show_default=True, help="Number of nodes.")
@click.option("--fetch", is_flag=True, help="Only fetch the jars into FLEX_CACHE_DIR, and exit.")
def kafka(port: int, data_dir: Path | None, nodes: str, *, fetch: bool) -> int:
    """Run only the embedded Kafka. It listens on 127.0.0.1, from --port on, one port per node."""
    import os

    from local.kafka_command import fetch_only, run_kafka
    from runtime.settings import load_settings

    settings = load_settings(os.environ)
    if fetch:
        return fetch_only(settings)
    return run_kafka(settings, port=port, data_dir=data_dir, nodes=int(nodes))
