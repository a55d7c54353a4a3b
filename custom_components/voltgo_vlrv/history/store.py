"""One JSON file for each config entry; it outlives a restart.

Its content may be damaged. An SD card wears out by writing, so each section says how long
its changes may wait, and the file is written once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
import logging
from math import inf
from typing import Any, Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util

from ..const import DOMAIN

_LOGGER = logging.getLogger(__name__)

_VERSION: Final = 1

# Errors while reading content of another kind.
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
    """The file of one entry, in named sections.

    `kind` distinguishes the file of a bank, and one that grows large, from a battery's.
    """

    def __init__(
        self, hass: HomeAssistant, entry_id: str, kind: str | None = None
    ) -> None:
        """Prepare the file; nothing is read or written yet."""
        self._hass = hass
        name = entry_id if kind is None else f"{kind}.{entry_id}"
        self._store: Store[dict[str, Any]] = Store(
            hass,
            _VERSION,
            f"{DOMAIN}.{name}",
            # The power of an RV can be cut at any moment.
            atomic_writes=True,
        )
        self._sections: dict[str, Callable[[], dict[str, Any]]] = {}
        self._stored: dict[str, Any] = {}
        self._due = inf
        self._is_closed = False
        self.is_changed = False
        """Whether something is not saved yet."""

    def section(
        self, name: str, as_stored: Callable[[], dict[str, Any]], delay: float
    ) -> StoreSection:
        """Add a section; `as_stored` returns its content when the file is written.

        Its changes are saved after `delay` s at most.
        """
        self._sections[name] = as_stored
        return StoreSection(self, name, delay)

    async def async_load(self) -> None:
        """Read the file; content of another kind is treated as empty."""
        try:
            stored: Any = await self._store.async_load()
        except INVALID_DATA_ERRORS as err:
            _LOGGER.debug("%s cannot be used, starting empty: %r", self._store.key, err)
            stored = None
        self._stored = stored if isinstance(stored, dict) else {}

    def loaded[LoadedT](
        self, name: str, from_stored: Callable[[Any], LoadedT]
    ) -> LoadedT | None:
        """Return a section as `from_stored` reads it; None if there is no valid one.

        `from_stored` may raise INVALID_DATA_ERRORS.
        """
        if (stored := self._stored.get(name)) is None:
            return None
        try:
            return from_stored(stored)
        except INVALID_DATA_ERRORS as err:
            _LOGGER.debug(
                "%s: %s cannot be used, starting empty: %r", self._store.key, name, err
            )
            return None

    @callback
    def save_within(self, delay: float) -> None:
        """Save the file in `delay` s at most."""
        if self._is_closed:
            return
        self.is_changed = True
        due = self._hass.loop.time() + delay
        # Asked again, Home Assistant's store would postpone the save.
        if due < self._due:
            self._due = due
            self._store.async_delay_save(self._content, delay)

    async def async_save(self, *, force: bool = False) -> None:
        """Save what is not saved yet, or everything with `force`."""
        if (self.is_changed or force) and not self._is_closed:
            await self._store.async_save(self._content())

    async def async_save_section(self, name: str) -> Any:
        """Save everything; return a section as the file holds it afterwards.

        Home Assistant's store only logs a write that failed, as on a full disk.
        """
        await self.async_save(force=True)
        try:
            stored: Any = await self._store.async_load()
        except INVALID_DATA_ERRORS:
            return None
        return stored.get(name) if isinstance(stored, dict) else None

    async def async_close(self, *, force: bool = False) -> None:
        """Save for the last time; later changes are ignored.

        The file may be removed next.
        """
        is_due = (self.is_changed or force) and not self._is_closed
        self._is_closed = True
        if is_due:
            await self._store.async_save(self._content())

    async def async_remove(self) -> None:
        """Delete the file."""
        await self._store.async_remove()

    @callback
    def _content(self) -> dict[str, Any]:
        self.is_changed = False
        self._due = inf
        return {name: as_stored() for name, as_stored in self._sections.items()}


class StoreSection:
    """What one object stores in the file of its entry."""

    def __init__(self, store: EntryStore, name: str, delay: float) -> None:
        """Name the section; `delay` is in s."""
        self._store = store
        self._name = name
        self._delay = delay

    def loaded[LoadedT](self, from_stored: Callable[[Any], LoadedT]) -> LoadedT | None:
        """Return what was stored; see `EntryStore.loaded`."""
        return self._store.loaded(self._name, from_stored)

    @callback
    def save_later(self, *, at_once: bool = False) -> None:
        """Save a change within the section's delay, or as soon as possible."""
        self._store.save_within(0.0 if at_once else self._delay)

    @callback
    def mark_changed(self) -> None:
        """Save a change with the next other one, or at the stop."""
        self._store.is_changed = True

    async def async_save(self) -> Any:
        """Save at once; return the section as the file holds it afterwards."""
        return await self._store.async_save_section(self._name)


def as_time(text: Any) -> datetime | None:
    """Return a time as it was stored; raises TypeError or ValueError."""
    return None if text is None else dt_util.as_utc(datetime.fromisoformat(text))
