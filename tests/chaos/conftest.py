"""One load for all trials of the test session, and what comes of it where nothing breaks."""

from pathlib import Path

import pytest

from local.kafka import Kafka
from tests.support.chaos.faults import Setting
from tests.support.chaos.load import Load, Spec, make_load
from tests.support.chaos.log import Logged
from tests.support.chaos.trial import undisturbed_updates

SEED = 20_261_122


@pytest.fixture(scope="session")
def load() -> Load:
    """Eighty vehicles over four hours, on four partitions."""
    return make_load(Spec(seed=SEED, vehicles=80, steps=48, partitions=4))


@pytest.fixture(scope="session")
def undisturbed(broker: Kafka, load: Load, tmp_path_factory: pytest.TempPathFactory) -> list[Logged]:
    """The updates of a run over the load in which nothing breaks."""
    return undisturbed_updates(broker.bootstrap, load, tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture
def setting(broker: Kafka, load: Load, undisturbed: list[Logged], tmp_path: Path) -> Setting:
    """A trial on the shared broker."""
    return Setting(bootstrap=broker.bootstrap, load=load, undisturbed=undisturbed, folder=tmp_path)
