"""How many requests one token may make: a bucket per token that fills at a steady rate. Knows nothing of HTTP."""

from collections import OrderedDict
from typing import Final

# Buckets kept, some 200 bytes each; the one unused for longest goes first, and would mostly be full again by then.
_BUCKETS_LIMIT: Final = 10_000


class RateLimit:
    """`rate_per_s` in the long run, `burst` at once after a rest."""

    def __init__(self, rate_per_s: float, burst: int) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        # Requests left, and the second as of which.
        self._buckets: OrderedDict[bytes, list[float]] = OrderedDict()

    def take(self, key: bytes, now_s: float) -> float:
        """0: the request may pass, and is counted. Else the seconds after which the next one may."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = [float(self._burst), now_s]
            if len(self._buckets) > _BUCKETS_LIMIT:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        left, as_of_s = bucket
        left = min(left + (now_s - as_of_s) * self._rate_per_s, self._burst)
        is_let_in = left >= 1
        bucket[0] = left - 1 if is_let_in else left
        bucket[1] = now_s
        return 0.0 if is_let_in else (1 - left) / self._rate_per_s
