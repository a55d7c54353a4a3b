"""Names and rules that several rooms share."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

DOMAIN: Final = "voltgo_vlrv"

# Data of a battery's entry.
CONF_FACTS: Final = "facts"
CONF_PENDING: Final = "pending"

# Options of a battery's entry; `options.py` reads them.
CONF_AVAILABILITY: Final = "availability"
CONF_CONNECTION: Final = "connection"
CONF_CURRENT_SCALE: Final = "current_scale"
CONF_FIRMWARE: Final = "firmware"
CONF_INTERVAL: Final = "interval"
CONF_LOW_BATTERY: Final = "low_battery"
DEFAULT_LOW_BATTERY: Final = 20  # %

# Data and options of a bank's entry.
CONF_KIND: Final = "kind"
KIND_BANK: Final = "bank"
CONF_MEMBERS: Final = "members"
CONF_INVERTER: Final = "inverter"

# How often a battery is read, unless its owner wants another interval.
POLL_INTERVAL: Final = timedelta(seconds=10)
MIN_INTERVAL: Final = timedelta(seconds=5)
MAX_INTERVAL: Final = timedelta(hours=1)

# Data this old is no longer shown as the battery's state: the larger of the two, unless
# its owner wants another age.
MAX_AGE: Final = timedelta(seconds=60)
MAX_AGE_INTERVALS: Final = 4
MIN_AGE_OPTION: Final = timedelta(seconds=30)
MAX_AGE_OPTION: Final = timedelta(hours=24)
# It has to outlast one missed poll.
MIN_AGE_INTERVALS: Final = 2

# Energy is not counted across a longer time without a sample: the larger of the two.
ENERGY_GAP: Final = timedelta(seconds=60)
ENERGY_GAP_INTERVALS: Final = 3

# The pause after failed attempts to connect doubles up to this.
MAX_BACKOFF: Final = timedelta(minutes=5)

# How long the owner may let go of a battery that comes back by itself.
MIN_RELEASE: Final = timedelta(minutes=1)
DEFAULT_RELEASE: Final = timedelta(minutes=15)
MAX_RELEASE: Final = timedelta(hours=24)
# How often what time alone changes is worked out meanwhile.
RELEASED_INTERVAL: Final = timedelta(hours=1)

# What a battery tells of itself is read again on a new link after so long.
METADATA_MAX_AGE: Final = timedelta(hours=1)
# What a link breaks at so many times in a row is left out for as long.
MAX_DROPS_PER_READ: Final = 2

# A connected battery that leaves so many polls unanswered is cut off and called anew.
MAX_UNANSWERED_POLLS: Final = 3


# How far a state of charge has to rise above the owner's threshold to be low no more.
LOW_BATTERY_HYSTERESIS: Final = 2  # %
