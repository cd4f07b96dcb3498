"""`flex-sessions erase`: the sessions of a user, tombstoned."""

from collections.abc import Callable

import click


@click.command()
@click.option("--user", required=True, help="Whose sessions.")
def erase(user: str) -> None:
    """Erase every session of a user: a null value takes its place on flex.session.updated, and the API forgets it.

    Refused, with exit code 1, while the user has a policy (enabled or not), an open visit or a current session. Run it
    when the workers have caught up; it is safe to run again.
    """
    import os

    from models.ids import UserId, is_id
    from runtime.settings import load_settings

    if not is_id(user):
        raise click.BadParameter("an id has 1 to 64 of A-Z a-z 0-9 . _ : -", param_hint="--user")
    settings = load_settings(os.environ)
    from streams.erasure import Erasure
    from streams.errors import WorkerError

    try:
        erasure = Erasure(settings, UserId(user))
        _with_bar("reading", erasure.offsets_to_read, erasure.read)
        _with_bar("erasing", erasure.sessions, erasure.write)
    except WorkerError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"erased {erasure.sessions} session(s) of user {user}")


def _with_bar(label: str, length: int, work: Callable[[Callable[[int], None]], None]) -> None:
    import sys

    with click.progressbar(
        length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty(), show_pos=True
    ) as bar:
        work(bar.update)
