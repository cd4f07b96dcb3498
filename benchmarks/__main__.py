"""Runs benchmarks and writes the measures to benchmarks/results/latest.json: all of them, or those that are named.

Each module of `MODULES` has `measure()`: a dict of name to {"value", "unit"}. `python -m benchmarks sample plan` runs
two of them, and the file then holds theirs alone.
"""

import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

MODULES: Final = ("sample", "plan", "engine", "memory", "partitions", "fleet", "api")
RESULTS: Final = Path(__file__).parent / "results" / "latest.json"

Measures = dict[str, dict[str, Any]]


def main(names: Sequence[str]) -> int:
    measures: Measures = {}
    for name in names or MODULES:
        found = importlib.import_module(f"benchmarks.{name}").measure()
        measures = joined(measures, found)
        for measure, figure in found.items():
            print(f"{measure:<36} {figure['value']:>12,.2f} {figure['unit']}", flush=True)
        # After each, so that what was measured is there though a later one fails.
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps({"measures": measures}, indent=2) + "\n", encoding="utf-8")
    print(f"written to {RESULTS.relative_to(Path.cwd())}")
    return 0


def joined(measures: Measures, found: Measures) -> Measures:
    """Both. Raises ValueError where a measure would hide another."""
    twice = measures.keys() & found.keys()
    if twice:
        raise ValueError(f"measured by two modules: {', '.join(sorted(twice))}")
    return measures | found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
