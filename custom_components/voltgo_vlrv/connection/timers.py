"""Named timers that are cancelled together."""

from __future__ import annotations

from datetime import datetime

from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later


class Timers:
    """The timers of one battery; Home Assistant cancels them at its shutdown."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Start without any."""
        self._hass = hass
        self._running: dict[str, CALLBACK_TYPE] = {}

    def __contains__(self, name: str) -> bool:
        """Return whether the timer is running."""
        return name in self._running

    @callback
    def start(self, name: str, delay: float, action: CALLBACK_TYPE) -> None:
        """Call `action` in `delay` s; replaces a timer of the same name."""
        if (cancel := self._running.pop(name, None)) is not None:
            cancel()

        @callback
        def handle(_now: datetime) -> None:
            del self._running[name]
            action()

        self._running[name] = async_call_later(
            self._hass, delay, HassJob(handle, cancel_on_shutdown=True)
        )

    @callback
    def cancel(self) -> None:
        """Cancel all timers."""
        for cancel in self._running.values():
            cancel()
        self._running.clear()
