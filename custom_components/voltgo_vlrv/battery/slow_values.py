"""Which listeners a sample does not concern: most values stay from sample to sample."""

from __future__ import annotations

from collections.abc import Mapping
from logging import Logger
from typing import Any, Final

from homeassistant.core import CALLBACK_TYPE, callback

from ..vlrv.registers import BatteryStatus

SLOW: Final = "slow"
"""Context of a listener that a sample only concerns if a slow register has changed.

What it shows may also follow from settings, options and what is known about the battery:
for those, listeners are called without a new sample.
"""


class SlowValues:
    """The slow registers of the last sample that listeners have seen."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._seen: BatteryStatus | None = None

    def update(self, status: BatteryStatus | None) -> bool:
        """Return whether they differ from those of the last sample.

        `status` is None while there are no values. Without a new sample, something else
        has changed.
        """
        seen, self._seen = self._seen, status
        return (
            status is None
            or seen is None
            or status is seen
            or status.slow_registers != seen.slow_registers
        )


@callback
def call_all_but_slow(
    listeners: Mapping[int, tuple[CALLBACK_TYPE, Any]], logger: Logger
) -> None:
    """Call the listeners of a coordinator without the slow ones, as it does itself."""
    for listener, context in list(listeners.values()):
        if context is not SLOW:
            try:
                listener()
            except Exception:
                logger.exception("Unexpected error updating a listener")
