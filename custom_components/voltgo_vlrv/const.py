"""Names and rules that several rooms share."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

DOMAIN: Final = "voltgo_vlrv"

# How often a battery is read, unless its owner wants another interval.
POLL_INTERVAL: Final = timedelta(seconds=10)
SHORTEST_INTERVAL: Final = timedelta(seconds=5)
LONGEST_INTERVAL: Final = timedelta(hours=1)

# Data this old is no longer shown as the battery's state: the larger of the two, unless
# its owner wants another age.
MAX_AGE: Final = timedelta(seconds=60)
MAX_AGE_INTERVALS: Final = 4
SHORTEST_AGE: Final = timedelta(seconds=30)
LONGEST_AGE: Final = timedelta(hours=24)
# It has to outlast one missed poll.
LEAST_AGE_INTERVALS: Final = 2

# Energy is not counted across a longer time without a sample: the larger of the two.
ENERGY_GAP: Final = timedelta(seconds=60)
ENERGY_GAP_INTERVALS: Final = 3

# The pause after failed attempts to connect doubles up to this.
LONGEST_RETRY: Final = timedelta(minutes=5)

# How long the owner may let go of a battery that comes back by itself.
SHORTEST_RELEASE: Final = timedelta(minutes=1)
DEFAULT_RELEASE: Final = timedelta(minutes=15)
LONGEST_RELEASE: Final = timedelta(hours=24)
# How often what time alone changes is worked out meanwhile.
REST_INTERVAL: Final = timedelta(hours=1)

# A current that flows, and registers that stay the same for so long: the battery, or
# what relays it, repeats itself.
FROZEN_AFTER: Final = timedelta(minutes=30)
FROZEN_SAMPLES: Final = 3

# What a battery tells of itself is read again on a new link after so long.
PORTRAIT_AGE: Final = timedelta(hours=1)
# What a link breaks at so many times in a row is left out for as long.
FATAL_READS: Final = 2

# A connected battery that leaves so many polls unanswered is cut off and called anew.
SILENT_POLLS: Final = 3


# How far a state of charge has to rise above the owner's threshold to be low no more.
LOW_BATTERY_HYSTERESIS: Final = 2  # %
