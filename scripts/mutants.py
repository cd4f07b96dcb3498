"""Mutants: how much of the session logic the unit tests hold fast.

One small change at a time (a constant, a comparison, a condition, a statement that is left out) is made in a copy of
the project, and the unit tests run on it in order until one fails. Survivors are printed with their line. With a budget
of time, mutants are drawn evenly from all modules by a seed, so a short run is a fair sample.

    .venv/bin/python scripts/mutants.py --minutes 20 visits timers
    .venv/bin/python scripts/mutants.py --minutes 20 statistics
"""

import argparse
import ast
import copy
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = ("visits", "timers", "policies", "parts", "inferred", "dedup", "lifecycle", "transitions")
# The statistics; `statistics` names them all.
STATISTICS = (
    "samples", "walk", "walker", "readings", "energy", "block_energy", "rates", "levels", "counters", "steady", "power",
    "totals", "grid", "states",
)  # fmt: skip
# Those that fail first for most mutants.
TESTS = (
    "lifecycle", "policies", "transitions", "evidence", "places", "bounds", "timers", "dedup", "inferred",
    "missed_unplug", "duplicates", "identity", "arrival", "energy", "timeseries",
)  # fmt: skip
STATISTICS_TESTS = (
    "readings_energy", "readings_counters", "readings_rates", "readings_levels", "readings_blocks", "readings_parts",
    "readings_memory", "readings_states", "readings_power", "grid", "series",
)  # fmt: skip
# The tests of one mutant take some seconds; one that runs for so long loops.
LIMIT_S = 90
COMPARED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
# No other node has a mutant.
CHANGED = (
    ast.Compare, ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Constant, ast.Call, ast.IfExp,
    ast.FunctionDef, ast.If, ast.For, ast.While,
)  # fmt: skip
CALCULATED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult}


@dataclass(frozen=True)
class Mutant:
    """One change of one module: its text, and where and what it is."""

    module: str
    line: int
    change: str
    source: str


def mutants(module: str) -> list[Mutant]:
    """All mutants of a module."""
    text = (ROOT / "src/sessions" / f"{module}.py").read_text(encoding="utf-8")
    places = [index for index, node in enumerate(ast.walk(ast.parse(text))) if isinstance(node, CHANGED)]
    found: list[Mutant] = []
    for index in places:
        for variant in range(3):
            tree = ast.parse(text)
            node = list(ast.walk(tree))[index]
            change = _changed(node, variant)
            if change is None:
                break
            found.append(Mutant(module, getattr(node, "lineno", 0), change, ast.unparse(tree)))
    return found


def _changed(node: ast.AST, variant: int) -> str | None:
    """Change a node in place. Tells what was done; None where there is no such variant."""
    before = ast.unparse(node) if isinstance(node, ast.expr | ast.stmt) else ""
    if isinstance(node, ast.FunctionDef | ast.If | ast.For | ast.While):
        return _without_statement(node, variant)
    if variant or not _is_expression_changed(node):
        return None
    return f"{before}  ->  {ast.unparse(node)}"


def _is_expression_changed(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARED:
        node.ops[0] = COMPARED[type(node.ops[0])]()
    elif isinstance(node, ast.BoolOp):
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        node.operand = copy.deepcopy(ast.UnaryOp(ast.Not(), node.operand))
    elif isinstance(node, ast.BinOp) and type(node.op) in CALCULATED:
        node.op = CALCULATED[type(node.op)]()
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        node.value = not node.value
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        node.value += 1
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"min", "max"}:
        node.func.id = "max" if node.func.id == "min" else "min"
    elif isinstance(node, ast.IfExp):
        node.body, node.orelse = node.orelse, node.body
    else:
        return False
    return True


def _without_statement(node: ast.FunctionDef | ast.If | ast.For | ast.While, place: int) -> str | None:
    """Leave out one of the statements that matter."""
    kept = (ast.Expr, ast.Assign, ast.AugAssign, ast.Return, ast.If)
    matter = [
        index
        for index, statement in enumerate(node.body)
        if isinstance(statement, kept)
        and not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
    ]
    if place >= len(matter):
        return None
    gone = node.body[matter[place]]
    node.body[matter[place]] = ast.Pass()
    return f"without: {ast.unparse(gone).splitlines()[0]}"


def _copies(folder: Path, count: int) -> Iterator[Path]:
    for number in range(count):
        copied = folder / str(number)
        for part in ("src", "tests"):
            shutil.copytree(ROOT / part, copied / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copied)
        yield copied


def _is_killed(mutant: Mutant, copied: Path) -> bool:
    path = copied / "src/sessions" / f"{mutant.module}.py"
    original = path.read_text(encoding="utf-8")
    path.write_text(mutant.source, encoding="utf-8")
    names = (*STATISTICS_TESTS, *TESTS) if mutant.module in STATISTICS else TESTS
    tests = [f"tests/unit/sessions/test_{name}.py" for name in names]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(  # noqa: S603 - our own tests
            command,
            cwd=copied,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_text(original, encoding="utf-8")
    return done.returncode != 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Run what fits into the time, and say what survived."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("modules", nargs="*", default=list(MODULES))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--line", help="only mutants whose change matches this pattern")
    chosen = parser.parse_args()
    modules = [name for chose in chosen.modules for name in (STATISTICS if chose == "statistics" else (chose,))]
    drawn = [mutant for module in modules for mutant in mutants(module)]
    if chosen.line:
        drawn = [mutant for mutant in drawn if re.search(chosen.line, f"{mutant.module}:{mutant.line} {mutant.change}")]
    random.Random(chosen.seed).shuffle(drawn)
    until = time.monotonic() + 60 * chosen.minutes
    survivors: list[Mutant] = []
    tried: dict[str, int] = dict.fromkeys(modules, 0)
    with tempfile.TemporaryDirectory() as folder:
        free = list(_copies(Path(folder), chosen.jobs))

        def work(mutant: Mutant) -> None:
            if time.monotonic() > until:
                return
            copied = free.pop()
            try:
                if not _is_killed(mutant, copied):
                    survivors.append(mutant)
                    _say(f"survived {mutant.module}:{mutant.line}  {mutant.change}")
                tried[mutant.module] += 1
            finally:
                free.append(copied)

        with ThreadPoolExecutor(chosen.jobs) as pool:
            list(pool.map(work, drawn))
    for module, count in tried.items():
        alive = sum(mutant.module == module for mutant in survivors)
        _say(f"{module}: {count - alive} of {count} killed")
    count = sum(tried.values())
    _say(f"all: {count - len(survivors)} of {count} killed ({len(drawn)} mutants, seed {chosen.seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
