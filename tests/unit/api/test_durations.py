"""The histogram of times to answer, against the one of prometheus-client."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from api import durations
from api.durations import Durations

NAME = "answer_seconds"
LABELS = [("GET", "/a", "200"), ("GET", "/a", "404"), ("PUT", "/b", "202")]


@given(
    st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(durations._BOUNDS_S) | st.floats(0, 20)), min_size=1)
)
def test_same_as_the_librarys(observed: list[tuple[tuple[str, str, str], float]]) -> None:
    """Whatever is observed, on a bound too, the samples are those of the library's own histogram."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    made = Durations(NAME, "Times.")
    ours.register(made)
    reference = Histogram(NAME, "Times.", durations._LABELS, buckets=durations._BOUNDS_S, registry=theirs)
    for labels, duration_s in observed:
        made.of(labels).observe(duration_s)
        reference.labels(*labels).observe(duration_s)
    assert samples(ours) == samples(theirs)


def samples(registry: CollectorRegistry) -> set[str]:
    lines = generate_latest(registry).decode().splitlines()
    return {line for line in lines if not line.startswith("#") and "_created" not in line}
