"""Domain, keys, and limits and defaults that several modules share."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

DOMAIN: Final = "voltgo_vlrv"

# Data of a battery's entry.
CONF_INFO: Final = "info"
CONF_PENDING: Final = "pending"

# Options of a battery's entry; `options.py` reads them.
CONF_MAX_AGE: Final = "max_age"
CONF_CONNECTION: Final = "connection"
CONF_CURRENT_SCALE: Final = "current_scale"
CONF_FIRMWARE: Final = "firmware"
CONF_INTERVAL: Final = "interval"
CONF_LOW_BATTERY: Final = "low_battery"
DEFAULT_LOW_BATTERY: Final = 20  # %
CONF_RECORD_EVERY_CHANGE: Final = "record_every_change"
CONF_RESERVE: Final = "reserve"
CONF_USAGE: Final = "usage"
IN_USE: Final = "in_use"
STORED: Final = "stored"
DEFAULT_RESERVE: Final = 0  # %
MAX_RESERVE: Final = 90  # %

# Data and options of a bank's entry.
CONF_KIND: Final = "kind"
KIND_BANK: Final = "bank"
CONF_MEMBERS: Final = "members"
CONF_INVERTER: Final = "inverter"

# Time between two polls of a battery, unless the user sets another one.
POLL_INTERVAL: Final = timedelta(seconds=10)
MIN_INTERVAL: Final = timedelta(seconds=5)
MAX_INTERVAL: Final = timedelta(hours=1)

# A sample expires at this age: the larger of the two, unless the user sets another age.
MAX_AGE: Final = timedelta(seconds=60)
MAX_AGE_INTERVALS: Final = 4
MIN_AGE_OPTION: Final = timedelta(seconds=30)
MAX_AGE_OPTION: Final = timedelta(hours=24)
# In poll intervals, so that one missed poll does not make the entities unavailable.
MIN_AGE_INTERVALS: Final = 2

# Energy is not counted across a longer time without a sample: the larger of the two.
ENERGY_GAP: Final = timedelta(seconds=60)
ENERGY_GAP_INTERVALS: Final = 3

# Longest delay after failed attempts to connect; it doubles with each.
MAX_BACKOFF: Final = timedelta(minutes=5)

# Duration of a release that ends by itself.
MIN_RELEASE: Final = timedelta(minutes=1)
DEFAULT_RELEASE: Final = timedelta(minutes=15)
MAX_RELEASE: Final = timedelta(hours=24)
# How often time-based sensors are updated while released.
RELEASED_INTERVAL: Final = timedelta(hours=1)

# The metadata is read again on a new connection after this time.
METADATA_MAX_AGE: Final = timedelta(hours=1)
# A read that drops the connection so many times in a row is left out for that time.
MAX_DROPS_PER_READ: Final = 2

# After so many polls in a row without an answer, the battery is reconnected.
MAX_UNANSWERED_POLLS: Final = 3

# How far a state of charge has to rise above the user's threshold to end the state.
LOW_BATTERY_HYSTERESIS: Final = 2  # %

# How long an action of the user waits for an advertisement: for a moment after a lost
# connection there is none.
ADVERTISEMENT_WAIT: Final = 5.0  # s
