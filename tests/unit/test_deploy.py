"""The deployment's files agree with the code: same settings, same topics' rules, same versions."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.kafka_config import MESSAGE_MAX_BYTES
from runtime.settings import ENV_PREFIX, Settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
# What Compose may read from the environment or .env besides settings.
NOT_SETTINGS = {"API_PORT"}


def locked(path: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / path).read_text(), re.MULTILINE))


def test_the_services_are_the_parts_of_the_system() -> None:
    """Kafka, its topics once, worker, API and simulator."""
    assert set(SERVICES) == {"kafka", "topics", "worker", "api", "simulator"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_only_real_settings_are_set(name: str) -> None:
    """An unknown FLEX_ name would stop the part at its start."""
    for variable in SERVICES[name]["environment"]:
        if variable.startswith(ENV_PREFIX):
            assert variable.removeprefix(ENV_PREFIX).lower() in Settings.__struct_fields__


def test_nothing_starts_before_the_topics_exist() -> None:
    """Worker and API wait for the one-shot, which waits for a healthy broker; the simulator waits for both."""
    assert SERVICES["topics"]["depends_on"]["kafka"]["condition"] == "service_healthy"
    for name in ("worker", "api"):
        assert SERVICES[name]["depends_on"]["topics"]["condition"] == "service_completed_successfully"
    assert set(SERVICES["simulator"]["depends_on"]) == {"worker", "api"}


def test_what_runs_on_is_started_again_and_the_rest_is_not() -> None:
    """Parts restart; the one-shot only if it failed."""
    assert SERVICES["topics"]["restart"] == "on-failure"
    for name in ("kafka", "worker", "api", "simulator"):
        assert SERVICES[name]["restart"] == "unless-stopped"


def test_the_secret_is_required_and_the_api_alone_has_it() -> None:
    """Compose refuses to start without a secret, and no default stands in the file."""
    holders = {name for name, service in SERVICES.items() if "FLEX_AUTH_HS256_SECRET" in service["environment"]}
    assert holders == {"api"}
    assert SERVICES["api"]["environment"]["FLEX_AUTH_HS256_SECRET"].startswith("${FLEX_AUTH_HS256_SECRET:?")


def test_ports_are_published_on_this_machine_only() -> None:
    """The broker has no access control and the API no TLS: both are reachable from the host alone."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_broker_is_the_embedded_one_in_a_container() -> None:
    """Same version as the POM, same limits, no topic by accident."""
    pom = (ROOT / "deploy" / "kafka" / "pom.xml").read_text()
    version = SERVICES["kafka"]["image"].removeprefix("apache/kafka:")
    assert f"<kafka.version>{version}</kafka.version>" in pom
    assert SERVICES["kafka"]["environment"]["KAFKA_MESSAGE_MAX_BYTES"] == MESSAGE_MAX_BYTES
    assert SERVICES["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_every_build_target_is_in_the_dockerfile() -> None:
    """What Compose builds is a stage, and the last process is not root's."""
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    targets = {service["build"]["target"] for service in SERVICES.values() if "build" in service}
    assert targets == {"worker", "api", "simulator"}
    for target in targets:
        assert f"\nFROM base AS {target}\n" in dockerfile
    assert "\nUSER 10001:10001\n" in dockerfile


def test_the_example_names_every_variable_that_compose_reads() -> None:
    """Nobody has to search the Compose file for what can be set."""
    read = set(re.findall(r"\$\{([A-Z0-9_]+)", (ROOT / "docker-compose.yml").read_text()))
    example = (ROOT / "deploy" / "example.env").read_text()
    assert set(re.findall(r"^([A-Z0-9_]+)=", example, re.MULTILINE)) == read
    assert {name for name in read if not name.startswith(ENV_PREFIX)} == NOT_SETTINGS


def test_the_image_has_the_versions_that_were_tested() -> None:
    """The image's lock is the lock without the development tools."""
    everything, image = locked("requirements.lock"), locked("deploy/requirements.lock")
    assert image.items() <= everything.items()
    assert {"faust-streaming", "fastapi", "confluent-kafka"} <= set(image)
    assert not {"pytest", "mypy", "ruff"} & set(image)
