"""Day-ahead prices of real auctions, read where they lie: by zone and quarter-hour, in currency per kWh.

Every file is in wall time or has it beside UTC; the clock changes are in it: an hour that is absent, one that occurs
twice, and slots that are simply missing.
"""

import csv
import gzip
import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import groupby
from typing import Final

from models.ids import Zone
from models.prices import PriceRecord, Resolution
from models.zones import get_zone
from sessions.prices import PriceBook
from tests.support.captures import capture

SMARD: Final = "day_ahead_prices/Gro_handelspreise_201901010000_201912312359_Stunde.xlsx"
ELSPOT: Final = "day_ahead_prices/se3_se4_hourly_2023_2024_Elspotprices.csv.gz"
BELGIUM: Final = "day_ahead_prices/be_dam_15min_2024-01_2025-04_and_2025-10-01_to_13.csv.gz"
# All of these zones keep the same time; the auction of a day closes at noon of the day before.
LOCAL: Final = get_zone("Europe/Brussels")
AUCTION_TOLD: Final = timedelta(hours=12, minutes=45)

_KWH_PER_MWH: Final = 1_000
_CELL: Final = re.compile(r'<c r="([A-Z]+)(\d+)"[^>]*>(?:<is><t[^>]*>([^<]*)</t></is>|<v>([^<]*)</v>)</c>')

Prices = dict[datetime, float]


@cache
def smard() -> dict[str, Prices]:
    """By column of the table, hour by hour of 2019; a column without any price is left out."""
    rows: dict[int, dict[str, str]] = {}
    with zipfile.ZipFile(capture(SMARD)) as book:
        for column, row, text, number in _CELL.findall(book.read("xl/worksheets/sheet1.xml").decode()):
            rows.setdefault(int(row), {})[column] = text or number
    titles, *hours = (rows[number] for number in sorted(rows) if "B" in rows[number])
    moment = datetime(2019, 1, 1, tzinfo=LOCAL).astimezone(UTC)
    found: dict[str, Prices] = {}
    for cells in hours:
        # The hours follow each other; what the table calls them proves that none is missing or told twice.
        assert f"{cells['A']} {cells['B']}" == moment.astimezone(LOCAL).strftime("%d.%m.%Y %H:%M")
        for column, text in cells.items():
            if column not in "ABC" and text != "-":
                found.setdefault(titles[column].split(" [")[0], {})[moment] = float(text) / _KWH_PER_MWH
        moment += timedelta(hours=1)
    return found


@cache
def elspot() -> dict[str, Prices]:
    """SE3 and SE4, hour by hour."""
    found: dict[str, Prices] = {}
    with gzip.open(capture(ELSPOT), "rt", encoding="utf-8-sig") as lines:
        for row in csv.DictReader(lines, delimiter=";"):
            moment = datetime.fromisoformat(row["HourUTC"]).replace(tzinfo=UTC)
            found.setdefault(row["PriceArea"], {})[moment] = _per_kwh(row["SpotPriceEUR"].replace(",", "."))
    return {zone: dict(sorted(prices.items())) for zone, prices in found.items()}


@cache
def belgium() -> Prices:
    """Quarter-hour by quarter-hour, with the slots missing that the file lacks."""
    with gzip.open(capture(BELGIUM), "rb") as packed, io.TextIOWrapper(packed, encoding="utf-8-sig") as lines:
        return {
            datetime.fromisoformat(row["datetime_utc"]).replace(tzinfo=UTC): _per_kwh(row["price_eur_mwh"])
            for row in csv.DictReader(lines)
        }


def _per_kwh(per_mwh: str) -> float:
    return float(per_mwh) / _KWH_PER_MWH


def local_days(prices: Iterable[datetime]) -> list[date]:
    """The local days on which any price begins."""
    return sorted({moment.astimezone(LOCAL).date() for moment in prices})


def price_book(zone: Zone, prices: Prices, resolution: Resolution) -> PriceBook:
    """The prices as an auction tells them: a day at a time, early in the afternoon of the day before."""
    book = PriceBook()
    for day, moments in groupby(prices, key=lambda moment: moment.astimezone(LOCAL).date()):
        told_at = datetime.combine(day - timedelta(days=1), datetime.min.time(), LOCAL) + AUCTION_TOLD
        for stretch in _stretches(moments, resolution.length):
            record = PriceRecord(
                zone=zone,
                currency="EUR",
                resolution=resolution,
                start_at=stretch[0],
                prices=tuple(prices[moment] for moment in stretch),
                at=told_at.astimezone(UTC),
            )
            book.add(record, record.at)
    return book


def _stretches(moments: Iterable[datetime], length: timedelta) -> Iterator[list[datetime]]:
    """The moments in runs without a gap."""
    stretch: list[datetime] = []
    for moment in moments:
        if stretch and moment != stretch[-1] + length:
            yield stretch
            stretch = []
        stretch.append(moment)
    yield stretch
