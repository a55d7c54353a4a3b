"""When to connect, poll and let go; the age of the data; what entities read."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
import logging
from typing import Any, override

from bleak.backends.device import BLEDevice
from bluetooth_data_tools import parse_advertisement_data_bytes
from habluetooth import HaBluetoothSlotAllocations, get_manager

from homeassistant.components import bluetooth
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_ADDRESS, EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CALLBACK_TYPE, Event, HassJob, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.device_registry import CONNECTION_BLUETOOTH, DeviceInfo
from homeassistant.helpers.event import async_call_at, async_call_later
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util

from .battery.firmware import FirmwareInstaller
from .battery.freshness import SampleFreshness
from .battery.info import BatteryInfo
from .battery.initial_reading import take_initial_reading
from .battery.poll_schedule import next_poll_delay
from .battery.settings import CAN, RS485, SettingsCoordinator
from .battery.statistics import PollStatistics
from .battery.stuck_data import StuckDataDetector
from .connection import ConnectionManager
from .connection.errors import error_reason
from .const import (
    CONF_FACTS,
    DOMAIN,
    MAX_AGE,
    MAX_DROPS_PER_READ,
    MAX_UNANSWERED_POLLS,
    METADATA_MAX_AGE,
    POLL_INTERVAL,
    RELEASED_INTERVAL,
)
from .entries import async_name, is_bank, may_rename
from .history.charge import charge_of
from .history.diagnostic_log import async_diagnostic_log
from .history.energy import EnergyCounter
from .history.last_status import Memory
from .history.maintenance import ChargeMaintenance
from .history.runtime import Runtime
from .issues import (
    async_clear_slot_issue,
    async_raise_slot_issue,
    async_watch_competing_entries,
)
from .options import BatteryOptions, energy_gap
from .vlrv.client import VlrvClient
from .vlrv.errors import (
    ConnectionLostError,
    ImplausibleError,
    NoAnswerError,
    NotReachableError,
    RefusedError,
    VlrvError,
)
from .vlrv.registers import BatteryStatus
from .vlrv.validation import decode_valid_status

_LOGGER = logging.getLogger(__name__)

type VlrvConfigEntry = ConfigEntry[VlrvCoordinator]


class VlrvCoordinator(DataUpdateCoordinator[BatteryStatus]):
    """Keeps one battery's last believed sample, and polls for the next.

    `data` is None until the first sample ever, which outlives a restart. A poll that
    fails changes nothing while the last sample is young enough to stand; only then is
    the update called failed, which makes the entities unavailable and is logged once.
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
            # Entities compare before they write: what follows from the time changes
            # also with samples that are all the same.
            always_update=True,
            request_refresh_debouncer=Debouncer(
                hass, _LOGGER, cooldown=1.0, immediate=True
            ),
        )
        self.address: str = entry.data[CONF_ADDRESS]
        self.options = BatteryOptions(entry)
        self.facts = BatteryInfo.from_data(entry.data[CONF_FACTS])
        self.health = PollStatistics()
        self.energy = EnergyCounter(hass, entry.entry_id)
        self.runtime = Runtime()
        self.upkeep = ChargeMaintenance(hass, entry.entry_id)
        self.memory = Memory(hass, entry.entry_id)
        trace, self.evidence = async_diagnostic_log(hass, entry.entry_id)
        self.client = VlrvClient(
            entry.title,
            self._find_device,
            on_disconnect=self._handle_disconnect,
            on_settings_frame=self._on_settings_frame,
            status_register_count=self.facts.status_count,
            trace=trace,
        )
        self._entry_shown = (dict(entry.options), entry.title)
        self._apply_options()
        self._cancel_expiry: CALLBACK_TYPE | None = None
        self._freshness = SampleFreshness()
        self._stuck = StuckDataDetector()
        # What the interval was when the last sample came.
        self._interval_then: timedelta = POLL_INTERVAL
        self._portrait_at: float | None = None
        self._portrait_wanted = False
        # Of what the link broke at while it was read: how often in a row, and when.
        self._fatal_reads: dict[str, tuple[int, float]] = {}
        self._was_away = False
        self._advertised: bluetooth.BluetoothServiceInfoBleak | None = None
        self.connection = ConnectionManager(
            hass, entry, self.client, self.options, self
        )
        self.controls = SettingsCoordinator(self)
        self.firmware = FirmwareInstaller(self)
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
    def is_live(self) -> bool:
        """Return whether what is shown was read lately, whatever else may stand.

        What was kept over a release or a restart is shown too, and is not live.
        """
        age = self.health.age(self.hass.loop.time())
        return (
            not self.connection.is_released
            and age is not None
            and age < self.options.live_age.total_seconds()
        )

    @callback
    def _apply_options(self) -> None:
        """Take over the owner's options and name; the link need not be dropped."""
        self.name = self.client.name = async_name(self.hass, self.config_entry)
        self.client.current_scale = self.options.current_scale

    @callback
    def async_entry_updated(self) -> None:
        """Take over what the user changed; new facts and pending changes are ours."""
        entry = self.config_entry
        shown = (dict(entry.options), entry.title)
        if shown != self._entry_shown:
            self._entry_shown = shown
            self.async_options_updated()

    @callback
    def async_options_updated(self) -> None:
        """Take over changed options, and let them show at once."""
        self._show_name()
        if self._cancel_expiry is not None and self._stands:
            # How long a sample may be shown follows the interval; of one that is too
            # old by now, the poll below decides.
            self._forget_age()
            self._watch_age()
        self.async_update_listeners()
        # The next poll sets the time of those that follow.
        self.request_poll()

    @callback
    def _show_name(self, _event: Event[Any] | None = None) -> None:
        """Take over what the owner calls the battery, also in a notice that stands."""
        self._apply_options()
        self.controls.show_name()

    @property
    def last_failure(self) -> str:
        """Return the key of the text that tells why the last poll failed."""
        return error_reason(self.hass, self.address, self._last_error)

    @property
    def identifier(self) -> str:
        """Return the Bluetooth address: what unique IDs of the entities begin with."""
        return self.address

    @property
    def has_values(self) -> bool:
        """Return whether there is a sample that may be shown."""
        return self.last_update_success and self.data is not None

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

    # --- start and stop -------------------------------------------------------------

    async def async_restore(self) -> None:
        """Bring back what was known, and whether the battery was let go."""
        kept = await self.memory.async_load()
        status = decode_valid_status(kept.frame, self.client.current_scale)
        if status is not None and kept.when is not None:
            self.data = status
            self.health.last_sample = kept.when
            self._freshness.sample_restored(self.hass.loop.time())
        if kept.released:
            self.connection.async_restore(kept.released_until)
            if self.connection.is_released:
                self._freshness.release(self.hass.loop.time(), self.options.max_age)

    @callback
    def async_start(self) -> None:
        """Begin to follow the battery, in the background."""
        entry = self.config_entry
        if (proof := take_initial_reading(self.hass, self.address)) is not None:
            # The battery was read when it was added, moments ago.
            self._accept(proof.status, proof.when, proof.time)
            self.data = proof.status
        if self._stands:
            self._watch_age()
        entry.async_on_unload(async_watch_competing_entries(self.hass, entry))
        entry.async_on_unload(
            get_manager().async_register_allocation_callback(self._on_allocations)
        )
        entry.async_on_unload(entry.add_update_listener(_show_options))
        entry.async_on_unload(
            self.hass.bus.async_listen(
                dr.EVENT_DEVICE_REGISTRY_UPDATED, self._show_name, may_rename
            )
        )
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
        self._forget_age()
        # First: what is answered until then is saved, what comes later is not.
        await self.connection.async_close()
        await self.evidence.file.async_save()
        await self.energy.file.async_close()
        await self.upkeep.async_close()
        await self.memory.file.async_close()

    @callback
    def request_poll(self) -> None:
        """Poll in the background, as soon as that is possible."""
        if self.firmware.is_running or self._shutdown_requested:
            return  # a transfer connects by itself, when the restart is over
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
        self.connection.handle_advertisement()

    @callback
    def _on_allocations(self, allocations: HaBluetoothSlotAllocations) -> None:
        if allocations.free:
            self.connection.handle_free_slot()
        else:
            self.connection.handle_adapter_full(allocations.source)

    def _handle_disconnect(self) -> None:
        self.connection.handle_lost()

    @callback
    def connection_lost(self, retry_after: timedelta | None) -> None:
        """Handle a lost connection; poll no sooner than `retry_after`, where given."""
        self.note_away()
        if retry_after is not None:
            self.update_interval = max(retry_after, self.options.interval)
            self._schedule_refresh()

    @callback
    def note_away(self) -> None:
        """Note that nobody knows what happens to the battery from here on."""
        self._was_away = True
        self._portrait_at = None

    @callback
    def connection_established(self) -> None:
        """Handle a new connection.

        What a battery tells of itself is then read in the background: after it was
        away it may have another firmware or other settings. Where it is let go between
        polls, now and then is enough, unless a change waits to be seen.
        """
        # Home Assistant forgets it after some minutes of a connection.
        self._advertised = (
            bluetooth.async_last_service_info(self.hass, self.address, True)
            or self._advertised
        )
        self.health.reconnects = self.client.counters.connects - 1
        self._portrait_wanted = (
            self._portrait_at is None
            or bool(self.controls.pending)
            or self.hass.loop.time() - self._portrait_at
            >= METADATA_MAX_AGE.total_seconds()
        )
        if self._was_away:
            self._was_away = False
            self._stuck.reset()
            self.controls.note_return()

    @callback
    def connection_released(self) -> None:
        """Stop polling: the user is about to release the battery; values stay shown."""
        self._freshness.release(self.hass.loop.time(), self.options.max_age)
        self._forget_age()
        self.note_away()

    @callback
    def connection_resumed(self) -> None:
        """Resume polling. Until the first poll succeeds, the last sample counts as fresh."""
        self.energy.interrupt()
        if self._freshness.resume(self.hass.loop.time()):
            self._watch_age()
        self.update_interval = self.options.interval
        self.request_poll()

    @callback
    def slots_exhausted(self, exhausted: bool) -> None:
        """Tell the user that there is no slot for the battery, or no longer."""
        if exhausted:
            async_raise_slot_issue(self.hass, self.config_entry)
        else:
            async_clear_slot_issue(self.hass, self.config_entry)

    async def async_store_release(self, released: bool, until: datetime | None) -> None:
        """Store at once whether the battery is released, and until when (UTC)."""
        await self.memory.async_note_release(released, until)

    @callback
    def _on_settings_frame(self, frame: bytes) -> None:
        self.evidence.see_reply(self.client.trace.last_sent, frame)

    # --- polling --------------------------------------------------------------------

    @override
    async def _async_refresh(self, *args: Any, **kwargs: Any) -> None:
        """Poll; one that is cancelled, as with the script that asked, tells nothing."""
        success = self.last_update_success
        try:
            await super()._async_refresh(*args, **kwargs)
        except asyncio.CancelledError:
            self.last_update_success = success and not self._freshness.is_expired
            raise
        if not success and not self.last_update_success:
            # Home Assistant tells only of the first failure; time passes in the others.
            self.async_update_listeners()

    @override
    async def _async_update_data(self) -> BatteryStatus:
        if self.firmware.is_running:  # polling pauses
            if self._freshness.is_expired:
                raise self._failure(self._last_error)
            return self.data
        self.health.polls += not self.connection.is_released
        try:
            status = await self._poll()
        except VlrvError as err:
            if self.connection.is_released:
                return self._rest()
            self.update_interval = await self._note_failure(err)
            return self._keep(err)
        self.update_interval = self._next_interval()
        return status

    def _rest(self) -> BatteryStatus:
        """Show what there is; the polls that follow ask nobody.

        They only tell the listeners that time has passed.
        """
        self.update_interval = RELEASED_INTERVAL
        return self._keep(self._last_error)

    def _keep(self, err: VlrvError) -> BatteryStatus:
        """Return the last sample while it may be shown; else raise UpdateFailed."""
        if self._stands:
            return self.data
        self._freshness.expire()
        raise self._failure(err) from err

    def _next_interval(self) -> timedelta:
        """Return when to poll next: several batteries each at their own beat.

        So that they do not all want the radio, and the processor, at once.
        """
        batteries = sorted(
            entry.entry_id
            for entry in self.hass.config_entries.async_loaded_entries(DOMAIN)
            if not is_bank(entry)
        )
        if self.config_entry.entry_id not in batteries:
            return self.options.interval
        return next_poll_delay(
            batteries.index(self.config_entry.entry_id),
            len(batteries),
            self.options.interval,
            self.hass.loop.time(),
        )

    def _failure(self, err: VlrvError) -> UpdateFailed:
        return UpdateFailed(
            translation_domain=DOMAIN,
            translation_key=error_reason(self.hass, self.address, err),
            translation_placeholders={"name": self.name},
        )

    # --- age of the data ------------------------------------------------------------

    @property
    def _stands(self) -> bool:
        """Return whether the last sample may still be shown."""
        return self._freshness.is_fresh(self.hass.loop.time(), self.options.max_age)

    @callback
    def _watch_age(self) -> None:
        """See to it that a sample is not shown for too long, whatever a poll does.

        While the battery is released it stands, however old it is.
        """
        if self._cancel_expiry is None and not self.connection.is_released:
            self._cancel_expiry = async_call_at(
                self.hass,
                HassJob(self._on_age, cancel_on_shutdown=True),
                self._freshness.expires_at(self.options.max_age),
            )

    @callback
    def _forget_age(self) -> None:
        if self._cancel_expiry is not None:
            self._cancel_expiry()
            self._cancel_expiry = None

    @callback
    def _on_age(self, _now: datetime) -> None:
        self._cancel_expiry = None
        if self.connection.is_released:
            return
        if self._stands:
            self._watch_age()
        elif self.firmware.is_running:
            self._cancel_expiry = async_call_later(
                self.hass, MAX_AGE, HassJob(self._on_age, cancel_on_shutdown=True)
            )
        else:
            self._freshness.expire()
            self.async_set_update_error(self._failure(self._last_error))

    async def _poll(self) -> BatteryStatus:
        async with self.connection.use():
            try:
                status = await self.client.read_status()
            except NoAnswerError:
                # Within: where the link is shared, it is let go of at the end.
                await self._note_silence()
                raise
            self._accept(status, dt_util.utcnow(), self.hass.loop.time())
            self.connection.handle_sample()
            self._watch_age()
            self._learn(self.facts.with_status(status))
            if self._portrait_wanted:
                self._portrait_wanted = False
                self._portrait_at = self.hass.loop.time()
                self.config_entry.async_create_background_task(
                    self.hass, self._read_portrait(), f"{self.name} - portrait"
                )
            if self._stuck.add(status.frame, status.current, self.hass.loop.time()):
                self.health.frozen += 1
                await self._cut()
        return status

    async def _note_silence(self) -> None:
        """Count a poll without an answer; a link that stays silent is cut."""
        self.health.silent_polls += 1
        if self.health.silent_polls >= MAX_UNANSWERED_POLLS:
            self.health.silent_polls = 0
            await self._cut()

    async def _cut(self) -> None:
        """End a link that is of no use, and forget what was known of it."""
        self._portrait_at = None
        self._stuck.reset()
        await self.client.disconnect(clear_service_cache=True)
        # It is called again with its next advertisement.
        bluetooth.async_clear_advertisement_history(self.hass, self.address)

    @callback
    def _accept(self, status: BatteryStatus, when: datetime, time: float) -> None:
        """Take a sample that is believed; `time` is on the event loop's clock."""
        if self._shutdown_requested:
            return
        self.health.accept(when, time)
        self._freshness.sample_received(time)
        interval = max(self.options.interval, self._interval_then)
        self._interval_then = self.options.interval
        self.memory.note_sample(status.frame, when)
        self.evidence.see(status, when.timestamp())
        self.energy.add(
            time,
            status.voltage * status.current,
            energy_gap(interval).total_seconds(),
        )
        self.runtime.add(
            time,
            status.current,
            charge_of(status),
            self.options.interval.total_seconds(),
        )
        self.upkeep.add(status, time)

    async def _read_portrait(self) -> None:
        """Read identity, thresholds and settings, as far as the battery has them."""
        reads = (
            self.async_read_identity,
            self._read_limits,
            self._read_settings,
            self.client.probe_status_length,
        )
        try:
            async with self.connection.use():
                for read in reads:
                    if self._is_fatal(read.__name__):
                        continue
                    try:
                        await read()
                    except ConnectionLostError:
                        self._note_fatal(read.__name__)
                        raise
                    except VlrvError as err:
                        # Not every board tells, and no live value depends on it.
                        _LOGGER.debug("%s: %s: %s", self.name, read.__name__, err)
                    self._fatal_reads.pop(read.__name__, None)
        except VlrvError as err:
            _LOGGER.debug("%s: %s", self.name, err)
            self._portrait_at = None  # read again with the next connection

    def _note_fatal(self, read: str) -> None:
        """Note that the link broke at a read; an end that was wanted is none."""
        if not self.connection.is_released:
            count, _ = self._fatal_reads.get(read, (0, 0.0))
            self._fatal_reads[read] = (count + 1, self.hass.loop.time())

    def _is_fatal(self, read: str) -> bool:
        """Return whether a board hangs up when it is asked that, as far as is known.

        After a while it is tried again: another firmware may do better.
        """
        count, when = self._fatal_reads.get(read, (0, 0.0))
        return (
            count >= MAX_DROPS_PER_READ
            and self.hass.loop.time() - when < METADATA_MAX_AGE.total_seconds()
        )

    async def async_read_identity(self) -> None:
        """Read who the battery is, and keep what is new; raises VlrvError."""
        self._learn(self.facts.with_identity(await self.client.read_identity()))

    async def _read_limits(self) -> None:
        limits = await self.client.read_thresholds()
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

    async def _note_failure(self, err: VlrvError) -> timedelta:
        """Count why a poll failed, end a link that broke; return the pause."""
        health = self.health
        self._last_error = err
        _LOGGER.debug("%s: poll failed: %s", self.name, err)
        if isinstance(err, ImplausibleError):
            health.rejected.update(err.reasons)
            health.silent_polls = 0
        else:
            health.missed += 1
        if isinstance(err, NotReachableError):
            self.note_away()
        elif not isinstance(err, (ImplausibleError, NoAnswerError, RefusedError)):
            await self.client.disconnect()
        return self.connection.handle_poll_failed(err)

    @callback
    def _learn(self, facts: BatteryInfo) -> None:
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
        self.async_update_listeners()


async def _show_options(_hass: HomeAssistant, entry: VlrvConfigEntry) -> None:
    entry.runtime_data.async_entry_updated()
