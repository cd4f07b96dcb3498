"""From settings to the rules of the session logic, which knows no settings."""

from datetime import timedelta

from runtime.settings import Settings
from sessions.events import Rules


def rules_from(settings: Settings) -> Rules:
    """The rules that these settings ask for."""
    return Rules(
        unplug_debounce=timedelta(seconds=settings.unplug_debounce_s),
        visit_timeout=timedelta(hours=settings.visit_timeout_h),
        late_limit=timedelta(hours=settings.late_limit_h),
    )
