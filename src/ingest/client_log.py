"""Where librdkafka's own lines go: nowhere. Its errors arrive by callback, and its lines repeat them every second."""

import logging
from typing import Final

LIBRDKAFKA_LOG: Final = logging.getLogger("ingest.librdkafka")
LIBRDKAFKA_LOG.addHandler(logging.NullHandler())
LIBRDKAFKA_LOG.propagate = False
