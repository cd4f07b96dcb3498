"""The benchmarks can be run; how fast anything is, is no matter of a test."""

import importlib
import inspect

import pytest

from benchmarks.__main__ import MODULES, joined

FIGURE = {"value": 1.0, "unit": "us"}


@pytest.mark.parametrize("name", MODULES)
def test_each_module_measures(name: str) -> None:
    """Every module that is named has `measure()`, which needs no arguments."""
    measure = importlib.import_module(f"benchmarks.{name}").measure
    assert not inspect.signature(measure).parameters


@pytest.mark.parametrize("name", ["bare_loop", "engine_thin", "kafka_streams", "stock_faust"])
def test_each_peer_can_be_loaded(name: str) -> None:
    """What the peers take from the worker is there: they run in processes of their own, where nobody else would see."""
    assert importlib.import_module(f"benchmarks.peers.{name}").__doc__


def test_no_measure_hides_another() -> None:
    """The measures of all modules share one file: one name for two of them is an error."""
    assert joined({"a": FIGURE}, {"b": FIGURE}) == {"a": FIGURE, "b": FIGURE}
    with pytest.raises(ValueError, match="two modules: a"):
        joined({"a": FIGURE}, {"a": FIGURE, "b": FIGURE})
