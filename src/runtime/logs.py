"""Logs: JSON on standard error, one line per fact. `configure_logs` is called once, by each process at its start."""

import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog

from runtime.clock import epoch_s, monotonic_s

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


def members(fields: Mapping[str, Any]) -> str:
    """These fields as they stand within a line: JSON without its braces."""
    return _ENCODER.encode(fields).decode()[1:-1]


class LineBatch:
    """Lines at level info, as `get_log().info` would have written them, at a twentieth of the cost.

    None is written where that level is not logged.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        common = {**structlog.contextvars.get_contextvars(), "level": "info"}
        self._common = members(common)
        self._is_wanted = logging.root.isEnabledFor(logging.INFO)
        # The clock of the lines' times, by the monotonic one; and the last second written out.
        self._offset_s = epoch_s() - monotonic_s()
        self._second = 0
        self._second_text = ""

    def add(self, fields: str, at_s: float) -> None:
        """A line with these members (at least one) of what happened at this second of the monotonic clock."""
        if self._is_wanted:
            second, microsecond = divmod(int((at_s + self._offset_s) * 1_000_000), 1_000_000)
            if second != self._second:
                self._second = second
                self._second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._lines.append(f'{{{fields},{self._common},"time":"{self._second_text}.{microsecond:06d}Z"}}\n')

    def write(self) -> None:
        """All of them to where logs go, in one piece."""
        if self._lines:
            sys.stderr.write("".join(self._lines))


def get_log() -> Any:
    """A logger: `log.info("what happened", field=value)`."""
    return structlog.get_logger()


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]
