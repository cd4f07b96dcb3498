"""Runs every benchmark and writes the measures to benchmarks/results/latest.json.

Each module of `MODULES` has `measure()`: a dict of name to {"value", "unit"}.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any, Final

MODULES: Final = ("benchmarks.sample", "benchmarks.plan", "benchmarks.engine", "benchmarks.api")
RESULTS: Final = Path(__file__).parent / "results" / "latest.json"


def main() -> int:
    measures: dict[str, dict[str, Any]] = {}
    for name in MODULES:
        found = importlib.import_module(name).measure()
        measures |= found
        for measure, figure in found.items():
            print(f"{measure:<36} {figure['value']:>12,.2f} {figure['unit']}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"measures": measures}, indent=2) + "\n", encoding="utf-8")
    print(f"written to {RESULTS.relative_to(Path.cwd())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
