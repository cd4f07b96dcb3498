"""What `faust -A streams.worker worker` runs. The only module with effects at import; nothing imports it."""

import os

from runtime.settings import load_settings
from streams.app import create_app
from streams.run import require_topics

_settings = load_settings(os.environ)
require_topics(_settings)
app = create_app(_settings)
