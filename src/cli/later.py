"""Commands that are named in the contract and not there yet: each says so and exits non-zero."""

import click

from local.errors import LocalError

_FREE = {"ignore_unknown_options": True, "allow_extra_args": True}


@click.command(context_settings=_FREE)
def dead_letters() -> None:
    """List, show and replay what was refused. Not there yet: see "Not yet" in README.md."""
    raise LocalError('dead-letters is not there yet: see "Not yet" in README.md')
