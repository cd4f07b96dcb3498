"""How far a session may be from the truth, by what its feed does to a car's words."""

from typing import Final

from msgspec import Struct

# What the seconds between the plug and the first reading may come to, by the level alone.
ROUNDING_KWH: Final = 0.015
CLEAN_SHARE: Final = 0.005


class Bounds(Struct, frozen=True, kw_only=True):
    """How far a session may be from the truth, given what its feed does to it. Times in seconds, energies in kWh.

    `start_s`, `end_s`: how much earlier and later a boundary may be. `blind_s`: a stay shorter than that may be missed,
    a gap shorter than that may not be seen. `settle_s`: how long after its end a session may take to come. Money: how
    far the cost may be off beyond what the energy may be, null where the feed does not tell enough.
    `energy_gap_s`: full power for so long may be missing or too much.
    `knows_power`: whether full power for a while is seen for sure.
    `late_s`: words may be so late; where a policy or an owner changed meanwhile, nobody can say what belongs to whom.
    `skew_ms`: by how much the car's clock, by which its sessions are, is ahead.
    `may_split`: a plug that was out for less than the debounce, or a hole where some are blind, may have ended it.
    """

    start_s: tuple[float, float] = (0.0, 0.0)
    end_s: tuple[float, float] = (0.0, 0.0)
    energy_share: float = CLEAN_SHARE
    energy_kwh: float = ROUNDING_KWH
    money: float | None = 0.01
    blind_s: float = 0.0
    settle_s: float = 0.0
    level_percent: float | None = 1.0
    knows_place: bool = True
    knows_power: bool = True
    energy_gap_s: float = 0.0
    late_s: float = 0.0
    skew_ms: int = 0
    may_split: bool = False
