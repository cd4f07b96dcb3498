"""A skipped test must say why."""

import subprocess
import sys
from pathlib import Path

TESTS = """
import pytest

@pytest.mark.skip
def test_marked(): ...

@pytest.mark.skipif(True, reason="")
def test_marked_if(): ...

def test_called():
    pytest.skip("")

@pytest.mark.skip(reason="no such machine")
def test_marked_with_reason(): ...

def test_called_with_reason():
    pytest.skip("no such data")
"""


def test_a_skip_without_a_reason_fails(tmp_path: Path) -> None:
    """However a test is skipped, without a reason it counts as a failure; with one, as skipped."""
    (tmp_path / "test_skips.py").write_text(TESTS)
    (tmp_path / "test_module.py").write_text('import pytest\npytest.skip("", allow_module_level=True)\n')
    root = Path(__file__).resolve().parents[3]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.support.named_skips",
        "--continue-on-collection-errors",
        "-q",
        "--rootdir",
        str(tmp_path),
    ]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, cwd=root, check=False, timeout=60)
    assert "1 failed, 2 skipped, 3 errors" in done.stdout, done.stdout + done.stderr
