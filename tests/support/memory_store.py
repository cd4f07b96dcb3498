"""A Store in a dict: what a store must do, said in the fewest words, to hold the real one against."""

from collections.abc import Iterator, Mapping


class MemoryStore:
    """Sorted at every scan; for tests only."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def get_all(self, keys: list[bytes]) -> list[bytes | None]:
        return [self.get(key) for key in keys]

    def scan(self, lower: bytes, upper: bytes, *, backwards: bool) -> Iterator[tuple[bytes, bytes]]:
        found = [(key, value) for key, value in self.rows.items() if lower <= key < upper]
        return iter(sorted(found, reverse=backwards))

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        for key, value in changes.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value

    def close(self) -> None:
        self.rows.clear()
