"""The console command as seen from a shell: help everywhere, one line for what is wrong, no tracebacks."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import COMMANDS
from tests.support.command import COMMAND, clean_environ, run_flex

NO_BROKER = {"FLEX_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    """--help of each command exits with 0 and says how it is used."""
    done = run_flex(command, "--help", env={})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: flex-sessions {command}")


def test_the_help_of_all_loads_no_part() -> None:
    """The list of commands needs none of their imports, so that it comes at once."""
    code = (
        "import sys; from cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print('LOADED', sorted({'faust', 'fastapi', 'confluent_kafka'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(f"\n  {command}" in done.stdout for command in COMMANDS)
    assert "LOADED []" in done.stdout


@pytest.mark.parametrize("command", ["up", "kafka", "topics", "worker", "api", "token", "erase --user ann"])
def test_a_wrong_setting_is_one_line_and_exit_code_2(command: str) -> None:
    """An unknown FLEX_ name stops every command before it does anything, and is named."""
    done = run_flex(*command.split(), env={"FLEX_NO_SUCH": "1"})
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "error: FLEX_NO_SUCH: no such setting\n")


@pytest.mark.parametrize("command", ["up", "kafka", "topics", "worker", "api", "token"])
def test_a_bad_value_is_one_line_and_exit_code_2(command: str) -> None:
    """A value out of its range is named with its bound."""
    done = run_flex(command, env={"FLEX_TOPIC_PARTITIONS": "0"})
    assert done.returncode == 2
    assert done.stderr.startswith("error: FLEX_TOPIC_PARTITIONS: ")
    assert done.stderr.count("\n") == 1


def test_an_unknown_command_or_option_is_a_usage_error() -> None:
    """Exit code 2, with the word that is wrong."""
    assert (run_flex("fly", env={}).returncode, run_flex("topics", "--fly", env={}).returncode) == (2, 2)
    assert "fly" in run_flex("fly", env={}).stderr


@pytest.mark.parametrize("arguments", [(), ("--user", ""), ("--user", "an na"), ("--user", "x" * 65)])
def test_an_erasure_needs_a_user(arguments: tuple[str, ...]) -> None:
    """Without a user, or with what cannot be one, `erase` is a usage error."""
    done = run_flex("erase", *arguments, env=NO_BROKER)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--user" in done.stderr


def test_no_secret_no_token(tmp_path: Path) -> None:
    """`token` without any secret is one line."""
    done = run_flex("token", env={"FLEX_STATE_DIR": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: no secret to sign with")


@pytest.mark.parametrize("ttl", ["0", str(7 * 86_400 + 1), "soon"])
def test_a_life_out_of_bounds_is_refused(ttl: str) -> None:
    """A token lives a second to seven days."""
    assert run_flex("token", "--ttl", ttl, env={}).returncode == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_short_command_quietly(number: signal.Signals) -> None:
    """Interrupted while it waits for a broker, a command exits with 130 and no traceback."""
    argv = [*COMMAND, "topics"]
    with subprocess.Popen(argv, env=clean_environ(NO_BROKER), stderr=subprocess.PIPE, text=True) as running:
        wait_for_import(running.pid, "confluent_kafka")
        running.send_signal(number)
        _, err = running.communicate(timeout=5)
    assert running.returncode == 130
    assert "Traceback" not in err


def wait_for_import(pid: int, module: str) -> None:
    """Until the process has loaded the module's library, so well past its start."""
    from tests.support.waiting import wait_until

    wait_until(lambda: module in Path(f"/proc/{pid}/maps").read_text(), 20, f"{module} loaded")
