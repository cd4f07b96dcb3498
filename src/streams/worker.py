"""What `faust -A streams.worker worker` runs. The only module with effects at import; nothing imports it."""

import os
import sys

from runtime.settings import SettingsError, load_settings
from streams.app import create_app
from streams.errors import WorkerError
from streams.home import Home
from streams.kafka_topics import require_topics
from streams.prices import PriceFeed
from streams.run import state_folder

try:
    _settings = load_settings(os.environ)
    _found = require_topics(_settings)
    # Held until the process ends.
    _home = Home(state_folder(_settings)).__enter__()
    _prices = PriceFeed(_settings)
except (SettingsError, WorkerError) as error:
    sys.exit(f"error: {error}")
app = create_app(_settings, _prices, _found, _home)
