"""Names that the simulator's rooms share."""

from __future__ import annotations

from typing import Final

DOMAIN: Final = "voltgo_simulator"

CONF_BATTERIES: Final = "batteries"
