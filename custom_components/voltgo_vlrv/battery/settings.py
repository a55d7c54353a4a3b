"""Commands to one battery: sent once, confirmed by the battery, never assumed.

What the entities show is what the battery reports. The manual wants the battery
switched off and on after a change (6.1); until it reports the new value, the change is
pending, and a repair issue says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
import logging
from typing import TYPE_CHECKING, Final

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import issue_registry as ir

from ..connection import ReleasedError
from ..const import CONF_PENDING, DOMAIN
from ..issues import async_create_issue
from ..localization import words
from ..vlrv.errors import (
    ConnectionLostError,
    ImplausibleError,
    NoAnswerError,
    NotSentError,
    RefusedError,
    VlrvError,
)
from ..vlrv.settings import (
    GET_CAN,
    GET_RS485,
    MODULE_ID_FOR_PROTOCOLS,
    SET_CAN,
    SET_RS485,
    ProtocolList,
    brand_names,
    set_heater,
    set_module_id,
    set_name,
    set_protocol,
)

if TYPE_CHECKING:
    from ..coordinator import VlrvCoordinator

_LOGGER = logging.getLogger(__name__)

MODULE_ID: Final = "module_id"
CAN: Final = "can_protocol"
RS485: Final = "rs485_protocol"
NAME: Final = "bluetooth_name"
HEATER: Final = "heater"

_GET: Final = {CAN: GET_CAN, RS485: GET_RS485}
_SET: Final = {CAN: SET_CAN, RS485: SET_RS485}

# A heater that obeys says so in its next status (design); three polls a second apart
# would do, slow proxies need more.
HEATER_CONFIRM: Final = 10.0
HEATER_STEP: Final = 1.0


def power_cycle_issue(entry_id: str) -> str:
    """Return the ID of the notice that a battery waits for its power cycle."""
    return f"power_cycle_{entry_id}"


class SettingsCoordinator:
    """The settings of one battery, and how they are changed.

    Every change raises HomeAssistantError, translated, when the battery was not
    reached, refused, or did not confirm.
    """

    def __init__(self, coordinator: VlrvCoordinator) -> None:
        """Start with what is known from the entry: nothing but pending changes."""
        self._coordinator = coordinator
        self.changing = asyncio.Lock()
        """Held while a change is sent and confirmed."""
        # A change waits for the reading at the beginning of a connection.
        self._lock = asyncio.Lock()
        # What the battery reported last, to be shown; by setting, on which connection.
        self.module_id: int | None = None
        self.protocols: dict[str, ProtocolList] = {}
        self._read_on: dict[str, int] = {}
        # By what the entities will show: a module ID, a brand, a name.
        self.pending: dict[str, int | str] = dict(
            coordinator.config_entry.data.get(CONF_PENDING, {})
        )
        # Whether the battery may have got the change that is under way.
        self._is_sent = False
        # What waited while the battery was away, and what it came back without.
        self._waited: set[str] = set()
        self._missed: set[str] = set()
        self._update_issue()

    # --- reading --------------------------------------------------------------------

    @callback
    def note_return(self) -> None:
        """Note that the battery was away and is connected again.

        What waits by now waited through that, perhaps a power cycle.
        """
        self._waited = set(self.pending)

    async def async_read(self) -> None:
        """Read what the battery reports, after it was connected anew.

        Raises VlrvError where the battery does not know such settings at all. Which of
        the lists it has is its own affair.
        """
        async with self._lock:
            await self._read_module_id()
            for setting in (CAN, RS485):
                try:
                    await self._read_protocols(setting)
                except ConnectionLostError:
                    raise
                except VlrvError as err:
                    _LOGGER.debug("%s: no %s: %s", self._coordinator.name, setting, err)
            self._settle(came_back=True)

    async def _read_module_id(self) -> None:
        connection = self._connection
        self.module_id = await self._coordinator.client.read_module_id()
        self._read_on[MODULE_ID] = connection

    async def _read_protocols(self, setting: str) -> None:
        connection = self._connection
        self.protocols[setting] = await self._coordinator.client.read_protocols(
            _GET[setting]
        )
        self._read_on[setting] = connection

    @property
    def _connection(self) -> int:
        """Return the number of the connection."""
        return self._coordinator.client.counters.connects

    def _is_current(self, setting: str) -> bool:
        """Return whether a setting was read on this connection.

        What is older may be changed on: while the battery was away, the phone app may
        have set its module ID, or given it a firmware with another list.
        """
        return self._read_on.get(setting) == self._connection

    def codes(self, setting: str) -> tuple[str, ...]:
        """Return the battery's codes for CAN or RS485, none when they are not known."""
        protocols = self.protocols.get(setting)
        return () if protocols is None else protocols.names

    def protocol(self, setting: str) -> str | None:
        """Return the brand that is set on CAN or RS485, None when it is not known."""
        if not (protocols := self.protocols.get(setting)) or not protocols.names:
            return None
        return brand_names(protocols.names)[protocols.selected]

    # --- changing -------------------------------------------------------------------

    async def async_set_module_id(self, module_id: int) -> None:
        """Set the module ID, 1-16."""
        async with self._change(MODULE_ID):
            await self._write(set_module_id(module_id))
            self._await_power_cycle(MODULE_ID, module_id)
            await self._read_back(self._read_module_id())

    async def async_set_protocol(self, setting: str, brand: str) -> None:
        """Set the inverter on CAN or RS485, by the brand shown for it."""
        async with self._change(setting):
            if not self._is_current(MODULE_ID):
                await self._read_module_id()
            if not self._is_current(setting):
                await self._read_protocols(setting)
            if self.module_id != MODULE_ID_FOR_PROTOCOLS:
                raise self._error(
                    "protocol_needs_module_id", setting, ServiceValidationError
                )
            brands = brand_names(self.protocols[setting].names)
            if brand not in brands:
                raise self._error(
                    "protocol_not_offered", setting, ServiceValidationError
                )
            index = brands.index(brand)
            await self._write(set_protocol(_SET[setting], index))
            self._await_power_cycle(setting, brand)
            await self._read_back(self._read_protocols(setting))
            brands = brand_names(self.protocols[setting].names)
            if brands[index : index + 1] != (brand,):
                # It was set from another list than the one there is now.
                self.pending.pop(setting, None)
                raise ImplausibleError(("the list of protocols changed",))

    async def async_set_name(self, name: str) -> None:
        """Set the Bluetooth name: 1-22 printable ASCII characters."""
        try:
            request = set_name(name)
        except ValueError as err:
            raise self._error("invalid_name", NAME, ServiceValidationError) from err
        async with self._change(NAME):
            await self._write(request)
            self._await_power_cycle(NAME, name)

    async def async_set_heater(self, enabled: bool) -> None:
        """Allow or forbid the heater; done when the battery reports it so."""
        coordinator = self._coordinator
        async with self._change(HEATER):
            await self._check_heater()
            await self._write(set_heater(enabled))
            confirming = coordinator.config_entry.async_create_background_task(
                coordinator.hass, self._await_heater(enabled), "confirm the heater"
            )
            # Waited for, not cancelled: it is a poll like any other.
            done, _ = await asyncio.wait({confirming}, timeout=HEATER_CONFIRM)
            # An entry that is unloaded cancels it.
            if done and confirming.cancelled():
                raise self._error("heater_interrupted", HEATER)
            if not done or not confirming.result():
                raise self._error(
                    "heater_interrupted"
                    if coordinator.connection.is_closed
                    else "heater_not_confirmed",
                    HEATER,
                )

    async def _check_heater(self) -> None:
        """Make sure that the battery reports its heater: only that confirms a command.

        The command itself is inferred (C), and not for a board that knows no heater.
        """
        status = self._coordinator.data
        if status is None or status.heating_enabled is None:
            status = await self._coordinator.client.read_status()
        if status.heating_enabled is None:
            raise self._error("heater_not_reported", HEATER)

    async def _write(self, request: bytes) -> None:
        """Send the change, once."""
        self._is_sent = True
        await self._coordinator.client.write_setting(request)

    async def _await_heater(self, enabled: bool) -> bool:
        """Poll until a status that was read from now on says so."""
        coordinator = self._coordinator
        for _ in range(int(HEATER_CONFIRM / HEATER_STEP)):
            if coordinator.connection.is_closed:
                break  # Home Assistant stops, and nobody is asked any more
            samples = coordinator.health.samples
            await coordinator.async_refresh()
            if (
                coordinator.health.samples > samples
                and coordinator.data.heating_enabled is enabled
            ):
                return True
            await asyncio.sleep(HEATER_STEP)
        return False

    async def _read_back(self, read: Awaitable[None]) -> None:
        """Read a setting that was just confirmed; it counts also where that fails."""
        try:
            await read
        except VlrvError as err:
            _LOGGER.debug("%s: not read back: %s", self._coordinator.name, err)

    @asynccontextmanager
    async def _change(self, setting: str) -> AsyncGenerator[None]:
        """One change at a time, on a link that stands, with its errors in plain words."""
        if self.changing.locked():
            raise self._error("change_under_way", setting)
        if self._coordinator.firmware.is_running:
            raise self._error("firmware_under_way", setting)
        async with self.changing, self._lock, AsyncExitStack() as stack:
            self._is_sent = False
            try:
                await stack.enter_async_context(self._coordinator.connection.use())
            except ReleasedError as err:
                raise self._error("change_released", setting) from err
            except VlrvError as err:
                # A release gives the attempt to connect up.
                is_released = self._coordinator.connection.is_released
                key = "change_released" if is_released else "change_unreachable"
                raise self._error(key, setting) from err
            try:
                yield
            except VlrvError as err:
                if self._is_sent and isinstance(err, NoAnswerError):
                    # The client has ended the link, see there; the polls need another.
                    self._coordinator.request_poll()
                raise self._failure(setting, err) from err
            finally:
                self._settle()

    def _failure(self, setting: str, err: VlrvError) -> HomeAssistantError:
        """Return what an owner can know of a change that failed on a link that stood."""
        is_heater = setting == HEATER
        if isinstance(err, RefusedError):
            return self._error(
                "heater_refused" if is_heater else "change_refused",
                setting,
                code=str(err.code),
            )
        if isinstance(err, NotSentError):
            return self._error("change_unreachable", setting)
        if not self._is_sent:
            # What had to be read before was not answered.
            return self._error("change_not_sent", setting)
        if is_heater:
            # The switch shows at once what the battery does of itself.
            return self._error("heater_unanswered", setting)
        if isinstance(err, ConnectionLostError):
            return self._error("change_connection_lost", setting)
        return self._error("change_not_confirmed", setting)

    def _error(
        self,
        key: str,
        setting: str,
        kind: type[HomeAssistantError] = HomeAssistantError,
        **placeholders: str,
    ) -> HomeAssistantError:
        return kind(
            translation_domain=DOMAIN,
            translation_key=key,
            translation_placeholders={
                "name": self._coordinator.name,
                "setting": words(self._coordinator.hass).settings[setting],
                **placeholders,
            },
        )

    # --- pending changes ------------------------------------------------------------

    @callback
    def _await_power_cycle(self, setting: str, wanted: int | str) -> None:
        self.pending[setting] = wanted
        self._waited.discard(setting)
        self._missed.discard(setting)
        # Kept now: the entry may be reloaded before the setting is read back.
        self._settle()

    def _reported(self, setting: str) -> int | str | None:
        if setting == MODULE_ID:
            return self.module_id
        if setting == NAME:
            return self._coordinator.advertised_name
        return self.protocol(setting)

    @callback
    def _settle(self, *, came_back: bool = False) -> None:
        """Drop the pending changes that the battery reports by now, tell the entities."""
        waiting = {
            setting: wanted
            for setting, wanted in self.pending.items()
            if self._reported(setting) != wanted
        }
        if came_back:
            self._missed |= self._waited
            self._waited = set()
        self._missed &= waiting.keys()
        coordinator = self._coordinator
        entry = coordinator.config_entry
        self.pending = waiting
        if coordinator.hass.config_entries.async_get_entry(entry.entry_id) is None:
            return  # removed meanwhile, and its notice with it
        if entry.data.get(CONF_PENDING, {}) != waiting:
            coordinator.hass.config_entries.async_update_entry(
                entry, data={**entry.data, CONF_PENDING: waiting}
            )
        self._update_issue()
        coordinator.async_update_listeners()

    @callback
    def note_name(self) -> None:
        """Take over the name of an advertisement."""
        if self.pending.get(NAME) is not None:
            self._settle()

    @callback
    def show_name(self) -> None:
        """Have the notice name the battery as its owner calls it by now."""
        if self.pending:
            self._update_issue()

    @callback
    def _update_issue(self) -> None:
        coordinator = self._coordinator
        issue_id = power_cycle_issue(coordinator.config_entry.entry_id)
        if not self.pending:
            ir.async_delete_issue(coordinator.hass, DOMAIN, issue_id)
            return
        names = words(coordinator.hass).settings
        async_create_issue(
            coordinator.hass,
            coordinator.config_entry,
            issue_id,
            severity=ir.IssueSeverity.WARNING,
            translation_key=(
                "power_cycle_without_effect" if self._missed else "power_cycle"
            ),
            translation_placeholders={
                "name": coordinator.name,
                "settings": "\n".join(
                    f"- {names[setting]}: {wanted}"
                    for setting, wanted in self.pending.items()
                ),
            },
        )
