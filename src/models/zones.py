"""Which time zones there are, and their clocks: those of the `tzdata` package that the release pins, and no others.

What the host knows counts nowhere, so that every process of a release, on whatever machine, takes the same names and
plans by the same clocks. Reading a file of a pinned package is as certain as an import, so this is no I/O of the core.
"""

from functools import cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

# What a zone found here is, for those who have to name its type.
IanaZone = ZoneInfo

_PACKAGE: Final = files("tzdata")
# The zone of a machine that nobody has set up: no place has its time.
_NO_PLACE: Final = "Factory"
# Links with old names are among them, as the database has them: US/Pacific, Asia/Calcutta.
ZONE_NAMES: Final = frozenset(_PACKAGE.joinpath("zones").read_text(encoding="utf-8").split()) - {_NO_PLACE}


class UnknownZoneError(LookupError):
    """No zone has this name."""


def is_zone(name: str) -> bool:
    """Tell whether this names a zone, in the spelling of the IANA database."""
    return name in ZONE_NAMES


def find_zone(name: str) -> IanaZone | None:
    """The zone of this name, always the same object; None where there is none."""
    return _loaded(name) if name in ZONE_NAMES else None


def get_zone(name: str) -> IanaZone:
    """The zone of this name. Raises UnknownZoneError."""
    zone = find_zone(name)
    if zone is None:
        raise UnknownZoneError(f"{name!r} is no IANA time zone")
    return zone


@cache  # one entry per name of the package at most, some kB each
def _loaded(name: str) -> IanaZone:
    with _PACKAGE.joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)
