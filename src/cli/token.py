"""`flex-sessions token`: a bearer token for development."""

import click

_DEFAULT_TTL_S = 12 * 3_600
_MAX_TTL_S = 7 * 24 * 3_600


@click.command()
@click.option("--user", help="The userId that the token is bound to.  [default: none, it sees everyone's data]")
@click.option(
    "--scope", "scopes", multiple=True, default=["flex:sessions:read"], show_default=True, help="May be repeated."
)
@click.option(
    "--ttl", "ttl_s", type=click.IntRange(1, _MAX_TTL_S), default=_DEFAULT_TTL_S, show_default=True, help="Seconds."
)
def token(user: str | None, scopes: tuple[str, ...], ttl_s: int) -> None:
    """Print a bearer token, signed with FLEX_AUTH_HS256_SECRET or with the secret that `up` keeps."""
    import os

    from models.ids import is_id

    if user is not None and not is_id(user):
        raise click.BadParameter("an id has 1 to 64 of A-Z a-z 0-9 . _ : -", param_hint="--user")
    from local.tokens import find_secret, make_token
    from runtime.settings import load_settings

    settings = load_settings(os.environ)
    click.echo(make_token(settings, find_secret(settings), user=user, scopes=scopes, ttl_s=ttl_s))
