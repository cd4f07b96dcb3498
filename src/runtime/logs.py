"""Logs: JSON on standard error, one line per fact. `configure_logs` is called once, by each process at its start."""

import logging
import sys
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog

from runtime.clock import utc_now

_ENCODER: Final = msgspec.json.Encoder()


def configure_logs(level: str, part: str) -> None:
    """Send structlog's and the standard library's records to standard error as JSON lines.

    `level`: debug, info, warning or error. `part`: which process this is ("worker", "api", ...).
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(default=str),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=_number(level), force=True)
    structlog.contextvars.bind_contextvars(part=part)


class LineBatch:
    """Lines at level info of one moment, as `get_log().info` would write them, at a tenth of the cost.

    None is written where that level is not logged.
    """

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        time = utc_now().isoformat().replace("+00:00", "Z")
        self._common = {**structlog.contextvars.get_contextvars(), "level": "info", "time": time}
        self._is_wanted = logging.root.isEnabledFor(logging.INFO)

    def add(self, *groups: Mapping[str, Any], **fields: Any) -> None:
        """A line with the fields of all groups, then these."""
        if self._is_wanted:
            line: dict[str, Any] = {}
            for group in (*groups, fields, self._common):
                line.update(group)
            self._lines.append(_ENCODER.encode(line))

    def write(self) -> None:
        """All of them to where logs go, in one piece."""
        if self._lines:
            sys.stderr.write(b"\n".join(self._lines).decode() + "\n")


def get_log() -> Any:
    """A logger: `log.info("what happened", field=value)`."""
    return structlog.get_logger()


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]
