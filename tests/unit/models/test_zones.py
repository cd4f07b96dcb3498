"""Which time zones there are: those of the pinned package, whatever the host has."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Final

import pytest

from models.zones import ZONE_NAMES, UnknownZoneError, find_zone, get_zone, is_zone

KNOWN: Final = [
    "UTC",
    "Europe/Berlin",
    "America/Argentina/Buenos_Aires",
    "Asia/Calcutta",
    "US/Pacific",
    "EST5EDT",
    "Etc/GMT+12",
    "GMT-0",
    "Antarctica/Troll",
]
UNKNOWN: Final = [
    # What a Debian host has beside its zones: copies of others, zones that count leap seconds, and no place.
    "localtime",
    "posixrules",
    "posix/Europe/Berlin",
    "right/Europe/Berlin",
    "Factory",
    # Files of the package, and what is no name at all.
    "zone.tab",
    "__init__.py",
    "Europe",
    "Europe/",
    "/Europe/Berlin",
    "./Europe/Berlin",
    "../zoneinfo/Europe/Berlin",
    "../../etc/passwd",
    "europe/berlin",
    "Europe/Berlin ",
    "Europe\\Berlin",
    "Europe/Berlin\0",
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "+01:00",
    "Mars/Base",
    "",
]


@pytest.mark.parametrize("name", KNOWN)
def test_names_of_the_database(name: str) -> None:
    """A zone or a link of the IANA database is found by its name, and is the same object each time."""
    zone = get_zone(name)
    assert is_zone(name)
    assert zone.key == name
    assert zone is get_zone(name) is find_zone(name)


@pytest.mark.parametrize("name", UNKNOWN)
def test_other_names(name: str) -> None:
    """What the database has no zone of is no zone, whoever has a file of that name."""
    assert not is_zone(name)
    assert find_zone(name) is None
    with pytest.raises(UnknownZoneError, match="is no IANA time zone"):
        get_zone(name)


def test_every_name_has_a_clock() -> None:
    """Each name can be planned with: none is listed without its rules."""
    moment = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert len(ZONE_NAMES) > 500
    assert all(moment.astimezone(get_zone(name)).utcoffset() is not None for name in ZONE_NAMES)


# What a process takes, and by which clocks it plans.
ANSWER: Final = """
from datetime import UTC, datetime
from models.policy import Deadline, Schedule
from models.zones import ZONE_NAMES, find_zone, is_zone
from sessions.schedule import next_deadline
names = ["localtime", "right/Europe/Berlin", "Mars/Base", "Factory", "Europe/Berlin", "Asia/Tokyo"]
print([is_zone(name) for name in names], hash(tuple(sorted(ZONE_NAMES))))
week = Schedule(monday=Deadline(deadline="07:00", minimum_charge_target=80))
print([str(next_deadline(week, name, datetime(2026, 7, 1, tzinfo=UTC))) for name in names])
"""


def test_the_host_has_no_say(tmp_path: Path) -> None:
    """A process answers alike with the host's database, without, and with one of other zones and other rules."""
    package = files("tzdata").joinpath("zoneinfo")
    tokyo = package.joinpath("Asia", "Tokyo").read_bytes()
    for name in ("localtime", "right/Europe/Berlin", "Mars/Base", "Europe/Berlin"):
        file = tmp_path / "strange" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(tokyo)
    path = os.pathsep.join(each for each in sys.path if each)
    plain = {"PYTHONPATH": path, "PYTHONHASHSEED": "0"}
    hosts = [{}, {"PYTHONTZPATH": ""}, {"PYTHONTZPATH": str(tmp_path / "strange")}, {"TZ": "Asia/Tokyo"}]
    answers = {
        subprocess.run(
            [sys.executable, "-c", ANSWER], env=plain | host, capture_output=True, text=True, check=True
        ).stdout
        for host in hosts
    }
    (answer,) = answers
    assert answer.startswith("[False, False, False, False, True, True]")
