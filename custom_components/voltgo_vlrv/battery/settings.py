"""Settings of one battery: sent once, confirmed by the battery, never assumed.

The entities show what the battery reports. A change needs a power cycle (manual 6.1): until
the battery reports the new value, the change is pending, and a repair issue says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
import logging
from typing import Any, Final

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from ..connection import ReleasedError
from ..connection.errors import OtherBatteryError, typed_errors
from ..const import ADVERTISEMENT_WAIT, CONF_PENDING, DOMAIN
from ..entry_values import as_mapping
from ..issues import async_update_power_cycle_issue
from ..localization import translations
from ..vlrv.errors import (
    ConnectionLostError,
    ImplausibleError,
    NoAnswerError,
    NotSentError,
    VlrvError,
)
from ..vlrv.registers import BatteryStatus
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
from .access import BatteryAccess
from .advertisement import LastAdvertisement
from .heater import HEATER_CONFIRM, async_heater_reported
from .live_values import LiveValues
from .operations import Operation
from .pending_changes import PendingChanges
from .settings_errors import failure_text

_LOGGER = logging.getLogger(__name__)

MODULE_ID: Final = "module_id"
CAN: Final = "can_protocol"
RS485: Final = "rs485_protocol"
NAME: Final = "bluetooth_name"
HEATER: Final = "heater"

_GET: Final = {CAN: GET_CAN, RS485: GET_RS485}
_SET: Final = {CAN: SET_CAN, RS485: SET_RS485}


def _valid_changes(data: Mapping[str, Any]) -> dict[str, int | str]:
    """Return the pending changes in an entry's data that this version knows."""
    kinds = {MODULE_ID: int, CAN: str, RS485: str, NAME: str}
    stored = as_mapping(data.get(CONF_PENDING))
    return {
        setting: stored[setting]
        for setting, kind in kinds.items()
        if isinstance(stored.get(setting), kind)
    }


class SettingsCoordinator:
    """Reads and changes the settings of one battery.

    They are read after connecting and after a change. Every change raises a translated
    HomeAssistantError if the battery was not reached, refused it, or did not confirm it.
    """

    def __init__(
        self,
        access: BatteryAccess,
        advertisement: LastAdvertisement,
        live: LiveValues,
    ) -> None:
        """Start with the pending changes of the entry; nothing else is known."""
        self._hass = access.hass
        self._entry = access.entry
        self._client = access.client
        self._connection = access.connection
        self._operations = access.operations
        self._guard = access.guard
        self._advertisement = advertisement
        self._live = live
        # Last reported values, and by setting the connection on which each was read.
        self.module_id: int | None = None
        self.protocols: dict[str, ProtocolList] = {}
        self._read_on: dict[str, int] = {}
        self._pending = PendingChanges(_valid_changes(access.entry.data))
        # Whether the battery may have received the change in progress.
        self._is_sent = False
        self._update_issue()

    @property
    def pending(self) -> dict[str, int | str]:
        """Return the values that wait for a power cycle: module ID, brand or name by setting."""
        return self._pending.wanted

    @callback
    def handle_reconnect(self) -> None:
        """Handle a connection after what may have been a power cycle."""
        self._pending.handle_reconnect()

    async def async_read(self) -> None:
        """Read module ID and protocols, inside of an operation.

        Raises VlrvError if the module ID cannot be read; protocols may be missing.
        """
        await self._read_module_id()
        for setting in (CAN, RS485):
            try:
                await self._read_protocols(setting)
            except ConnectionLostError:
                raise
            except VlrvError as err:
                _LOGGER.debug("%s: no %s: %s", self._client.name, setting, err)
        self._update_pending(settings_were_read=True)

    async def _read_module_id(self) -> None:
        connection = self._connection_number
        self.module_id = await self._client.read_module_id()
        self._read_on[MODULE_ID] = connection

    async def _read_protocols(self, setting: str) -> None:
        connection = self._connection_number
        self.protocols[setting] = await self._client.read_protocols(_GET[setting])
        self._read_on[setting] = connection

    @property
    def _connection_number(self) -> int:
        """Return the number of the connection since the start."""
        return self._client.counters.connects

    def _is_current(self, setting: str) -> bool:
        """Return whether a setting was read on this connection.

        While the battery was disconnected, the phone app may have changed its module ID,
        or installed a firmware with another list.
        """
        return self._read_on.get(setting) == self._connection_number

    def codes(self, setting: str) -> tuple[str, ...]:
        """Return the battery's protocol codes for CAN or RS485, empty if not known."""
        protocols = self.protocols.get(setting)
        return () if protocols is None else protocols.names

    def protocol(self, setting: str) -> str | None:
        """Return the brand that is set for CAN or RS485, None if not known."""
        if not (protocols := self.protocols.get(setting)) or not protocols.names:
            return None
        return brand_names(protocols.names)[protocols.selected]

    # --- changes --------------------------------------------------------------------

    async def async_set_module_id(self, module_id: int) -> None:
        """Set the module ID, 1-16."""
        async with self._change(MODULE_ID):
            await self._write(set_module_id(module_id))
            self._mark_pending(MODULE_ID, module_id)
            await self._read_back(self._read_module_id())

    async def async_set_protocol(self, setting: str, brand: str) -> None:
        """Set the inverter protocol for CAN or RS485 by the brand that is shown for it."""
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
            self._mark_pending(setting, brand)
            await self._read_back(self._read_protocols(setting))
            brands = brand_names(self.protocols[setting].names)
            if brands[index : index + 1] != (brand,):
                # The index belongs to another list than the battery has now.
                self._pending.discard(setting)
                raise ImplausibleError(("the list of protocols changed",))

    async def async_set_name(self, name: str) -> None:
        """Set the Bluetooth name: 1-22 printable ASCII characters."""
        try:
            request = set_name(name)
        except ValueError as err:
            raise self._error("invalid_name", NAME, ServiceValidationError) from err
        async with self._change(NAME):
            await self._write(request)
            self._mark_pending(NAME, name)

    async def async_set_heater(self, enabled: bool) -> None:
        """Enable or disable the heater; returns when the battery reports it."""
        async with self._change(HEATER):
            await self._check_heater()
            await self._write(set_heater(enabled))
            confirming = self._entry.async_create_background_task(
                self._hass,
                async_heater_reported(self._live, self._connection, enabled),
                "confirm the heater",
            )
            # Not cancelled at the timeout, because it polls for all entities.
            done, _ = await asyncio.wait({confirming}, timeout=HEATER_CONFIRM)
            # An entry that is unloaded cancels it.
            if done and confirming.cancelled():
                raise self._error("heater_interrupted", HEATER)
            if not done or not confirming.result():
                raise self._error(
                    "heater_interrupted"
                    if self._connection.is_closed
                    else "heater_not_confirmed",
                    HEATER,
                )

    async def _check_heater(self) -> None:
        """Raise HomeAssistantError unless the battery reports its heater.

        Only the report confirms the command, which is inferred (C).
        """
        status: BatteryStatus | None = self._live.data
        if status is None or status.heating_enabled is None:
            status = await self._client.read_status()
        if status.heating_enabled is None:
            raise self._error("heater_not_reported", HEATER)

    async def _write(self, request: bytes) -> None:
        """Send the change, once, and only on a connection to the known battery."""
        if not self._guard.is_checked:
            raise NotSentError("this is another connection")
        self._is_sent = True
        await self._client.write_setting(request)

    async def _read_back(self, read: Awaitable[None]) -> None:
        """Read a setting that was just confirmed; a failure does not fail the change."""
        try:
            await read
        except VlrvError as err:
            _LOGGER.debug("%s: not read back: %s", self._client.name, err)

    @asynccontextmanager
    async def _change(self, setting: str) -> AsyncGenerator[None]:
        """Run one change at a time, while connected, with its errors translated."""
        if self._operations.is_wanted(Operation.CHANGE):
            raise self._error("change_in_progress", setting)
        if self._operations.is_wanted(Operation.FIRMWARE):
            raise self._error("firmware_in_progress", setting)
        async with (
            self._operations.hold(Operation.CHANGE),
            AsyncExitStack() as stack,
        ):
            self._is_sent = False
            try:
                await stack.enter_async_context(
                    self._connection.use(max_wait=ADVERTISEMENT_WAIT)
                )
            except ReleasedError as err:
                raise self._error("change_released", setting) from err
            except VlrvError as err:
                # A release ends an attempt to connect with this error.
                is_released = self._connection.is_released
                key = "change_released" if is_released else "change_unreachable"
                raise self._error(key, setting) from err
            try:
                with typed_errors("changing a setting"):
                    await self._guard.async_check_battery()
                    yield
            except OtherBatteryError as err:
                raise self._error("change_other_battery", setting) from err
            except VlrvError as err:
                if self._is_sent and isinstance(err, NoAnswerError):
                    # The client has disconnected, see `write_setting`.
                    self._live.request_poll()
                is_heater = setting == HEATER
                key, more = failure_text(
                    err, is_sent=self._is_sent, is_heater=is_heater
                )
                raise self._error(key, setting, HomeAssistantError, **more) from err
            finally:
                self._update_pending()

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
                "name": self._client.name,
                "setting": translations(self._hass).settings[setting],
                **placeholders,
            },
        )

    # --- pending changes ------------------------------------------------------------

    @callback
    def _mark_pending(self, setting: str, wanted: int | str) -> None:
        self._pending.add(setting, wanted)
        # Stored now: the entry may be reloaded before the setting is read back.
        self._update_pending()

    def _reported(self, setting: str) -> int | str | None:
        if setting == MODULE_ID:
            return self.module_id
        if setting == NAME:
            return self._advertisement.name
        return self.protocol(setting)

    @callback
    def _update_pending(self, *, settings_were_read: bool = False) -> None:
        """Remove the pending changes that the battery reports, and call the entities."""
        self._pending.update(self._reported, settings_were_read=settings_were_read)
        entry = self._entry
        if self._hass.config_entries.async_get_entry(entry.entry_id) is None:
            return  # removed meanwhile, and its repair issue with it
        if entry.data.get(CONF_PENDING, {}) != self.pending:
            self._hass.config_entries.async_update_entry(
                entry, data={**entry.data, CONF_PENDING: self.pending}
            )
        self._update_issue()
        self._live.async_update_listeners()

    @callback
    def handle_advertisement(self) -> None:
        """Compare a pending name with the one that was just advertised."""
        if self.pending.get(NAME) is not None:
            self._update_pending()

    @callback
    def handle_renamed(self) -> None:
        """Update the repair issue with the user's new name for the battery."""
        if self.pending:
            self._update_issue()

    @callback
    def _update_issue(self) -> None:
        names = translations(self._hass).settings
        async_update_power_cycle_issue(
            self._hass,
            self._entry,
            [f"{names[setting]}: {value}" for setting, value in self.pending.items()],
            is_not_applied=self._pending.is_not_applied,
        )
