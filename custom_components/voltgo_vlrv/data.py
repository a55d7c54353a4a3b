"""The parts of one battery, and how they are connected."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from bleak.backends.device import BLEDevice
from habluetooth import HaBluetoothSlotAllocations, get_manager

from homeassistant.components import bluetooth
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_ADDRESS, EVENT_HOMEASSISTANT_STOP
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr

from .battery.access import BatteryAccess
from .battery.advertisement import LastAdvertisement
from .battery.firmware import FirmwareInstaller
from .battery.hysteresis import ChargeStates
from .battery.identity_guard import IdentityGuard
from .battery.info import BatteryInfo
from .battery.info_store import InfoStore
from .battery.initial_reading import take_initial_reading
from .battery.metadata import MetadataReader
from .battery.operations import OperationLock
from .battery.release_notice import async_watch_release
from .battery.settings import SettingsCoordinator
from .battery.statistics import PollStatistics
from .connection import ConnectionManager
from .connection.errors import OtherBatteryError
from .coordinator import VlrvCoordinator
from .entries import async_name, may_rename
from .history.battery_history import BatteryHistory
from .history.diagnostic_log import async_diagnostic_log
from .issues import (
    async_update_crowded_issue,
    async_update_full_charge_issue,
    async_update_orphan_issue,
    async_update_other_battery_issue,
    async_update_slot_issue,
    async_watch_competing_entries,
)
from .options import BatteryOptions
from .vlrv.client import VlrvClient
from .vlrv.registers import BatteryStatus
from .vlrv.validation import decode_valid_status

type VlrvConfigEntry = ConfigEntry[VlrvData]


class VlrvData:
    """The parts of one battery; the `runtime_data` of its entry.

    As the delegate of connection and polls it receives their events and passes them on.
    """

    def __init__(self, hass: HomeAssistant, entry: VlrvConfigEntry) -> None:
        """Create the parts; nothing is sent yet."""
        self.address: str = entry.data[CONF_ADDRESS]
        options = BatteryOptions(entry)
        # Functions, because these parts are created later.
        self._info = InfoStore(
            hass,
            entry,
            lambda: self.coordinator.async_update_listeners(),  # noqa: PLW0108
        )
        self.log = async_diagnostic_log(hass, entry.entry_id)
        self.client = VlrvClient(
            entry.title,
            self._find_device,
            on_disconnect=lambda: self.connection.handle_lost(),  # noqa: PLW0108
            on_settings_frame=self._handle_settings_frame,
            status_register_count=self.info.status_count,
            trace=self.log.trace,
        )
        self.advertisement = LastAdvertisement(hass, self.address)
        self.connection = ConnectionManager(hass, entry, self.client, options, self)
        self._guard = IdentityGuard(self.client, self._info)
        access = BatteryAccess(
            hass, entry, self.client, self.connection, OperationLock(), self._guard
        )
        self.coordinator = VlrvCoordinator(access, self, options, self._info)
        self._apply_options()
        self._options_applied = (dict(entry.options), entry.title)
        self._was_disconnected = False
        self.settings = SettingsCoordinator(
            access, self.advertisement, self.coordinator
        )
        self._metadata = MetadataReader(access, self._info, self.settings)
        self.firmware = FirmwareInstaller(
            access, self._info, self.advertisement, self.handle_disconnected
        )
        self.history = BatteryHistory(hass, entry.entry_id)
        self.charge_states = ChargeStates()

    # --- for entities and banks -----------------------------------------------------

    @property
    def _hass(self) -> HomeAssistant:
        return self.coordinator.hass

    @property
    def _entry(self) -> VlrvConfigEntry:
        return self.coordinator.config_entry

    @property
    def info(self) -> BatteryInfo:
        """Return what is known about the battery without reading it."""
        return self._info.info

    @property
    def statistics(self) -> PollStatistics:
        """Return the counters of polling."""
        return self.coordinator.statistics

    @property
    def options(self) -> BatteryOptions:
        """Return the options of the entry."""
        return self.coordinator.options

    # --- start and stop -------------------------------------------------------------

    async def async_load(self) -> None:
        """Restore observations, totals, the last sample and a release."""
        await self.log.observations.async_load()
        stored = await self.history.async_load()
        status = decode_valid_status(stored.frame, self.client.current_scale)
        if status is not None and stored.when is not None:
            self.coordinator.async_restore(status, stored.when)
        if stored.released:
            # There is no sample during a release.
            self.connection.async_restore(stored.released_until, stored.when)
            if self.connection.is_released:
                self.coordinator.handle_release()

    @callback
    def async_start(self) -> None:
        """Subscribe to Bluetooth, which starts the polls, and to changes of the entry."""
        hass, entry = self._hass, self._entry
        if (reading := take_initial_reading(hass, self.address)) is not None:
            if reading.identity is not None:
                self._metadata.identity_known()
                self._guard.handle_identity_known()
            self.coordinator.async_take_initial(
                reading.status, reading.when, reading.time
            )
        self.coordinator.async_start()

        async def stop(_: Event) -> None:
            await self.async_shutdown()

        for unsubscribe in (
            async_watch_competing_entries(hass, entry),
            async_watch_release(hass, entry, self.connection),
            get_manager().async_register_allocation_callback(self._handle_allocations),
            entry.add_update_listener(_async_entry_updated),
            hass.bus.async_listen(
                dr.EVENT_DEVICE_REGISTRY_UPDATED, self._async_update_name, may_rename
            ),
            bluetooth.async_register_callback(
                hass,
                self._handle_advertisement,
                {"address": self.address, "connectable": True},
                bluetooth.BluetoothScanningMode.PASSIVE,
            ),
            # Home Assistant does not unload entries when it stops.
            hass.bus.async_listen(EVENT_HOMEASSISTANT_STOP, stop),
            self.async_shutdown,
        ):
            entry.async_on_unload(unsubscribe)

    @callback
    def async_accept_other_battery(self) -> None:
        """Store what differs: the user says that it is the same battery."""
        self._info.accept_other()
        self._metadata.request()
        self.coordinator.request_poll()

    def other_battery(self) -> BatteryInfo | None:
        """Return the information about another battery under the address, if any."""
        return self._info.other_battery()

    async def async_shutdown(self) -> None:
        """Stop polling, disconnect, and save what is not saved yet."""
        await self.coordinator.async_shutdown()
        async_update_other_battery_issue(self._hass, self._entry, None)
        async_update_crowded_issue(self._hass, self._entry)
        # Before saving, so that the last reply is part of what is saved.
        await self.connection.async_close()
        await self.log.observations.file.async_save()
        await self.history.async_close()

    # --- changes by the user --------------------------------------------------------

    @callback
    def _apply_options(self) -> None:
        """Apply options and name without reconnecting."""
        name = async_name(self._hass, self._entry)
        self.coordinator.name = self.client.name = name
        self.client.current_scale = self.options.current_scale

    @callback
    def async_entry_updated(self) -> None:
        """Apply changed options or a changed title; other changes are the integration's."""
        options = (dict(self._entry.options), self._entry.title)
        if options != self._options_applied:
            self._options_applied = options
            self._async_update_name()
            self.coordinator.async_options_updated()

    @callback
    def _async_update_name(self, _event: Event[Any] | None = None) -> None:
        """Use the name that the user gave the battery, also in a repair issue."""
        self._apply_options()
        self.settings.handle_renamed()

    # --- Bluetooth ------------------------------------------------------------------

    def _find_device(self) -> BLEDevice | None:
        return bluetooth.async_ble_device_from_address(self._hass, self.address, True)

    @callback
    def _handle_advertisement(
        self,
        info: bluetooth.BluetoothServiceInfoBleak,
        _change: bluetooth.BluetoothChange,
    ) -> None:
        self.advertisement.update(info)
        self.settings.handle_advertisement()
        self.connection.handle_advertisement()

    @callback
    def _handle_allocations(self, allocations: HaBluetoothSlotAllocations) -> None:
        if self.address in allocations.allocated:
            self.advertisement.set_adapter(self.connection.adapter)
        self.connection.handle_allocations(allocations)

    @callback
    def _handle_settings_frame(self, frame: bytes) -> None:
        self.log.observations.add_reply(self.client.trace.last_sent, frame)

    # --- delegate of the connection -------------------------------------------------

    @callback
    def request_poll(self, delay: timedelta = timedelta()) -> None:
        """Poll after `delay` at the latest, by default as soon as possible."""
        self.coordinator.request_poll(delay)

    @callback
    def connection_established(self) -> None:
        """Handle a new connection."""
        self.advertisement.refresh()
        self.advertisement.set_adapter(self.connection.adapter)
        self.statistics.reconnects = self.client.counters.connects - 1
        self._metadata.handle_connected()
        if self._was_disconnected:
            self._was_disconnected = False
            self.coordinator.stuck.reset()
            self.settings.handle_reconnect()

    def _update_crowded_issue(self) -> None:
        """Tell the user if batteries wait so long for their turn that values age."""
        turn_time = self.connection.turn_time
        adapter = self.connection.adapter if turn_time else None
        time = self.options.round_time(turn_time)
        async_update_crowded_issue(self._hass, self._entry, adapter, time)

    @callback
    def connection_lost(self, retry_after: timedelta | None) -> None:
        """Handle a lost connection; poll no sooner than `retry_after`, where given."""
        self.handle_disconnected()
        self.coordinator.handle_lost(retry_after)

    @callback
    def connection_released(self) -> None:
        """Stop polling: the user is about to release the battery."""
        self.coordinator.handle_release()
        self.handle_disconnected()
        async_update_crowded_issue(self._hass, self._entry)

    @callback
    def connection_resumed(self) -> None:
        """Poll again after a release."""
        self.history.interrupt()
        self.coordinator.handle_resume()

    @callback
    def slots_exhausted(self, exhausted: bool) -> None:
        """Tell the user that there is no slot for the battery, or no longer."""
        async_update_slot_issue(self._hass, self._entry, exhausted)

    @callback
    def connection_orphaned(self, adapter: bluetooth.BaseHaScanner | None) -> None:
        """Tell the user which adapter keeps a lost connection; None if none does."""
        async_update_orphan_issue(self._hass, self._entry, adapter)

    async def async_store_release(self, released: bool, until: datetime | None) -> None:
        """Store at once whether the battery is released, and until when (UTC).

        Raises HomeAssistantError for a release that is not stored: the next restart
        would end it.
        """
        await self.history.async_store_release(released, until, self.coordinator.name)

    # --- delegate of the polls ------------------------------------------------------

    @property
    def is_polling_paused(self) -> bool:
        """Return whether firmware is being installed, which uses the connection itself."""
        return self.firmware.is_running

    async def async_check_sample(self, status: BatteryStatus) -> None:
        """Raise OtherBatteryError for a sample of another battery.

        Raises ConnectionLostError, as the serial number may have to be read first.
        """
        try:
            self._guard.check_status(status)
            await self._guard.async_check_serial()
        except OtherBatteryError:
            # The identity may show the known battery again, or more of the other one.
            self._metadata.handle_sample()
            raise

    @callback
    def handle_sample(self, status: BatteryStatus, when: datetime, time: float) -> None:
        """Use a sample that was received at `when` (UTC) and `time` (loop time, s)."""
        self.log.observations.add(status, when.timestamp())
        self.history.add_sample(status, when, time, self.options.interval)
        needed = self.history.needs_full_charge(status, when)
        async_update_full_charge_issue(self._hass, self._entry, is_needed=needed)
        self._info.update(self.info.with_status(status))
        self.charge_states.add_sample(status, self.info, time)
        self._update_crowded_issue()
        self._metadata.handle_sample()

    @callback
    def handle_disconnected(self) -> None:
        """Handle a missing connection: firmware and settings may change meanwhile."""
        self._was_disconnected = True
        self._guard.handle_disconnected()
        self._metadata.invalidate()

    @callback
    def handle_forced_reconnect(self) -> None:
        """Read everything again on the next connection."""
        self._metadata.invalidate()


async def _async_entry_updated(_hass: HomeAssistant, entry: VlrvConfigEntry) -> None:
    entry.runtime_data.async_entry_updated()
