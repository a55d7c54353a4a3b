"""When to connect, poll and let go; the age of the data; what entities read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
import logging
from typing import Final, override

from bleak.backends.device import BLEDevice
from bluetooth_data_tools import parse_advertisement_data_bytes

from homeassistant.components import bluetooth
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_ADDRESS, EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CALLBACK_TYPE, Event, HassJob, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.device_registry import CONNECTION_BLUETOOTH, DeviceInfo
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util

from .const import (
    DOMAIN,
    ENERGY_GAP,
    ENERGY_GAP_INTERVALS,
    MAX_AGE,
    MAX_AGE_INTERVALS,
    POLL_INTERVAL,
    SILENT_POLLS,
)
from .controls import CAN, RS485, VlrvControls
from .energy import EnergyCounter
from .facts import BatteryFacts
from .failures import failure_reason
from .firmware_update import FirmwareUpdates
from .health import DataHealth
from .proof import take_proof
from .records import async_records
from .vlrv.client import VlrvClient
from .vlrv.errors import (
    ImplausibleError,
    LinkLostError,
    NoAnswerError,
    NotReachableError,
    RefusedError,
    VlrvError,
)
from .vlrv.registers import CURRENT_SCALE, BatteryStatus

_LOGGER = logging.getLogger(__name__)

type VlrvConfigEntry = ConfigEntry[VlrvCoordinator]

CONF_FACTS: Final = "facts"
CONF_CURRENT_SCALE: Final = "current_scale"
CONF_INTERVAL: Final = "interval"
CONF_LOW_BATTERY: Final = "low_battery"
DEFAULT_LOW_BATTERY: Final = 20


class VlrvCoordinator(DataUpdateCoordinator[BatteryStatus]):
    """Keeps one battery's link and its last believed sample.

    `data` is None until the first sample. A poll that fails changes nothing while the
    last sample is young enough to stand; only then is the update called failed, which
    makes the entities unavailable and is logged once.
    """

    config_entry: VlrvConfigEntry

    def __init__(self, hass: HomeAssistant, entry: VlrvConfigEntry) -> None:
        """Prepare; nothing is sent yet."""
        super().__init__(
            hass,
            _LOGGER,
            config_entry=entry,
            name=entry.title,
            update_interval=POLL_INTERVAL,
            # An unchanged battery writes nothing.
            always_update=False,
            request_refresh_debouncer=Debouncer(
                hass, _LOGGER, cooldown=1.0, immediate=True
            ),
        )
        self.address: str = entry.data[CONF_ADDRESS]
        self.facts = BatteryFacts.from_data(entry.data[CONF_FACTS])
        self.health = DataHealth()
        self.energy = EnergyCounter(hass, entry.entry_id)
        trace, self.evidence = async_records(hass, entry.entry_id)
        self.client = VlrvClient(
            entry.title,
            self._find_device,
            on_disconnect=self._on_link_lost,
            on_settings_frame=self._on_settings_frame,
            status_count=self.facts.status_count,
            trace=trace,
        )
        self.apply_options()
        self._poll_listeners: list[CALLBACK_TYPE] = []
        self._cancel_expiry: CALLBACK_TYPE | None = None
        self._portrait_wanted = False
        self._was_away = False
        self._advertised: bluetooth.BluetoothServiceInfoBleak | None = None
        self.controls = VlrvControls(self)
        self.firmware = FirmwareUpdates(self)
        self._last_error: VlrvError = NotReachableError()

    # --- for entities ---------------------------------------------------------------

    @property
    def signal_strength(self) -> int | None:
        """Return the strength of the last advertisement in dBm.

        A connected battery does not advertise, so this is from before the connection.
        """
        return None if self._advertised is None else self._advertised.rssi

    @property
    def advertised_name(self) -> str | None:
        """Return the name in the last advertisement."""
        info = self._advertised
        if info is None or info.name == self.address:
            return None
        if info.raw and (name := parse_advertisement_data_bytes(info.raw)[0]):
            # Home Assistant takes a shorter name for a cut one, and keeps the longer.
            return name
        return info.name

    @property
    def low_battery(self) -> int:
        """Return the state of charge in % at which the battery counts as low."""
        return int(self.config_entry.options.get(CONF_LOW_BATTERY, DEFAULT_LOW_BATTERY))

    @property
    def interval(self) -> timedelta:
        """Return how often the owner wants the battery to be read."""
        seconds = self.config_entry.options.get(CONF_INTERVAL)
        return POLL_INTERVAL if seconds is None else timedelta(seconds=seconds)

    @callback
    def apply_options(self) -> None:
        """Take over the owner's options; none of them needs the link to be dropped."""
        self.client.current_scale = int(
            self.config_entry.options.get(CONF_CURRENT_SCALE, CURRENT_SCALE)
        )

    @callback
    def show_options(self) -> None:
        """Take over changed options, and let them show at once."""
        self.apply_options()
        if self._cancel_expiry is not None and self._remaining_age() > 0:
            # How long a sample may be shown follows the interval; of one that is too
            # old by now, the poll below decides.
            self._cancel_expiry()
            self._cancel_expiry = None
            self._watch_age()
        self.async_update_listeners()
        # The next poll sets the time of those that follow.
        self._refresh_soon()

    @property
    def last_failure(self) -> str:
        """Return the key of the text that tells why the last poll failed."""
        return failure_reason(self.hass, self.address, self._last_error)

    @property
    def device_info(self) -> DeviceInfo:
        """Return the battery for the device registry."""
        facts = self.facts
        return DeviceInfo(
            identifiers={(DOMAIN, self.address)},
            connections={(CONNECTION_BLUETOOTH, self.address)},
            name=self.config_entry.title,
            manufacturer=facts.manufacturer,
            model=facts.model,
            model_id=facts.board or None,
            serial_number=facts.serial or None,
            sw_version=facts.firmware or None,
        )

    @callback
    def async_add_poll_listener(self, listener: CALLBACK_TYPE) -> Callable[[], None]:
        """Call `listener` after each poll, also when it brought nothing new."""
        self._poll_listeners.append(listener)
        return lambda: self._poll_listeners.remove(listener)

    # --- start and stop -------------------------------------------------------------

    @callback
    def async_start(self) -> None:
        """Begin to follow the battery, in the background."""
        entry = self.config_entry
        if (proof := take_proof(self.hass, self.address)) is not None:
            # The battery was read when it was added, moments ago.
            self._accept(proof.status, proof.when, proof.time)
            self.data = proof.status
            self._watch_age()
        entry.async_on_unload(entry.add_update_listener(_show_options))
        entry.async_on_unload(
            bluetooth.async_register_callback(
                self.hass,
                self._on_advertisement,
                {"address": self.address, "connectable": True},
                bluetooth.BluetoothScanningMode.PASSIVE,
            )
        )

        async def stop(_: Event) -> None:
            await self.async_shutdown()

        # Entries are not unloaded when Home Assistant stops; the link must still end.
        entry.async_on_unload(
            self.hass.bus.async_listen(EVENT_HOMEASSISTANT_STOP, stop)
        )

    @override
    async def async_shutdown(self) -> None:
        """Stop polling and let the battery go."""
        await super().async_shutdown()
        if self._cancel_expiry is not None:
            self._cancel_expiry()
            self._cancel_expiry = None
        await self.evidence.async_save()
        await self.energy.async_save()
        await self.client.disconnect()

    def _refresh_soon(self) -> None:
        if self.firmware.is_running:
            return  # it connects by itself, when the restart is over
        self.config_entry.async_create_background_task(
            self.hass, self.async_request_refresh(), f"{self.name} - connect"
        )

    # --- the link -------------------------------------------------------------------

    def _find_device(self) -> BLEDevice | None:
        return bluetooth.async_ble_device_from_address(self.hass, self.address, True)

    @callback
    def _on_advertisement(
        self,
        info: bluetooth.BluetoothServiceInfoBleak,
        _change: bluetooth.BluetoothChange,
    ) -> None:
        """Connect as soon as the battery shows up."""
        self._advertised = info
        self.controls.note_name()
        if not self.client.is_connected and not self._shutdown_requested:
            self._refresh_soon()

    @callback
    def _on_link_lost(self) -> None:
        """See to it that the next advertisement counts as news, and leads to a call."""
        self._was_away = True
        bluetooth.async_clear_advertisement_history(self.hass, self.address)

    @callback
    def _on_settings_frame(self, frame: bytes) -> None:
        self.evidence.see_reply(self.client.trace.last_sent, frame)

    # --- polling --------------------------------------------------------------------

    @override
    async def _async_update_data(self) -> BatteryStatus:
        if self.firmware.is_running:
            return self.data  # polling pauses
        self.health.polls += 1
        self.update_interval = self.interval
        try:
            return await self._poll()
        except VlrvError as err:
            # Who wants a value each hour does not want to wait two for it.
            self.update_interval = min(self.interval, POLL_INTERVAL)
            await self._note_failure(err)
            if self._remaining_age() > 0:
                return self.data
            raise self._failure(err) from err
        finally:
            for listener in self._poll_listeners:
                listener()

    def _failure(self, err: VlrvError) -> UpdateFailed:
        return UpdateFailed(
            translation_domain=DOMAIN,
            translation_key=failure_reason(self.hass, self.address, err),
            translation_placeholders={"name": self.name},
        )

    # --- age of the data ------------------------------------------------------------

    def _remaining_age(self) -> float:
        """Return for how many seconds the last sample may still be shown."""
        age = self.health.age(self.hass.loop.time())
        limit = max(MAX_AGE, MAX_AGE_INTERVALS * self.interval).total_seconds()
        return 0.0 if age is None else limit - age

    @callback
    def _watch_age(self) -> None:
        """See to it that a sample is not shown for too long, whatever a poll does."""
        if self._cancel_expiry is None:
            self._cancel_expiry = async_call_later(
                self.hass,
                self._remaining_age(),
                HassJob(self._on_age, cancel_on_shutdown=True),
            )

    @callback
    def _on_age(self, _now: datetime) -> None:
        self._cancel_expiry = None
        if self._remaining_age() > 0:
            self._watch_age()
        elif self.firmware.is_running:
            self._cancel_expiry = async_call_later(
                self.hass, MAX_AGE, HassJob(self._on_age, cancel_on_shutdown=True)
            )
        else:
            self.async_set_update_error(self._failure(self._last_error))

    async def async_connect(self) -> None:
        """Connect, unless the link stands; raises VlrvError.

        What a battery tells of itself is then read in the background, once for each
        connection: it may have another firmware or other settings now.
        """
        if self.client.is_connected:
            return
        connects = self.client.counters.connects
        # Home Assistant forgets it after some minutes of a connection.
        self._advertised = (
            bluetooth.async_last_service_info(self.hass, self.address, True)
            or self._advertised
        )
        await self.client.connect()
        if self.client.counters.connects > connects:
            self.health.reconnects = connects
            self._portrait_wanted = True
            if self._was_away:
                self._was_away = False
                self.controls.note_return()

    async def _poll(self) -> BatteryStatus:
        await self.async_connect()
        status = await self.client.read_status()
        self._accept(status, dt_util.utcnow(), self.hass.loop.time())
        self._watch_age()
        self._learn(self.facts.learn_status(status))
        if self._portrait_wanted:
            self._portrait_wanted = False
            self.config_entry.async_create_background_task(
                self.hass, self._read_portrait(), f"{self.name} - portrait"
            )
        return status

    @callback
    def _accept(self, status: BatteryStatus, when: datetime, time: float) -> None:
        """Take a sample that is believed; `time` is on the event loop's clock."""
        self.health.accept(when, time)
        self.evidence.see(status, when.timestamp())
        self.energy.add(
            time,
            status.voltage * status.current,
            max(ENERGY_GAP, ENERGY_GAP_INTERVALS * self.interval).total_seconds(),
        )

    async def _read_portrait(self) -> None:
        """Read identity, thresholds and settings, as far as the battery has them."""
        for read in (self.async_read_identity, self._read_limits, self._read_settings):
            try:
                await read()
            except LinkLostError as err:
                _LOGGER.debug("%s: %s", self.name, err)
                return  # all of it is read again with the next connection
            except VlrvError as err:
                # Not every board of the family tells, and no live value depends on it.
                _LOGGER.debug("%s: %s: %s", self.name, read.__name__, err)

    async def async_read_identity(self) -> None:
        """Read who the battery is, and keep what is new; raises VlrvError."""
        self._learn(self.facts.learn_identity(await self.client.read_identity()))

    async def _read_limits(self) -> None:
        limits = await self.client.read_limits()
        self._learn(replace(self.facts, limits=limits or self.facts.limits))

    async def _read_settings(self) -> None:
        controls = self.controls
        await controls.async_read()
        facts = self.facts
        self._learn(
            replace(
                facts,
                module_id=facts.module_id or controls.module_id is not None,
                can_protocols=controls.codes(CAN) or facts.can_protocols,
                rs485_protocols=controls.codes(RS485) or facts.rs485_protocols,
            )
        )
        self.async_update_listeners()

    async def _note_failure(self, err: VlrvError) -> None:
        health = self.health
        self._last_error = err
        _LOGGER.debug("%s: poll failed: %s", self.name, err)
        if isinstance(err, ImplausibleError):
            health.rejected.update(err.reasons)
            health.silent_polls = 0
            return
        health.missed += 1
        if isinstance(err, RefusedError):
            return
        if isinstance(err, NoAnswerError):
            health.silent_polls += 1
            if health.silent_polls < SILENT_POLLS:
                return
            health.silent_polls = 0
        await self.client.disconnect()

    @callback
    def _learn(self, facts: BatteryFacts) -> None:
        """Keep what is new about the battery, in the entry and the device registry."""
        if facts == self.facts:
            return
        self.facts = facts
        entry = self.config_entry
        self.hass.config_entries.async_update_entry(
            entry, data={**entry.data, CONF_FACTS: facts.as_data()}
        )
        registry = dr.async_get(self.hass)
        for device in dr.async_entries_for_config_entry(registry, entry.entry_id):
            registry.async_update_device(
                device.id,
                model=facts.model,
                model_id=facts.board or None,
                serial_number=facts.serial or None,
                sw_version=facts.firmware or None,
            )


async def _show_options(_hass: HomeAssistant, entry: VlrvConfigEntry) -> None:
    entry.runtime_data.show_options()
