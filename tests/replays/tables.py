"""The published session tables; what of each may be believed stands in its README."""

import csv
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from tests.replays.rows import SECOND, Flaw, Flawed, Row, Span, Stamps, Wish, flaw_of, without_overlaps
from tests.support.captures import capture

_MINUTE: Final = timedelta(minutes=1)

Line = Mapping[str, Any]


def _no_doubt(_: Line) -> Flaw | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table: its files and how their lines are read.

    `key`, `start`, `end`: the columns of these; `doubt`: a flaw that shows before the times are read. `is_exclusive`:
    an entity has one session at a time, so rows that overlap are wrong. `is_energy_needed`: a row of 0 kWh is no
    session.
    """

    name: str
    files: tuple[str, ...]
    lines: Callable[[Path], Iterator[Line]]
    key: str
    start: str
    end: str
    row: Callable[[str, Span, Line], Row]
    stamps: Stamps
    doubt: Callable[[Line], Flaw | None] = _no_doubt
    is_exclusive: bool = True
    is_energy_needed: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What a table holds: the rows that can be replayed, and those that are flagged."""

    table: Table
    valid: tuple[Row, ...]
    flawed: tuple[Flawed, ...]

    @property
    def flaws(self) -> dict[Flaw, int]:
        """How many rows are flagged for which flaw."""
        return dict(Counter(each.flaw for each in self.flawed))


def read_table(table: Table) -> Reading:
    """Read a table; the test is skipped where one of its files is absent."""
    by_entity: dict[str, list[Row]] = defaultdict(list)
    valid: list[Row] = []
    flawed: list[Flawed] = []
    for path in [capture(name) for name in table.files]:
        for line in table.lines(path):
            taken = _take(table, line)
            if isinstance(taken, Flawed):
                flawed.append(taken)
            else:
                by_entity[taken.entity].append(taken)
    for rows in by_entity.values():
        kept, overlapping = without_overlaps(rows) if table.is_exclusive else (rows, [])
        valid += kept
        flawed += overlapping
    return Reading(table, tuple(valid), tuple(flawed))


def _take(table: Table, line: Line) -> Row | Flawed:
    key = str(line[table.key])
    span = table.doubt(line) or table.stamps.span(line[table.start], line[table.end])
    if isinstance(span, Flaw):
        return Flawed(key, span)
    row = table.row(key, span, line)
    flaw = flaw_of(row)
    if flaw is None and table.is_energy_needed and row.energy_kwh == 0:
        flaw = Flaw.NO_ENERGY
    return row if flaw is None else Flawed(key, flaw)


def _commas(path: Path) -> Iterator[Line]:
    with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def _semicolons(path: Path) -> Iterator[Line]:
    with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file, delimiter=";")


def _json(path: Path) -> Iterator[Line]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from json.load(file)


def _decimal_comma(number: str) -> float:
    return float(number.replace(",", "."))


def _acn_row(key: str, span: Span, line: Line) -> Row:
    return Row(
        key=key,
        span=span,
        entity=line["station_id"],
        place="acn",
        energy_kwh=float(line["delivered_energy (kWh)"]),
    )


ACN: Final = Table(
    name="acn",
    files=tuple(
        f"acn_sessions/{name}.csv.gz"
        for name in (
            "caltech_2019-05-01_2019-08-31",
            "caltech_2019-09-01_2019-12-31",
            "caltech_2020-02-01_2020-05-31",
            "caltech_2021-05-01_2021-08-31",
            "jpl_2019-05-01_2019-08-31",
            "jpl_2019-09-01_2019-12-31",
        )
    ),
    lines=_commas,
    key="session_id",
    start="arrival",
    end="departure",
    row=_acn_row,
    stamps=Stamps(ZoneInfo("America/Los_Angeles"), "%Y-%m-%d %H:%M:%S%z", SECOND),
)

_GMT: Final = Stamps(ZoneInfo("UTC"), "%a, %d %b %Y %H:%M:%S GMT", SECOND)


def _acn_api_row(key: str, span: Span, line: Line) -> Row:
    done = line["doneChargingTime"]
    return Row(
        key=key,
        span=span,
        # The driver, where one is known. A station has one session at a time, a driver may have two.
        entity=line["userID"] or line["spaceID"],
        place=line["siteID"],
        energy_kwh=line["kWhDelivered"],
        charged_until=None if done is None else _gmt(done),
        wishes=tuple(
            Wish(_gmt(said["modifiedAt"]), said["kWhRequested"], _gmt(said["requestedDeparture"]))
            for said in line["userInputs"] or ()
        ),
    )


def _gmt(text: str) -> datetime:
    return _GMT.read(text).replace(tzinfo=UTC)


ACN_API: Final = Table(
    name="acn api",
    files=("acn_sessions/caltech_2021-05_acn_api.json.gz",),
    lines=_json,
    key="sessionID",
    start="connectionTime",
    end="disconnectTime",
    row=_acn_api_row,
    stamps=_GMT,
    is_exclusive=False,
)


def _sap_row(key: str, span: Span, line: Line) -> Row:
    return Row(
        key=key,
        span=span,
        entity=f"{line['ID borne']}.{line['ID connecteur borne']}",
        place=f"{line['Type Lieu de charge']}.{line['ID borne']}",
        energy_kwh=float(line["Consommation totale (Wh)"]) / 1000,
        # 0 says that the charger does not know.
        level_from=float(line["Charge batterie demarrage (%)"]) or None,
        level_to=float(line["Charge batterie fin (%)"]) or None,
        # The two times are rounded each on its own.
        charged_until=max(span.end - timedelta(seconds=float(line["Duree inactivite totale (s)"])), span.start),
        elapsed_s=float(line["Duree totale (s)"]),
    )


def _sap_doubt(line: Line) -> Flaw | None:
    if not line["Date fin"]:
        return Flaw.OPEN
    is_idle_longer = float(line["Duree inactivite totale (s)"]) > float(line["Duree totale (s)"])
    return Flaw.IDLE if is_idle_longer else None


SAP: Final = Table(
    name="sap",
    files=("sap_home_work/conso-ve-sap_mougins_to_2020-02_and_27_homes.csv.gz",),
    lines=_semicolons,
    key="ID transaction",
    start="Date demarrage",
    end="Date fin",
    row=_sap_row,
    doubt=_sap_doubt,
    stamps=Stamps(ZoneInfo("Europe/Paris"), "%Y-%m-%dT%H:%M:%S%z", SECOND),
)


def _norway_row(key: str, span: Span, line: Line) -> Row:
    energy_kwh = _decimal_comma(line["energy_session"])
    return Row(key=key, span=span, entity=line["user_id"], place=line["location"], energy_kwh=energy_kwh)


NORWAY: Final = Table(
    name="norway",
    files=("norway_residential/Dataset1_charging_reports_7_locations.csv.gz",),
    lines=_semicolons,
    key="session_id",
    start="plugin_time",
    end="plugout_time",
    row=_norway_row,
    stamps=Stamps(ZoneInfo("Europe/Oslo"), "%Y-%m-%d %H:%M:%S", _MINUTE),
    is_exclusive=False,
)


def _trondheim_row(key: str, span: Span, line: Line) -> Row:
    energy_kwh = _decimal_comma(line["El_kWh"])
    return Row(key=key, span=span, entity=line["User_ID"], place=line["Garage_ID"], energy_kwh=energy_kwh)


TRONDHEIM: Final = Table(
    name="trondheim",
    files=("trondheim_residential/Dataset1_EV_charging_reports_18_garages.csv.gz",),
    lines=_semicolons,
    key="session_ID",
    start="Start_plugin",
    end="End_plugout",
    row=_trondheim_row,
    stamps=Stamps(ZoneInfo("Europe/Oslo"), "%d.%m.%Y %H:%M", _MINUTE),
    is_exclusive=False,
)


def _epfl_row(key: str, span: Span, line: Line) -> Row:
    return Row(
        key=key,
        span=span,
        entity=line["CCS"],
        place="epfl",
        energy_kwh=float(line["Energy (Wh)"]) / 1000,
        level_from=float(line["SOC arrival"]),
        level_to=float(line["SOC departure"]),
    )


EPFL: Final = Table(
    name="epfl",
    files=("epfl_dc_sessions/Session_data_2022-04_to_cut.csv.gz",),
    lines=_commas,
    key="Session",
    start="Arrival",
    end="Departure",
    row=_epfl_row,
    stamps=Stamps(ZoneInfo("Europe/Zurich"), "%Y-%m-%d %H:%M:%S", _MINUTE),
)


def _evwatts_row(key: str, span: Span, line: Line) -> Row:
    return Row(key=key, span=span, entity=line["vehicle_id"], place="texas", energy_kwh=None)


EVWATTS: Final = Table(
    name="evwatts",
    files=("evwatts_vehicle_sessions/VehicleChargingSessions_TX_part.csv.gz",),
    lines=_commas,
    key="id",
    start="start_datetime",
    end="stop_datetime",
    row=_evwatts_row,
    # No zone is told: what these times are does not matter here, and of clock changes they prove nothing.
    stamps=Stamps(ZoneInfo("UTC"), "%Y-%m-%d %H:%M:%S", 10 * _MINUTE),
)


def _dundee_lines(path: Path) -> Iterator[Line]:
    for line in _commas(path):
        yield {**line, **{name: f"{line[f'{name} Date'][:10]} {line[f'{name} Time']}" for name in ("Start", "End")}}


def _dundee_doubt(line: Line) -> Flaw | None:
    if not line["End Date"]:
        return Flaw.OPEN
    # Only a day after the 12th cannot be a month.
    return Flaw.SWAPPED if any(int(line[name][8:10]) <= 12 for name in ("Start Date", "End Date")) else None


def _dundee_row(key: str, span: Span, line: Line) -> Row:
    connector = f"{line['CP ID']}.{line['Connector']}"
    return Row(key=key, span=span, entity=connector, place=line["CP ID"], energy_kwh=float(line["Total kWh"]))


DUNDEE: Final = Table(
    name="dundee",
    files=tuple(f"public_council_sessions/dundee_{name}.csv.gz" for name in ("010917-011217", "050318-050618")),
    lines=_dundee_lines,
    key="Charging event",
    start="Start",
    end="End",
    row=_dundee_row,
    doubt=_dundee_doubt,
    stamps=Stamps(ZoneInfo("Europe/London"), "%Y-%m-%d %H:%M", _MINUTE),
    is_energy_needed=True,
)


def _boulder_row(key: str, span: Span, line: Line) -> Row:
    station = line["Station_Name"].replace(" / ", ":").replace(" ", "-")
    return Row(
        key=key,
        span=span,
        entity=station,
        place=station,
        energy_kwh=float(line["Energy__kWh_"]),
        # Charged to the second, plugged in to the minute: it may seem to end some seconds too late.
        charged_until=min(span.start + _length(line["Charging_Time__hh_mm_ss_"]), span.end),
        elapsed_s=_length(line["Total_Duration__hh_mm_ss_"]).total_seconds(),
    )


def _length(text: str) -> timedelta:
    hours, minutes, seconds = (int(part) for part in text.split(":"))
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


BOULDER: Final = Table(
    name="boulder",
    files=("public_council_sessions/boulder_2018-01_2021-03.csv.gz",),
    lines=_commas,
    key="ObjectId",
    start="Start_Date___Time",
    end="End_Date___Time",
    row=_boulder_row,
    stamps=Stamps(ZoneInfo("UTC"), "%Y/%m/%d %H:%M:%S+00", _MINUTE),
    # A station has two ports, and the table does not tell them apart.
    is_exclusive=False,
    is_energy_needed=True,
)

TABLES: Final = (ACN, ACN_API, SAP, NORWAY, TRONDHEIM, EPFL, EVWATTS, DUNDEE, BOULDER)
