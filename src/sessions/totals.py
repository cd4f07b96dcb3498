"""STUB"""

from msgspec import Struct


class Totals(Struct, frozen=True):
    energy_wh: tuple[int, ...] = ()
    energy_sum_wh: int = 0
    levels: tuple[int | None, ...] = ()
    level_from: float | None = None
    level_to: float | None = None
    is_energy_known: bool = False
    peak_w: int | None = None
    changed_from: int | None = None
