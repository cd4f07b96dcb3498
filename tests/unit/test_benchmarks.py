"""The benchmarks can be run; how fast anything is, is no matter of a test."""

import ast
import importlib
import inspect
from collections import Counter

import pytest

from benchmarks.__main__ import MODULES


@pytest.mark.parametrize("name", MODULES)
def test_each_module_measures(name: str) -> None:
    """Every module that is named has `measure()`, which needs no arguments."""
    measure = importlib.import_module(name).measure
    assert not inspect.signature(measure).parameters


def test_no_measure_hides_another() -> None:
    """The modules, and the names of their measures, are unique: they share one file of results."""
    assert len(set(MODULES)) == len(MODULES)
    counted = Counter(measure for name in MODULES for measure in _measures(name))
    assert counted
    assert [measure for measure, count in counted.items() if count > 1] == []


def _measures(name: str) -> list[str]:
    """The keys of what `measure()` returns, read from its text."""
    tree = ast.parse(inspect.getsource(importlib.import_module(name).measure))
    returned = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return)]
    assert all(isinstance(value, ast.Dict) for value in returned), f"{name}.measure() returns something else"
    return [ast.literal_eval(key) for value in returned if isinstance(value, ast.Dict) for key in value.keys if key]
