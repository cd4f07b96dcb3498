"""Settings, parsed once at start and frozen. `settings.default.toml` beside this file is their reference."""

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

ENV_PREFIX: Final = "FLEX_"
# Names the tests where recorded telemetry lies; it shares the prefix and says nothing to the system.
NOT_SETTINGS: Final = frozenset({"FLEX_DATA_DIR"})
SECRET_MIN_BYTES: Final = 32

Port = Annotated[int, Meta(ge=1, le=65_535)]


class SettingsError(ValueError):
    """A setting that is unknown or wrong; the message names it and never shows a secret."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting. Units are in the names; bounds and reasons in settings.default.toml."""

    kafka_bootstrap_servers: Annotated[str, Meta(min_length=1)]
    topic_prefix: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._-]{0,64}\Z")]
    topic_partitions: Annotated[int, Meta(ge=1, le=1_000)]
    topic_replication: Annotated[int, Meta(ge=1, le=10)]
    state_dir: Annotated[str, Meta(min_length=1)]
    cache_dir: Annotated[str, Meta(min_length=1)]
    clock: Literal["wall", "event"]
    unplug_debounce_s: Annotated[float, Meta(ge=0, le=3_600)]
    timer_quiet_s: Annotated[float, Meta(ge=0.1, le=60)]
    visit_timeout_h: Annotated[float, Meta(gt=0, le=2_160)]
    visit_max_d: Annotated[float, Meta(ge=1, le=180)]
    late_limit_h: Annotated[float, Meta(ge=1, le=24)]
    charging_efficiency: Annotated[float, Meta(gt=0, le=1)]
    default_capacity_kwh: Annotated[float, Meta(ge=1, le=2_000)]
    merge_window_records: Annotated[int, Meta(ge=100, le=1_000_000)]
    merge_wait_ms: Annotated[float, Meta(ge=0, le=1_000)]
    fetch_wait_ms: Annotated[int, Meta(ge=1, le=1_000)]
    batch_limit_records: Annotated[int, Meta(ge=1, le=20_000)]
    commit_interval_s: Annotated[float, Meta(ge=0.1, le=60)]
    stall_limit_s: Annotated[float, Meta(ge=5, le=3_600)]
    session_timeout_s: Annotated[float, Meta(ge=6, le=300)]
    worker_metrics_port: Annotated[int, Meta(ge=0, le=65_535)]
    state_cache_vehicles: Annotated[int, Meta(ge=100, le=10_000_000)]
    crash_at: Annotated[
        str, Meta(pattern=r"\A((produced|committed|stored):[1-9][0-9]{0,8}(:(freeze|hang|undo|refuse))?)?\Z")
    ]
    api_host: Annotated[str, Meta(min_length=1)]
    api_port: Port
    first_session_wait_s: Annotated[float, Meta(ge=0.1, le=10)]
    auth_hs256_secret: str
    auth_issuer: Annotated[str, Meta(min_length=1)]
    auth_audience: Annotated[str, Meta(min_length=1)]
    auth_leeway_s: Annotated[float, Meta(ge=0, le=300)]
    auth_jwks_url: str
    auth_jwks_refresh_s: Annotated[float, Meta(ge=1, le=86_400)]
    rate_limit_per_s: Annotated[float, Meta(ge=0.1, le=1_000_000)]
    rate_limit_burst: Annotated[int, Meta(ge=1, le=1_000_000)]
    stream_clients: Annotated[int, Meta(ge=0, le=100_000)]
    stream_heartbeat_s: Annotated[float, Meta(ge=0.1, le=300)]
    csv_clients: Annotated[int, Meta(ge=0, le=1_000)]
    drain_s: Annotated[float, Meta(ge=0, le=300)]
    log_level: Literal["debug", "info", "warning", "error"]


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Defaults overlaid with the environment's FLEX_ names. Raises SettingsError that names what is wrong."""
    values: dict[str, Any] = tomllib.loads(
        resources.files("runtime").joinpath("settings.default.toml").read_text(encoding="utf-8")
    )
    for name, text in environ.items():
        if not name.startswith(ENV_PREFIX) or name in NOT_SETTINGS:
            continue
        field = name.removeprefix(ENV_PREFIX).lower()
        if field not in values or name != name.upper():
            raise SettingsError(f"{name}: no such setting")
        values[field] = text
    for field, value in values.items():
        _check(field, value)
    settings = msgspec.convert(values, Settings, strict=False)
    if settings.auth_hs256_secret and len(settings.auth_hs256_secret.encode()) < SECRET_MIN_BYTES:
        raise SettingsError(f"FLEX_AUTH_HS256_SECRET: shorter than {SECRET_MIN_BYTES} bytes")
    _check_jwks_url(settings)
    return settings


def _check_jwks_url(settings: Settings) -> None:
    """The keys decide who is let in: they must come over TLS, unless from this very machine."""
    if not settings.auth_jwks_url:
        return
    if settings.auth_hs256_secret:
        raise SettingsError("FLEX_AUTH_JWKS_URL: cannot be set together with FLEX_AUTH_HS256_SECRET; set one of them")
    try:
        url = urlsplit(settings.auth_jwks_url)
        host = url.hostname or ""
    except ValueError as error:
        raise SettingsError("FLEX_AUTH_JWKS_URL: is not a URL") from error
    is_local = host in {"127.0.0.1", "::1", "localhost"}
    if not host or not (url.scheme == "https" or (url.scheme == "http" and is_local)):
        raise SettingsError("FLEX_AUTH_JWKS_URL: must be an https URL (http only to this machine)")


def _check(field: str, value: object) -> None:
    annotation = Settings.__annotations__[field]
    try:
        msgspec.convert(value, annotation, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{ENV_PREFIX}{field.upper()}: {error}") from error
