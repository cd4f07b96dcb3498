"""`flex-sessions worker`: one worker process."""

import click


@click.command()
def worker() -> int:
    """Run a worker: it takes telemetry and publishes sessions. Logs are JSON lines on standard error."""
    import os

    from runtime.settings import load_settings

    settings = load_settings(os.environ)
    from streams.run import run_worker

    return run_worker(settings)
