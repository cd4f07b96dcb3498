"""What the view needs of a store: ordered bytes, and one atomic write. Which database it is stays unknown here."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Protocol


class StoreDamagedError(Exception):
    """The store cannot be read or written as it should be. The cure is a rebuild from the topics."""


class Store(Protocol):
    """Keys and values are bytes; keys are ordered by their bytes."""

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, or None. Raises StoreDamagedError."""

    def get_all(self, keys: list[bytes]) -> list[bytes | None]:
        """The value of each key, or None, in their order. Raises StoreDamagedError."""

    def scan(self, lower: bytes, upper: bytes, *, backwards: bool) -> Iterator[tuple[bytes, bytes]]:
        """Entries with lower <= key < upper as of the call, lowest first or highest first. Raises StoreDamagedError."""

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Put every value (None: delete the key), all of them or none. Raises StoreDamagedError."""

    def close(self) -> None:
        """Let go of the files. Further calls raise StoreDamagedError."""


class Draft:
    """Changes not yet written, laid over a store that nobody else writes: reads see them, `store.write(draft.changes)`
    makes them real.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: dict[bytes, bytes | None] = {}
        self.changes: dict[bytes, bytes | None] = {}

    def expect(self, keys: Collection[bytes]) -> None:
        """Read these in one call, since they will be asked for. Raises StoreDamagedError."""
        if keys:
            given = list(keys)
            self._read.update(zip(given, self._store.get_all(given), strict=True))

    def get(self, key: bytes) -> bytes | None:
        if key in self.changes:
            return self.changes[key]
        if key in self._read:
            return self._read[key]
        return self._store.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self.changes[key] = value

    def put_all(self, keys: Iterable[bytes], value: bytes) -> None:
        """The same value under each of these keys."""
        self.changes.update(dict.fromkeys(keys, value))

    def delete(self, key: bytes) -> None:
        self.changes[key] = None
