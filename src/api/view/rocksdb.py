"""The store on RocksDB; the only module that imports rocksdict. Knows bytes, nothing of sessions.

One column family, so that one WriteBatch is atomic without further care. A process that dies loses nothing that was
written; a machine that dies may lose the newest batches, each with its offsets, so they are simply read again.
"""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rocksdict import (
    BlockBasedIndexType,
    BlockBasedOptions,
    Cache,
    DbClosedError,
    DBCompressionType,
    Env,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from api.view.store import StoreDamagedError
from runtime.clock import monotonic_s

_MIB: Final = 1024 * 1024
# How long closing waits for reads that are under way, each of milliseconds; how it is told of them.
_CLOSE_LIMIT_S: Final = 5.0
_CLOSE_STEP_S: Final = 0.001
_BORROWED: Final = "Already borrowed"
# Blocks read, index and filter blocks included: the bound of what reading costs in memory.
_CACHE_BYTES: Final = 128 * _MIB
# Larger than the default of 4 KiB, since a body has 3 KB: a page of one vehicle's bodies reads a quarter of the blocks.
_BLOCK_BYTES: Final = 16 * 1024
# Index and filters of a million sessions are as large as the cache: they are cut into pieces of this size, and only
# those that are needed are held.
_METADATA_BLOCK_BYTES: Final = 8 * 1024
# So many of these at most: one fills while the other is written out.
_WRITE_BUFFER_BYTES: Final = 16 * _MIB
_WRITE_BUFFERS: Final = 2
# Of a store that is being built: who fills them seldom waits for a disk. More of them, not larger ones: with files of
# twice the size a page of a million sessions costs a quarter more, long after.
_DRAFT_WRITE_BUFFERS: Final = 4
# Share of a write buffer that says which keys are not in it: new sessions are asked for before they are written.
_MEMORY_BLOOM_SHARE: Final = 0.02
# Files of the first level that wait to be merged with the next: of a store in use, where each is a look more for every
# read, and of one that is being built, where fewer mergers leave the processor to the builder.
_FILES_TO_MERGE: Final = 4
_DRAFT_FILES_TO_MERGE: Final = 8
# The first level lives for seconds: only what is merged from it is worth compressing.
_COMPRESSION_BY_LEVEL: Final = (DBCompressionType.none(), *(DBCompressionType.lz4(),) * 6)
# 10 bits per key: one needless block read per 100 look-ups of a key that is not there.
_BLOOM_BITS_PER_KEY: Final = 10
_OPEN_FILES: Final = 256
# Whoever reads a list goes through the deletions in it until they are merged with what they delete. A file is merged
# for this alone where so many of so many entries in a row are deletions, and deletions go from memory into a file when
# there are so many: some 1,800 sessions with an entry each in a list, about as much as a page may look at.
_DELETIONS_IN_A_ROW: Final = 1_000
_ENTRIES_IN_A_ROW: Final = 2_000
_DELETIONS_IN_MEMORY: Final = 20_000
_INFO_LOG_BYTES: Final = 4 * _MIB
_INFO_LOGS: Final = 2


class RocksStore:
    """A Store in one folder. One process may have it open at a time."""

    def __init__(self, folder: Path, *, is_draft: bool = False) -> None:
        """Open what is there, or start empty. Raises StoreDamagedError.

        Of a draft nothing is promised until `keep`: it is written without a log of its own, a third faster.
        """
        folder.mkdir(parents=True, exist_ok=True)
        options = _options()
        if is_draft:
            options.set_level_zero_file_num_compaction_trigger(_DRAFT_FILES_TO_MERGE)
            options.set_max_write_buffer_number(_DRAFT_WRITE_BUFFERS)
        self._write_options = WriteOptions()
        self._write_options.disable_wal = is_draft
        self._deletions = 0
        try:
            # rocksdict forgets filters and cache of an existing family unless it is named with its options.
            self._db: Any = Rdict(str(folder), options=options, column_families={"default": options})
        except Exception as error:  # rocksdict raises no narrower class
            raise StoreDamagedError(f"cannot be opened: {error}") from error

    def get(self, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._db.get(key)
        except Exception as error:  # as above
            raise StoreDamagedError(f"cannot be read: {error}") from error
        return value

    def get_all(self, keys: list[bytes]) -> list[bytes | None]:
        try:
            # One call for all: half the cost of one for each.
            values: list[bytes | None] = self._db.get(keys)
        except Exception as error:  # as above
            raise StoreDamagedError(f"cannot be read: {error}") from error
        return values

    def scan(self, lower: bytes, upper: bytes, *, backwards: bool) -> Iterator[tuple[bytes, bytes]]:
        """Nothing beyond the bounds is looked at: deleted entries cost as much as others until they are merged away."""
        within = ReadOptions()
        # Lent, not copied: RocksDB reads these very bytes as long as it iterates.
        within.set_iterate_upper_bound(upper)
        entries: Any = None
        first: bytes | None = None
        try:
            entries = self._db.iter(within)
            entries.seek(lower)
            if backwards and entries.valid():
                # There is no lower bound to set (rocksdict 0.3.29: the setter of that name sets the upper one), but a
                # walk that ends at the first entry goes no further either.
                first = entries.key()
                entries.seek_for_prev(upper)
            while entries.valid():
                key = entries.key()
                yield key, entries.value()
                if key == first:
                    break
                entries.prev() if backwards else entries.next()
            entries.status()
        except Exception as error:  # as above
            raise StoreDamagedError(f"cannot be read: {error}") from error
        finally:
            entries = None  # before `upper`, which it reads

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        batch = WriteBatch(raw_mode=True)
        put = batch.put
        # In the order of the keys each finds its place in memory beside the one before it: a sixth of a rebuild's
        # processor time less.
        for key in sorted(changes):
            value = changes[key]
            if value is None:
                batch.delete(key)
                self._deletions += 1
            else:
                put(key, value)
        try:
            self._db.write(batch, self._write_options)
            if self._deletions >= _DELETIONS_IN_MEMORY:
                self._deletions = 0
                self._db.flush(wait=False)
        except Exception as error:  # as above
            raise StoreDamagedError(f"cannot be written: {error}") from error

    def keep(self) -> None:
        """From now on whatever was written survives the process. Raises StoreDamagedError."""
        if not self._write_options.disable_wal:
            return
        try:
            self._db.flush()
            self._db.set_options(
                {
                    "level0_file_num_compaction_trigger": str(_FILES_TO_MERGE),
                    "max_write_buffer_number": str(_WRITE_BUFFERS),
                }
            )
        except Exception as error:  # as above
            raise StoreDamagedError(f"cannot be written: {error}") from error
        self._write_options.disable_wal = False

    @property
    def is_at_rest(self) -> bool:
        """Tell whether nothing is being merged, or waits for it: only then do reads cost what they will."""
        names = ("num-running-compactions", "num-running-flushes", "compaction-pending", "mem-table-flush-pending")
        return not any(self._db.property_int_value(f"rocksdb.{name}") for name in names)

    def close(self) -> None:
        until_s = monotonic_s() + _CLOSE_LIMIT_S
        while not self._is_closed(is_last_try=monotonic_s() >= until_s):
            time.sleep(_CLOSE_STEP_S)

    def _is_closed(self, *, is_last_try: bool) -> bool:
        """Close it, unless another thread reads from it at this very moment: rocksdict refuses then."""
        try:
            self._db.close()
        except DbClosedError:
            return True  # closing twice is closed
        except Exception as error:  # as above
            if is_last_try or _BORROWED not in str(error):
                raise StoreDamagedError(f"cannot be closed: {error}") from error
            return False
        return True


def _options() -> Any:
    blocks = BlockBasedOptions()
    blocks.set_block_cache(Cache(_CACHE_BYTES))
    blocks.set_bloom_filter(_BLOOM_BITS_PER_KEY, block_based=False)
    blocks.set_block_size(_BLOCK_BYTES)
    blocks.set_index_type(BlockBasedIndexType.two_level_index_search())
    blocks.set_partition_filters(True)
    blocks.set_metadata_block_size(_METADATA_BLOCK_BYTES)
    blocks.set_cache_index_and_filter_blocks(True)
    blocks.set_pin_top_level_index_and_filter(True)
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(True)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    # Mergers take what processor time is left: whoever waits for an answer, or for the view, goes first.
    environment = Env()
    environment.lower_thread_pool_cpu_priority()
    options.set_env(environment)
    options.set_block_based_table_factory(blocks)
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(_WRITE_BUFFERS)
    options.set_memtable_prefix_bloom_ratio(_MEMORY_BLOOM_SHARE)
    options.set_memtable_whole_key_filtering(True)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_compression_per_level(list(_COMPRESSION_BY_LEVEL))
    options.set_level_zero_file_num_compaction_trigger(_FILES_TO_MERGE)
    options.add_compact_on_deletion_collector_factory(_ENTRIES_IN_A_ROW, _DELETIONS_IN_A_ROW, deletion_ratio=0.0)
    options.set_max_open_files(_OPEN_FILES)
    options.set_max_log_file_size(_INFO_LOG_BYTES)
    options.set_keep_log_file_num(_INFO_LOGS)
    return options
