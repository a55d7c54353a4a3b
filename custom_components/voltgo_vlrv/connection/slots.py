"""Connection slots: which adapters receive a battery, and how many slots they have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from homeassistant.components import bluetooth
from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN, POLL_INTERVAL
from ..vlrv.errors import NoSlotError
from .sharing import are_slots_scarce
from .turns import async_turns

# Most often another battery of this integration is about to free its slot.
SLOT_WAIT_TIMEOUT: Final = 5.0  # s
SLOT_WAIT_STEP: Final = 0.1  # s
# Advertisements come each second or so; proxies collect them for 0.2 s.
ADAPTER_WAIT: Final = 2.0  # s
ADAPTER_WAIT_STEP: Final = 0.2  # s
# A proxy notices within this time that a client has disappeared, and disconnects.
ORPHANED_AFTER: Final = 180.0  # s

# By so many times the difference between the best signals Home Assistant ranks an adapter
# lower for each connection that it is making.
SCORE_FOR_EACH: Final = 1.01

_SHARING_LOCK: HassKey[asyncio.Lock] = HassKey(f"{DOMAIN}_sharing_lock")


@callback
def async_sharing_lock(hass: HomeAssistant) -> asyncio.Lock:
    """Return the lock with which batteries free their slots one after the other."""
    return hass.data.setdefault(_SHARING_LOCK, asyncio.Lock())


@callback
def async_clear_stale_advertisements(
    hass: HomeAssistant, address: str, attempt_started: float
) -> None:
    """Clear the advertisement history of a battery that was not advertising.

    Its next advertisement is then reported, also if it is unchanged, as when the phone app
    disconnects. Not for a battery that advertised around the last attempt and accepted no
    connection. `attempt_started` is the loop time of that attempt in s.
    """
    info = bluetooth.async_last_service_info(hass, address, True)
    not_received_since = attempt_started - POLL_INTERVAL.total_seconds()
    if info is not None and info.time < not_received_since:
        bluetooth.async_clear_advertisement_history(hass, address)


@callback
def adapter_name(adapter: bluetooth.BaseHaScanner) -> str:
    """Return the name of an adapter or proxy, without the address that may follow it."""
    return adapter.name.removesuffix(f" ({adapter.source})")


class SlotMonitor:
    """Reads the connection slots of the adapters that one battery may use."""

    def __init__(self, hass: HomeAssistant, address: str) -> None:
        """Initialize for the battery with `address`."""
        self._hass = hass
        self.address = address
        self._changed = asyncio.Event()
        self._received_by: set[str] | None = None
        self._held_since: float | None = None
        self.orphaned_on: bluetooth.BaseHaScanner | None = None
        """Adapter that has kept a lost connection for ORPHANED_AFTER."""

    def adapters_in_range(self) -> list[bluetooth.BaseHaScanner]:
        """Return the adapters that receive the battery and can connect."""
        devices = bluetooth.async_scanner_devices_by_address(
            self._hass, self.address, True
        )
        return [device.scanner for device in devices]

    def best_adapter(self) -> str:
        """Return the source of the adapter whose turn a battery should wait for.

        The one with the best score, as Home Assistant will choose it once those that wait
        for the same adapter are connecting; empty if none is in range.
        """
        devices = bluetooth.async_scanner_devices_by_address(
            self._hass, self.address, True
        )
        signals = sorted((each.advertisement.rssi for each in devices), reverse=True)
        difference = signals[0] - signals[1] if len(signals) > 1 else 0
        best = max(
            devices,
            key=lambda each: (
                each.score_connection_path(difference)
                - SCORE_FOR_EACH * max(difference, 1) * self._waiting(each.scanner)
            ),
            default=None,
        )
        return "" if best is None else best.scanner.source

    def _waiting(self, adapter: bluetooth.BaseHaScanner) -> int:
        return async_turns(self._hass, adapter.source).waiting

    def all_slots_taken(self) -> bool:
        """Return whether each adapter in range is known to have no free slot."""
        allocations = [each.get_allocations() for each in self.adapters_in_range()]
        return bool(allocations) and not any(
            slots is None or slots.free for slots in allocations
        )

    def has_free_slot(self) -> bool:
        """Return whether an adapter in range is known to have a free slot."""
        allocations = [each.get_allocations() for each in self.adapters_in_range()]
        return any(slots is not None and slots.free for slots in allocations)

    def connected_adapter(self) -> bluetooth.BaseHaScanner | None:
        """Return the adapter with the connection to the battery, None if none has one.

        Taken from the allocations: the Bluetooth client does not tell which it chose.
        """
        for scanner in bluetooth.async_current_scanners(self._hass):
            slots = scanner.get_allocations()
            if slots is not None and self.address in slots.allocated:
                return scanner
        return None

    def local_silence(self) -> float | None:
        """Return for how long the adapter with the connection has received nothing, in s.

        None unless it is an adapter of this computer: those are restarted, and later
        reset, when they are silent.
        """
        adapter = self.connected_adapter()
        if adapter is None or adapter.adapter_idx is None:
            return None
        return adapter.time_since_last_detection()

    def signals(self) -> dict[str, int]:
        """Return what the adapters in range have received the battery with, in dBm."""
        return {
            device.scanner.source: device.advertisement.rssi
            for device in bluetooth.async_scanner_devices_by_address(
                self._hass, self.address, True
            )
        }

    def adapters_with_free_slot(self) -> set[str]:
        """Return the sources of all adapters that may take one more connection."""
        return {
            scanner.source
            for scanner in bluetooth.async_current_scanners(self._hass)
            if scanner.connectable
            and ((slots := scanner.get_allocations()) is None or slots.free)
        }

    @callback
    def expect_advertisement(self) -> None:
        """Have the next advertisement reported as a change."""
        bluetooth.async_clear_advertisement_history(self._hass, self.address)

    def look_for_orphan(self, now: float) -> None:
        """After a failed attempt, find the adapter that keeps a lost connection."""
        adapter = self.connected_adapter()
        if adapter is None:
            self._held_since = None
        elif self._held_since is None:
            self._held_since = now
        is_lasting = (
            self._held_since is not None and now - self._held_since >= ORPHANED_AFTER
        )
        self.orphaned_on = adapter if is_lasting else None

    @callback
    def forget_orphan(self) -> None:
        """Handle a connection or a release: an adapter's connection is in use from now on."""
        self._held_since = self.orphaned_on = None

    def are_scarce(self) -> bool:
        """Return whether others need the slot of the battery's connection."""
        adapter = self.connected_adapter()
        slots = None if adapter is None else adapter.get_allocations()
        if adapter is None or slots is None:
            return False
        return are_slots_scarce(slots.free, self._waiting(adapter))

    @callback
    def handle_change(self) -> None:
        """Wake all that wait for an advertisement."""
        self._changed.set()

    def _is_advertising(self) -> bool:
        """Return whether Home Assistant has an advertisement that allows to connect."""
        device = bluetooth.async_ble_device_from_address(self._hass, self.address, True)
        return device is not None

    async def wait_in_range(
        self, max_wait: float, is_wanted: Callable[[], bool]
    ) -> None:
        """Wait for an advertisement, `max_wait` s at most, while `is_wanted`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max_wait):
                while not self._is_advertising() and is_wanted():
                    self._changed.clear()
                    await self._changed.wait()

    async def wait_for_adapters(self) -> None:
        """Wait until the adapters that may be in range have received the battery.

        2 s at most. After a long connection, the first adapter to receive it may be the
        one with the worst signal. Before the first connection all adapters may be in
        range, later those that have received the battery before.
        """
        available = {
            scanner.source
            for scanner in bluetooth.async_current_scanners(self._hass)
            if scanner.connectable
        }
        expected = available if self._received_by is None else self._received_by
        deadline = self._hass.loop.time() + ADAPTER_WAIT
        while True:
            in_range = {adapter.source for adapter in self.adapters_in_range()}
            if (
                not in_range
                or expected & available <= in_range
                or self._hass.loop.time() >= deadline
            ):
                break
            await asyncio.sleep(ADAPTER_WAIT_STEP)
        self._received_by = (self._received_by or set()) | in_range

    async def wait_for_slot(self, is_wanted: Callable[[], bool]) -> None:
        """Wait for a free slot of an adapter in range while `is_wanted`.

        A failed attempt would take longer and delay the other batteries. Raises
        NoSlotError after SLOT_WAIT_TIMEOUT.
        """
        deadline = self._hass.loop.time() + SLOT_WAIT_TIMEOUT
        while self.all_slots_taken() and is_wanted():
            if self._hass.loop.time() >= deadline:
                raise NoSlotError("all connection slots are in use")
            await asyncio.sleep(SLOT_WAIT_STEP)
