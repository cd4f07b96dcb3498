"""`flex-sessions api`: one API process."""

import click


@click.command()
def api() -> int:
    """Run the HTTP API. Logs are JSON lines on standard error."""
    import os

    from runtime.settings import load_settings

    settings = load_settings(os.environ)
    from api.run import run_api

    return run_api(settings)
