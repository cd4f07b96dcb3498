"""When a part that died is started again: after a pause that doubles, and not for ever. Pure; time is handed in."""

from collections import deque
from typing import Final

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
# A part that dies this often in this time will not be cured by one more start.
MOST_RESTARTS: Final = 10
WINDOW_S: Final = 600.0


class Restarts:
    """The restarts of one part."""

    def __init__(self) -> None:
        self._at_s: deque[float] = deque(maxlen=MOST_RESTARTS)

    def next_pause_s(self, now_s: float) -> float | None:
        """Seconds to wait before the restart that is counted hereby; None: give up."""
        while self._at_s and now_s - self._at_s[0] > WINDOW_S:
            self._at_s.popleft()
        if len(self._at_s) == MOST_RESTARTS:
            return None
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** len(self._at_s))
        self._at_s.append(now_s)
        return pause_s
