"""`flex-sessions topics`: the broker's topics brought to the table of models.topics, or only compared with it."""

import click


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 if something differs.")
def topics(*, check: bool) -> int:
    """Create or check the topics; safe to run again. Partitions of an existing topic are never changed."""
    import os

    from local.topics import ensure_topics
    from models.topics import ALL_TOPICS
    from runtime.settings import load_settings

    differences = ensure_topics(load_settings(os.environ), check_only=check)
    for line in differences:
        click.echo(line)
    click.echo(
        f"{len(ALL_TOPICS)} topics " + (f"checked, {len(differences)} difference(s)" if check else "as they should be")
    )
    return 1 if check and differences else 0
