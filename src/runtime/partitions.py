"""Which partition is a vehicle's: murmur2 over its id, as the default partitioner of Kafka's Java clients."""

from aiokafka.partitioner import murmur2

# librdkafka's name for the same rule: a null key goes anywhere, every other one by murmur2.
LIBRDKAFKA_PARTITIONER = "murmur2_random"


def partition_of(key: str, partitions: int) -> int:
    """The partition (0 to `partitions` - 1) on which records of this key belong."""
    return int((murmur2(key.encode()) & 0x7FFFFFFF) % partitions)
