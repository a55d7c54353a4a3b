"""The notice that a battery is still released."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback

from ..connection import ConnectionManager
from ..connection.timers import Timers
from ..issues import async_update_released_issue

NOTICE_AFTER: Final = timedelta(hours=4)
"""How long a release without an end may take before it seems to be forgotten."""

_NOTICE: Final = "notice"  # timer


@callback
def async_watch_release(
    hass: HomeAssistant, entry: ConfigEntry[Any], connection: ConnectionManager
) -> CALLBACK_TYPE:
    """Report a release without an end after NOTICE_AFTER, until the result is called.

    Counted from the start of Home Assistant for a release from before it.
    """
    timers = Timers(hass)

    @callback
    def report() -> None:
        async_update_released_issue(hass, entry, True)

    @callback
    def update() -> None:
        if not connection.is_released or connection.status.released_until is not None:
            timers.cancel()
            async_update_released_issue(hass, entry, False)
        elif _NOTICE not in timers:
            timers.start(_NOTICE, NOTICE_AFTER.total_seconds(), report)

    remove_listener = connection.async_add_listener(update)

    @callback
    def stop() -> None:
        remove_listener()
        timers.cancel()
        async_update_released_issue(hass, entry, False)

    update()
    return stop
