"""Constants that the modules of the simulator share."""

from __future__ import annotations

from typing import Final

DOMAIN: Final = "voltgo_simulator"

CONF_BATTERIES: Final = "batteries"

AREA: Final = "RV"
"""The area of what is simulated beside the batteries."""
