"""Memory without long pauses: Python's own search for garbage would walk through every state that was made since it
searched last, a quarter of a second at some thousand records a second, while nothing else runs.

States are values that refer to nothing that refers back, so they are freed as soon as nobody has them, without any
search. What does refer back is made by the frameworks, most of it when something fails, and dies young. So only what is
young is searched, and only while it is little; then it counts as old, and is not looked at again.
"""

import gc
from typing import Final

# Records that were processed since the last look: what so many leave behind is searched in some 5 ms.
LITTLE_RECORDS: Final = 200


class Garbage:
    """The search, by the worker's own clock instead of by how much was made."""

    def __init__(self) -> None:
        """From now on nothing is searched but by `look`. What is there stays."""
        gc.disable()
        gc.collect()
        gc.freeze()
        self._records = 0

    def look(self, records: int) -> None:
        """Look for young garbage, if few records came since the last look. `records`: that were processed in all."""
        came, self._records = records - self._records, records
        if came <= LITTLE_RECORDS:
            gc.collect(0)
        # In a moment, however much there is.
        gc.freeze()
