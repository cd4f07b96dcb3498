"""The state of one partition number on RocksDB. Knows bytes, nothing of sessions.

It is a copy of the changelog: every write holds the position in the changelog up to which the copy goes, in one
WriteBatch. A process that dies loses nothing that was written; a machine that dies may lose the newest batches, each
with its position, so they are read from the changelog again.
"""

import shutil
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from rocksdict import BlockBasedOptions, Cache, DbClosedError, DBCompressionType, Options, Rdict, WriteBatch

from runtime.logs import get_log
from streams.errors import WorkerError

log: Final = get_log()

_MIB: Final = 1_024 * 1_024
# Of all partitions together: index and filter blocks included.
CACHE_BYTES: Final = 64 * _MIB
# Of each partition two at most: one fills while the other is written out.
_WRITE_BUFFER_BYTES: Final = 8 * _MIB
# 10 bits per key: one needless block read per 100 look-ups of a vehicle that is not there.
_BLOOM_BITS_PER_KEY: Final = 10
_OPEN_FILES: Final = 128
_INFO_LOG_BYTES: Final = 4 * _MIB
_INFO_LOGS: Final = 2

# Keys of the store's own, which are on no changelog: no record's key begins so.
_POSITION: Final = b"\x00position"
_GENERATION: Final = b"\x00generation"
# The next offset of the changelog, and when that was written (ms since 1970).
_AT: Final = struct.Struct("<qq")

_CACHE: Final = Cache(CACHE_BYTES)


class StoreDamagedError(RuntimeError):
    """The store cannot be read: it is to be rebuilt from the changelog."""


class Store:
    """One folder. One process may have it open at a time."""

    def __init__(self, folder: Path) -> None:
        """Open what is there, or start empty. Raises StoreDamagedError, and WorkerError where the disk refuses."""
        options = _options()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # rocksdict forgets filters and cache of an existing family unless it is named with its options.
            self._db: Any = Rdict(str(folder), options=options, column_families={"default": options})
        except OSError as error:
            raise WorkerError(f"cannot keep state in {folder}: {error.strerror}") from error
        except Exception as error:  # rocksdict raises no narrower class
            if _is_of_the_disk(error):
                raise WorkerError(f"cannot keep state in {folder}: {error}") from error
            raise StoreDamagedError(f"cannot be opened: {error}") from error
        self._folder = folder

    def get(self, key: bytes) -> bytes | None:
        """A value. Raises StoreDamagedError."""
        try:
            value: bytes | None = self._db.get(key)
        except Exception as error:  # as above
            raise StoreDamagedError(f"cannot be read: {error}") from error
        return value

    def with_prefix(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Every key that begins so, and its value, in the order of the keys. Raises StoreDamagedError."""
        try:
            entries = self._db.iter()
            entries.seek(prefix)
            while entries.valid() and (key := entries.key()).startswith(prefix):
                yield key, entries.value()
                entries.next()
            entries.status()
        except Exception as error:  # as above
            raise StoreDamagedError(f"cannot be read: {error}") from error

    def write(self, changes: Iterable[tuple[bytes, bytes | None]], position: int, wall_ms: int) -> None:
        """Write values (None: the key is no more) and the changelog's next offset, together. Raises WorkerError."""
        batch = WriteBatch(raw_mode=True)
        for key, value in changes:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(_POSITION, _AT.pack(position, wall_ms))
        self._write(batch)

    def position(self) -> tuple[int, int] | None:
        """The changelog's next offset, and when it was written (ms since 1970); None: nothing was written yet."""
        raw = self.get(_POSITION)
        if raw is None:
            return None
        try:
            position, wall_ms = _AT.unpack(raw)
        except struct.error as error:
            raise StoreDamagedError(f"its position cannot be read: {error}") from error
        return position, wall_ms

    def generation(self) -> bytes | None:
        """Of which changelog it is a copy; None: of none yet."""
        return self.get(_GENERATION)

    def set_generation(self, generation: bytes) -> None:
        """Say of which changelog it is a copy. Raises WorkerError."""
        batch = WriteBatch(raw_mode=True)
        batch.put(_GENERATION, generation)
        self._write(batch)

    def close(self) -> None:
        """Let go of the folder."""
        try:
            self._db.close()
        except DbClosedError:
            return  # closing twice is closed
        except Exception as error:  # noqa: BLE001  # as above
            # Nothing is lost by it, and what went wrong before is what the operator has to know.
            log.warning("store does not close", folder=str(self._folder), error=str(error))

    def _write(self, batch: Any) -> None:
        try:
            self._db.write(batch)
        except Exception as error:  # as above
            raise WorkerError(f"cannot keep state in {self._folder}: {error}") from error


def remove_store(folder: Path) -> None:
    """Remove what is there, so that it can be rebuilt. Raises WorkerError."""
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise WorkerError(f"cannot remove {folder}: {error.strerror}") from error


def _is_of_the_disk(error: Exception) -> bool:
    """RocksDB tells what the file system refused as an I/O error: no rebuild would help, unless files are missing."""
    text = str(error)
    return "IO error" in text and "Corruption" not in text and "No such file" not in text


def _options() -> Any:
    blocks = BlockBasedOptions()
    blocks.set_block_cache(_CACHE)
    blocks.set_bloom_filter(_BLOOM_BITS_PER_KEY, block_based=False)
    blocks.set_cache_index_and_filter_blocks(True)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(blocks)
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(2)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_max_open_files(_OPEN_FILES)
    options.set_max_log_file_size(_INFO_LOG_BYTES)
    options.set_keep_log_file_num(_INFO_LOGS)
    return options
