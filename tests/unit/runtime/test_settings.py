"""Settings: defaults, the environment over them, and what is refused."""

from datetime import timedelta

import pytest

from runtime.settings import Settings, SettingsError, load_settings
from sessions.events import Rules
from streams.settings import rules_from


def test_every_setting_has_a_default() -> None:
    """The defaults file names each setting once, and nothing else."""
    settings = load_settings({})
    assert isinstance(settings, Settings)
    assert (settings.clock, settings.topic_partitions) == ("wall", 4)


def test_the_default_rules_are_those_of_the_session_logic() -> None:
    """What the defaults file says and what the logic assumes are the same."""
    assert rules_from(load_settings({})) == Rules()


def test_every_rule_follows_its_setting() -> None:
    """Each number of the environment arrives in the rules, in its unit."""
    environ = {
        "FLEX_UNPLUG_DEBOUNCE_S": "90",
        "FLEX_VISIT_TIMEOUT_H": "48",
        "FLEX_VISIT_MAX_D": "30",
        "FLEX_LATE_LIMIT_H": "12",
        "FLEX_CHARGING_EFFICIENCY": "0.85",
        "FLEX_DEFAULT_CAPACITY_KWH": "52.5",
        "FLEX_CLOCK": "event",
    }
    assert rules_from(load_settings(environ)) == Rules(
        unplug_debounce=timedelta(seconds=90),
        visit_timeout=timedelta(hours=48),
        visit_max=timedelta(days=30),
        late_limit=timedelta(hours=12),
        efficiency=0.85,
        default_capacity_wh=52_500,
        is_wall=False,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FLEX_VISIT_MAX_D", "0"),
        ("FLEX_VISIT_MAX_D", "181"),
        ("FLEX_CHARGING_EFFICIENCY", "0"),
        ("FLEX_CHARGING_EFFICIENCY", "1.01"),
        ("FLEX_CHARGING_EFFICIENCY", "nan"),
        ("FLEX_DEFAULT_CAPACITY_KWH", "0"),
        ("FLEX_DEFAULT_CAPACITY_KWH", "60000"),
        ("FLEX_DEFAULT_CAPACITY_KWH", "large"),
        ("FLEX_CLOCK", "none"),
    ],
)
def test_a_value_out_of_its_bounds_is_refused_by_name(name: str, value: str) -> None:
    """A number beyond its bounds, or no number, is an error that names the setting."""
    with pytest.raises(SettingsError, match=name):
        load_settings({name: value})


def test_an_unknown_name_is_refused() -> None:
    """A FLEX_ name that is no setting, or is not in capitals, is an error that names it; others are not ours."""
    for name in ("FLEX_NO_SUCH", "FLEX_clock"):
        with pytest.raises(SettingsError, match=name):
            load_settings({name: "wall"})
    assert load_settings({"OTHER": "x", "FLEX_DATA_DIR": "/x"}) == load_settings({})


def test_a_short_secret_is_refused_and_not_shown() -> None:
    """A secret below 32 bytes is refused; the message does not repeat it."""
    with pytest.raises(SettingsError) as refused:
        load_settings({"FLEX_AUTH_HS256_SECRET": "hunter2"})
    assert "hunter2" not in str(refused.value)
