"""The files that outlive a restart.

They may be damaged, or another's. An SD card wears out by writing, so what changes all
the time is saved rarely, and when Home Assistant stops.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
import logging
from pathlib import Path
from typing import Any, Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util
from homeassistant.util.json import json_loads

from ..const import DOMAIN

_LOGGER = logging.getLogger(__name__)

_VERSION: Final = 1

# What reading a file raises that is not as we wrote it.
INVALID_DATA_ERRORS: Final = (
    HomeAssistantError,
    AttributeError,
    LookupError,
    NotImplementedError,
    OSError,
    OverflowError,
    TypeError,
    ValueError,
)


class EntryStore:
    """A file of one entry, by the name of what is in it.

    `as_stored` returns its content; it is asked for when the content is written, which
    is `delay` seconds after the first change at most.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        name: str,
        entry_id: str,
        as_stored: Callable[[], dict[str, Any]],
        delay: float,
    ) -> None:
        """Prepare; nothing is read or written yet."""
        self._hass = hass
        self._name = name
        self._as_stored = as_stored
        self._delay = delay
        self._store: Store[dict[str, Any]] = Store(
            hass,
            _VERSION,
            f"{DOMAIN}.{name}.{entry_id}",
            # The power of an RV is cut at any moment.
            atomic_writes=True,
        )
        self._save_is_due = False
        self._is_closed = False
        self.is_changed = False
        """Whether there is something that is not saved yet."""

    async def async_load[LoadedT](
        self, from_stored: Callable[[Any], LoadedT]
    ) -> LoadedT | None:
        """Return what `from_stored` makes of the content.

        None where there is none, or none of ours: `from_stored` may raise whatever is
        in INVALID_DATA_ERRORS.
        """
        try:
            if await self._hass.async_add_executor_job(_is_garbled, self._store.path):
                # For that, Home Assistant would ask to restore a backup.
                await self._store.async_remove()
                _LOGGER.debug("The file %s is not readable, starting anew", self._name)
            stored: Any = await self._store.async_load()
            return None if stored is None else from_stored(stored)
        except INVALID_DATA_ERRORS as err:
            _LOGGER.debug("The file %s is not ours, starting anew: %r", self._name, err)
            return None

    @callback
    def save_later(self) -> None:
        """Note a change, and have it saved."""
        if self._is_closed:
            return
        self.is_changed = True
        # Asked again, the store would put the saving off again.
        if not self._save_is_due:
            self._save_is_due = True
            self._store.async_delay_save(self._content, self._delay)

    async def async_save(self, *, anyway: bool = False) -> None:
        """Save what is not saved yet, or all of it `anyway`."""
        if (self.is_changed or anyway) and not self._is_closed:
            await self._store.async_save(self._content())

    async def async_close(self, *, anyway: bool = False) -> None:
        """Save for the last time, what is not saved yet or all of it `anyway`.

        What changes from now on is left out: the file may be removed next.
        """
        is_due = (self.is_changed or anyway) and not self._is_closed
        self._is_closed = True
        if is_due:
            await self._store.async_save(self._content())

    async def async_remove(self) -> None:
        """Delete it."""
        await self._store.async_remove()

    @callback
    def _content(self) -> dict[str, Any]:
        self.is_changed = self._save_is_due = False
        return self._as_stored()


def _is_garbled(path: str) -> bool:
    try:
        json_loads(Path(path).read_bytes())
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return False


def as_time(text: Any) -> datetime | None:
    """Return a time as it was stored; raises TypeError or ValueError."""
    return None if text is None else dt_util.as_utc(datetime.fromisoformat(text))
