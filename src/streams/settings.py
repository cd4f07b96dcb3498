"""From settings to the rules of the session logic, which knows no settings."""

from datetime import timedelta

from models.units import WH_PER_KWH
from runtime.settings import Settings
from sessions.events import Rules


def rules_from(settings: Settings) -> Rules:
    """The rules that these settings ask for."""
    return Rules(
        unplug_debounce=timedelta(seconds=settings.unplug_debounce_s),
        visit_timeout=timedelta(hours=settings.visit_timeout_h),
        visit_max=timedelta(days=settings.visit_max_d),
        late_limit=timedelta(hours=settings.late_limit_h),
        efficiency=settings.charging_efficiency,
        default_capacity_wh=round(settings.default_capacity_kwh * WH_PER_KWH),
        is_wall=settings.clock == "wall",
    )
