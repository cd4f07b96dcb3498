"""How large a batch may be: its transaction must end in time, whatever its records hold and cause.

What a record causes is known only afterwards: a visit of weeks is a long state and a long update with each of its
samples. So a batch has as many records as would have written little enough if they were like those of the last one.
"""

from typing import Final

from models.topics import MIB

# Bytes of keys and values in one transaction, more or less: at a tenth of what a disk takes they are written in time.
WRITTEN_BYTES: Final = 48 * MIB
# Bytes of input values in a batch, exceeded by its last record at most: what is refused is written as it came.
INPUT_BYTES: Final = 16 * MIB
# Records of the first batch: a worker that could not end a transaction in time comes back with this.
FIRST_RECORDS: Final = 250


class BatchSize:
    """`records`: how many the next batch takes at most."""

    def __init__(self, limit_records: int) -> None:
        """`limit_records`: however little they write."""
        self._limit_records = limit_records
        self.records = min(FIRST_RECORDS, limit_records)

    def note(self, records: int, written_bytes: int) -> None:
        """The last batch had so many records, one or more, and wrote so much."""
        fitting = WRITTEN_BYTES * records // max(1, written_bytes)
        self.records = max(1, min(self._limit_records, fitting, 2 * self.records))
