"""A battery that was added over a real path of Home Assistant, and is watched."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import pytest

from homeassistant.const import MAJOR_VERSION, MINOR_VERSION
from homeassistant.core import HomeAssistant

from custom_components.voltgo_vlrv.const import CONF_RECORD_EVERY_CHANGE
from custom_components.voltgo_vlrv.data import VlrvConfigEntry
from simulator.gatt.peripheral import GattPeripheral
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import add_discovered, battery, value, wait_until
from tests.connection.watch import Watch, watched

is_newest: Final = (MAJOR_VERSION, MINOR_VERSION) > (2026, 8)
"""False on the oldest Home Assistant that is supported."""
needs_allocations: Final = pytest.mark.skipif(
    not is_newest,
    reason="bleak-esphome 3.9 does not compare its connections with the allocations",
)

MINUTE: Final = 60.0  # s
SETTLED: Final = 30.0  # s; after that the battery is only polled
SHOWN: Final = ("voltage", "current", "state_of_charge", "power", "cell_1", "cell_4")


class WatchedEntry:
    """A battery with its config entry; each of its samples is compared."""

    def __init__(
        self,
        hass: HomeAssistant,
        peripheral: GattPeripheral,
        entry: VlrvConfigEntry,
        watch: Watch,
    ) -> None:
        """Belong to a battery that was added."""
        self._hass = hass
        self.peripheral = peripheral
        self.entry = entry
        self.watch = watch

    @property
    def is_connected(self) -> bool:
        """Return whether the battery is connected."""
        return self.entry.runtime_data.client.is_connected

    async def wait_for_sample(self, within: float = 15 * MINUTE) -> None:
        """Wait for another sample; all samples so far must be true."""
        samples = self.watch.samples
        await wait_until(lambda: self.watch.samples > samples, within)
        assert self.watch.wrong == []

    def assert_shown(self) -> None:
        """Compare the states of entities with what is true of the battery."""
        expected = self.peripheral.battery.expected_values()  # type: ignore[attr-defined]
        for key in SHOWN:
            shown = value(self._hass, self.peripheral.address, key)
            assert shown is not None, key
            assert float(shown) == expected[key], key


async def async_setup_watched(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, **keywords: Any
) -> WatchedEntry:
    """Return a battery that was discovered, added and connected.

    The keywords are those of `GattPeripheral`.
    """
    pack = watched(hass, battery("solar_charging", module_id=1))
    peripheral: Any = await bluetooth_env.add_battery(pack, **keywords)
    entry = await add_discovered(hass, pack.address)
    # So that the states can be compared with what is true at any time.
    hass.config_entries.async_update_entry(
        entry, options={CONF_RECORD_EVERY_CHANGE: True}
    )
    found = WatchedEntry(hass, peripheral, entry, Watch(hass, entry, pack))
    await wait_until(lambda: found.is_connected)
    await asyncio.sleep(SETTLED)
    return found
