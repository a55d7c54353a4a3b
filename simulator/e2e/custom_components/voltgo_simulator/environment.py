"""The simulated batteries, and the three adapters that receive them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from homeassistant.components import bluetooth
from homeassistant.config_entries import SOURCE_USER
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import ServiceValidationError

from .const import DOMAIN
from simulator.adapter import Detach, VirtualAdapter
from simulator.bank import ParallelBank, pair
from simulator.battery import ReplayBattery, SimulatedBattery, preset
from simulator.bluez.daemon import Bluez
from simulator.e2e.local_adapter import bluez
from simulator.esphome.api import HOST
from simulator.esphome.node import EsphomeNode
from simulator.gatt.peripheral import GattMedium, GattPeripheral
from simulator.module import Battery
from simulator.peripheral import Peripheral
from simulator.radio import RadioMedium

CONNECTION_INTERVAL: Final = 0.030  # s, what a battery and a proxy agree on
ADVERTISING_INTERVAL: Final = 0.5  # s
ADAPTER: Final = "02:00:00:00:00:01"
# The three batteries of the demo, the bank, and those that replay recordings.
SLOTS: Final = 8
# Signal strengths of the batteries at the adapter, one after the other, in dBm.
SIGNAL_STRENGTHS: Final = (-56, -67, -81)
# The one that is reached over an ESPHome proxy, as by most users.
PROXY_PRESET: Final = "solar_charging"
PROXY_NAME: Final = "simulated-proxy"
# The one that is reached over BlueZ, as with an adapter of the computer itself.
LOCAL_PRESET: Final = "winter"
BANK_SIGNAL_STRENGTHS: Final = (-62, -64)


class SimulatedEnvironment:
    """Everything of the demo that is simulated."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Start without batteries; needs the bluetooth integration set up."""
        self._hass = hass
        self._medium = RadioMedium(CONNECTION_INTERVAL)
        self._adapter = VirtualAdapter(
            self._medium, ADAPTER, "Simulated Bluetooth proxy", slots=SLOTS
        )
        self._detach: Detach | None = None
        self._proxy = EsphomeNode(GattMedium(), PROXY_NAME)
        self.peripherals: dict[str, Peripheral | GattPeripheral] = {}
        self.bank: ParallelBank | None = None
        """Two batteries in parallel, once they are added."""

    async def start(self, presets: Sequence[str], entry_id: str) -> None:
        """Switch the adapter on, and the batteries of these presets."""
        self._detach = await self._adapter.attach(
            partial(
                bluetooth.async_register_scanner,
                self._hass,
                # With these the adapter appears in the Bluetooth settings.
                source_domain=DOMAIN,
                source_model="Virtual radio",
                source_config_entry_id=entry_id,
            )
        )
        for number, name in enumerate(presets):
            # Living through the hours before it is shown takes a moment.
            battery = await self._hass.async_add_executor_job(preset, name)
            rssi = SIGNAL_STRENGTHS[number % len(SIGNAL_STRENGTHS)]
            if name == PROXY_PRESET:
                await self._add_over_proxy(battery, rssi)
                continue
            if name == LOCAL_PRESET and (local := bluez()) is not None:
                await self._add_over_bluez(local, battery, rssi)
                continue
            self._adapter.radio.rssi[battery.address] = rssi
            await self.add(battery)

    async def _add_over_proxy(self, battery: Battery, rssi: int) -> None:
        """Put a battery on the air of an ESPHome proxy, and add that to Home Assistant."""
        proxy = self._proxy
        proxy.ble_scanner.rssi[battery.address] = rssi
        await self._add_gatt(proxy.medium, battery)
        await proxy.start()
        # Not awaited: it sets `esphome` up, with all that this depends on. An entry that
        # is there already learns of the new port.
        self._hass.async_create_background_task(
            self._hass.config_entries.flow.async_init(
                "esphome",
                context={"source": SOURCE_USER},
                data={"host": HOST, "port": proxy.port},
            ),
            "simulated ESPHome proxy",
        )

    async def _add_over_bluez(self, local: Bluez, battery: Battery, rssi: int) -> None:
        """Put a battery on the air of the local adapter, and set that up."""
        local.rssi[battery.address] = rssi
        await self._add_gatt(local.medium, battery)
        self._hass.async_create_background_task(
            self._add_local_adapter(), "simulated BlueZ"
        )

    async def _add_gatt(self, medium: GattMedium, battery: Battery) -> None:
        peripheral = GattPeripheral(
            medium, battery, advertising_interval=ADVERTISING_INTERVAL
        )
        self.peripherals[battery.address] = peripheral
        await peripheral.start()

    async def _add_local_adapter(self) -> None:
        """Add the adapter to Home Assistant as a user does, unless it is there."""
        flows = self._hass.config_entries.flow
        result = await flows.async_init("bluetooth", context={"source": SOURCE_USER})
        if result["type"] is FlowResultType.FORM:
            await flows.async_configure(result["flow_id"], {})

    async def stop(self) -> None:
        """Switch everything off."""
        detach, self._detach = self._detach, None
        if detach is None:
            return
        await detach()
        for peripheral in self.peripherals.values():
            await peripheral.stop()
        await self._proxy.stop()
        self._medium.close()

    async def add(self, battery: Battery) -> None:
        """Put a battery on the air."""
        if battery.address in self.peripherals:
            raise ServiceValidationError(f"{battery.address} is on the air already")
        peripheral = Peripheral(
            self._medium, battery, advertising_interval=ADVERTISING_INTERVAL
        )
        self.peripherals[battery.address] = peripheral
        await peripheral.start()

    async def add_bank(self) -> None:
        """Put two batteries in parallel on the air, beside those that are there."""
        if self.bank is not None:
            raise ServiceValidationError("The bank is there already")
        self.bank = bank = pair()
        for battery, rssi in zip(bank.batteries, BANK_SIGNAL_STRENGTHS, strict=True):
            self._adapter.radio.rssi[battery.address] = rssi
            await self.add(battery)

    async def take_by_app(self, address: str, taken: bool) -> None:
        """Let the Voltgo app take a battery from Home Assistant, or leave it.

        A battery that is connected to the app does not advertise: that is all that can
        be seen of it from here, and so all that is simulated.
        """
        peripheral = self.peripheral(address)
        if taken:
            await peripheral.silence()
            peripheral.drop_connection()
        else:
            await peripheral.advertise()

    def parallel(self) -> ParallelBank:
        """Return the bank."""
        if self.bank is None:
            raise ServiceValidationError("There is no bank: add it first")
        return self.bank

    def peripheral(self, address: str) -> Peripheral | GattPeripheral:
        """Return a battery's Bluetooth module."""
        if (peripheral := self.peripherals.get(address)) is None:
            raise ServiceValidationError(f"No simulated battery {address}")
        return peripheral

    def simulated(self, address: str) -> SimulatedBattery:
        """Return a battery that has physics."""
        battery = self.peripheral(address).battery
        if not isinstance(battery, SimulatedBattery):
            raise ServiceValidationError(f"{address} only replays a recording")
        return battery

    def replaying(self, address: str) -> ReplayBattery:
        """Return a battery that replays a recording."""
        battery = self.peripheral(address).battery
        if not isinstance(battery, ReplayBattery):
            raise ServiceValidationError(f"{address} replays no recording")
        return battery

    def describe(self, peripheral: Peripheral | GattPeripheral) -> dict[str, Any]:
        """Return the expected values of a battery as JSON data."""
        battery = peripheral.battery
        return {
            "name": peripheral.name,
            "address": peripheral.address,
            "on": peripheral.is_on,
            "connected": peripheral.is_connected,
            "connections": peripheral.connections,
            "requests": len(peripheral.writes),
            "expected_values": _expected_values(battery)
            if isinstance(battery, SimulatedBattery)
            else None,
            "replays": battery.current.hex()
            if isinstance(battery, ReplayBattery)
            else None,
        }

    def describe_bank(self) -> dict[str, Any] | None:
        """Return the expected values of the bank as JSON data, None without a bank."""
        return None if self.bank is None else _listed(self.bank.expected_values())


def _listed(expected_values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in expected_values.items()
    }


def _expected_values(battery: SimulatedBattery) -> dict[str, Any]:
    """Return what a user should see, and the words behind the names of faults."""
    state = battery.reported()
    return {
        **_listed(battery.expected_values()),
        "bluetooth_name": battery.name,
        "warning_code": state.warning,
        "protection_code": state.protection,
        "error_code": state.error,
    }
