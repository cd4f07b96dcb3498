"""What `faust -A streams.worker worker` runs. The only module with effects at import; nothing imports it."""

import os
import sys

from runtime.settings import SettingsError, load_settings
from streams.app import create_app
from streams.errors import WorkerError
from streams.prices import PriceFeed
from streams.run import require_topics

try:
    _settings = load_settings(os.environ)
    require_topics(_settings)
    _prices = PriceFeed(_settings)
except (SettingsError, WorkerError) as error:
    sys.exit(f"error: {error}")
app = create_app(_settings, _prices)
