"""The `flex-sessions` command: a table of subcommands, each imported when it is asked for, and the one place where an
error becomes one line and an exit code (1: it cannot be done; 2: a wrong setting or option; 130: interrupted).
"""

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Final

import click

# Name: the module of cli that holds it, and its line in --help (so that help needs no part's imports).
COMMANDS: Final = {
    "up": ("cli.up", "Everything on this machine: Kafka, topics, worker, API, a simulated fleet."),
    "kafka": ("cli.kafka", "Only the embedded Kafka."),
    "topics": ("cli.topics", "Create or check the topics; safe to run again."),
    "worker": ("cli.worker", "The worker: telemetry in, sessions out."),
    "api": ("cli.api", "The HTTP API."),
    "simulate": ("cli.simulate", "A simulated fleet that writes telemetry."),
    "replay": ("cli.replay", "Read captures and write their events to the topics."),
    "token": ("cli.token", "Print a bearer token for development."),
    "dead-letters": ("cli.dead_letters", "What was refused: list, show, replay."),
    "erase": ("cli.erase", "Erase every session of a user."),
}
INTERRUPTED: Final = 130


class _Lazy(click.Group):
    """A group that knows its commands by name only."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command = getattr(module, cmd_name.replace("-", "_"))
        if not isinstance(command, click.Command):
            raise TypeError(f"{module.__name__}: {cmd_name} is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="flex-sessions", message="%(version)s")
def flex_sessions() -> None:
    """Vehicle plug and charge telemetry in, charging sessions out.

    Settings come from FLEX_ environment variables; src/runtime/settings.default.toml lists them all.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code."""
    # SIGTERM ends every command as Ctrl-C does; long-running parts install handlers of their own.
    signal.signal(signal.SIGTERM, _interrupt)
    # Also where a shell started us in the background, with Ctrl-C ignored.
    signal.signal(signal.SIGINT, _interrupt)
    try:
        code = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left; nothing more can be said, not even at the interpreter's end.
        _silence()
        code = 1
    except OSError as error:
        # A disk that is full, a folder of another owner: the operator's to mend, and a line says where.
        _silence()
        click.echo(f"error: {error}", err=True)
        code = 1
    sys.exit(code)


def _silence() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _run(arguments: Sequence[str] | None) -> int:
    from runtime.settings import SettingsError

    try:
        result = flex_sessions.main(arguments, prog_name="flex-sessions", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except SettingsError as error:
        click.echo(f"error: {error}", err=True)
        return 2
    except Exception as error:
        if not _is_local(error):
            raise
        click.echo(f"error: {error}", err=True)
        return 1
    return result if isinstance(result, int) else 0


def _is_local(error: Exception) -> bool:
    # Imported only now: most commands never touch the local parts.
    from local.errors import LocalError

    return isinstance(error, LocalError)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
