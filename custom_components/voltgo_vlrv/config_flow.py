"""Config flow: add a battery, discovered or selected by the user, or a bank.

A device becomes an entry only after it answered a status read with a valid sample.
"""

from __future__ import annotations

import asyncio
from itertools import chain, count
from typing import Any, Final, override

from bleak.backends.device import BLEDevice
import voluptuous as vol

from homeassistant.components import bluetooth
from homeassistant.components.bluetooth import BluetoothServiceInfoBleak
from homeassistant.config_entries import ConfigFlow, ConfigFlowResult, OptionsFlow
from homeassistant.const import CONF_ADDRESS
from homeassistant.core import callback
from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
from homeassistant.util.hass_dict import HassKey

from .bank.config_flow import BankSteps
from .bank.options_flow import BankOptionsFlow
from .battery.info import BatteryInfo
from .battery.initial_reading import store_initial_reading
from .connection.errors import error_detail, error_reason, typed_errors
from .connection.slots import SlotMonitor
from .connection.turns import async_turns
from .const import CONF_INFO, DOMAIN
from .data import VlrvConfigEntry
from .discovery_queue import MAX_ATTEMPT_IN_FLOOD
from .entries import MIN_MEMBERS, async_free_batteries, is_bank
from .localization import MAX_ADAPTERS_TEXT, plain_text
from .options_flow import VlrvOptionsFlow
from .rediscovery import (
    async_discovery_queue,
    async_failures,
    async_forget_failures,
    async_schedule_rediscovery,
)
from .vlrv.client import VlrvClient
from .vlrv.discovery import match_score
from .vlrv.errors import NotReachableError, NotVlrvError, VlrvError
from .vlrv.probe import ProbeResult, probe

MAX_NAME_LENGTH: Final = 29
"""The space for a name in one advertisement, in bytes."""
MAX_OFFERED: Final = 32
"""As many discovered batteries wait for the user; a device can pretend to be any number."""
DEFAULT_NAME: Final = "VLRV"
"""The name of a battery that advertises none."""

# One probe at a time: each takes a connection slot, and a proxy has three.
_PROBE_LOCK: HassKey[asyncio.Lock] = HassKey(f"{DOMAIN}_probe_lock")


def _advertised_name(info: BluetoothServiceInfoBleak) -> str:
    """Return the advertised name as plain text, empty if there is none."""
    if info.name == info.address:
        return ""
    return plain_text(info.name, MAX_NAME_LENGTH)


def _address_suffix(address: str) -> str:
    """Return the last four digits of an address, as printed on many batteries."""
    return address[-5:].replace(":", "")


def _match_score(info: BluetoothServiceInfoBleak) -> int:
    """Return how much a device looks like such a battery, from 0; see `match_score`."""
    return match_score(info.name, info.address, info.service_uuids)


class VlrvConfigFlow(BankSteps, ConfigFlow, domain=DOMAIN):
    """Add a battery or a bank."""

    VERSION = 1

    def __init__(self) -> None:
        """Initialize the flow without a device."""
        self._address = ""
        self._advertised = ""
        # The name on the screen, which is never empty.
        self._name = ""
        self._nearby: dict[str, BluetoothServiceInfoBleak] = {}
        self._result: ProbeResult | None = None
        self._probe_task: asyncio.Task[ProbeResult] | None = None
        self._error: VlrvError | None = None

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: VlrvConfigEntry) -> OptionsFlow:
        """Return the options flow of a battery or a bank."""
        return BankOptionsFlow() if is_bank(config_entry) else VlrvOptionsFlow()

    # --- discovery ------------------------------------------------------------------

    @override
    async def async_step_bluetooth(
        self, discovery_info: BluetoothServiceInfoBleak
    ) -> ConfigFlowResult:
        """Probe a discovered device, and show it to the user only if it is a battery."""
        await self.async_set_unique_id(discovery_info.address)
        self._abort_if_unique_id_configured()
        self._select_device(discovery_info.address, _advertised_name(discovery_info))
        try:
            # Discovery flows wait here, so that a user waits for one probe at most.
            queue = async_discovery_queue(self.hass)
            async with queue.take(async_failures(self.hass, self._address)):
                # The user may have added it meanwhile.
                self._abort_if_unique_id_configured()
                if len(self._async_in_progress()) >= MAX_OFFERED:
                    raise NotReachableError("too many devices are offered")
                self._result = await self._async_probe(
                    MAX_ATTEMPT_IN_FLOOD if queue.failures.is_flood else None
                )
        except VlrvError as err:
            if not isinstance(err, NotVlrvError):
                async_schedule_rediscovery(self.hass, self._address)
            return self.async_abort(
                reason=error_reason(self.hass, self._address, err),
                description_placeholders=self._failure_placeholders(err),
            )
        self._abort_if_unique_id_configured()
        return await self.async_step_confirm()

    # --- started by the user --------------------------------------------------------

    @override
    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the list of devices, or a menu if there are enough batteries for a bank."""
        if user_input is None and len(async_free_batteries(self.hass)) >= MIN_MEMBERS:
            return await self.async_step_add()
        return await self.async_step_battery(user_input)

    async def async_step_add(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show a menu with a battery and a bank."""
        return self.async_show_menu(step_id="add", menu_options=["battery", "bank"])

    async def async_step_battery(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the devices in range, likely batteries first."""
        if user_input is not None:
            address: str = user_input[CONF_ADDRESS]
            await self.async_set_unique_id(address, raise_on_progress=False)
            self._abort_if_unique_id_configured()
            info = self._nearby.get(address)
            self._select_device(address, "" if info is None else _advertised_name(info))
            return await self.async_step_probe()
        if not bluetooth.async_scanner_count(self.hass, connectable=True):
            return self.async_abort(reason="no_bluetooth")
        candidates = self._candidates()
        if not any(map(_match_score, candidates)):
            # A passive scan misses names that are only in the scan response.
            await bluetooth.async_request_active_scan(self.hass)
            candidates = self._candidates()
        if not candidates:
            return self.async_abort(reason="no_devices_found")
        errors = {}
        placeholders = {"name": self._name, "adapters": "", "detail": "", "error": ""}
        if (error := self._error) is not None:
            self._error = None
            errors["base"] = error_reason(self.hass, self._address, error)
            placeholders = self._failure_placeholders(error)
        return self.async_show_form(
            step_id="user",
            # Home Assistant replaces the voluptuous types at run time.
            data_schema=vol.Schema(  # type: ignore[arg-type]
                {
                    vol.Required(CONF_ADDRESS): SelectSelector(
                        SelectSelectorConfig(
                            options=[_option(info) for info in candidates],
                            mode=SelectSelectorMode.DROPDOWN,
                        )
                    )
                }
            ),
            errors=errors,
            description_placeholders=placeholders,
        )

    async def async_step_probe(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Probe the selected device behind a progress screen."""
        if self._probe_task is None:
            self._probe_task = self.hass.async_create_task(
                self._async_probe(), eager_start=False
            )
        if not self._probe_task.done():
            return self.async_show_progress(
                step_id="probe",
                progress_action="connecting",
                description_placeholders={"name": self._name},
                progress_task=self._probe_task,
            )
        task, self._probe_task = self._probe_task, None
        try:
            self._result = task.result()
        except VlrvError as err:
            self._error = err
            return self.async_show_progress_done(next_step_id="battery")
        return self.async_show_progress_done(next_step_id="confirm")

    # --- both -----------------------------------------------------------------------

    async def async_step_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the battery, and create its entry."""
        assert self._result is not None
        status, identity = self._result
        info = BatteryInfo.from_probe(self._advertised, status, identity)
        if user_input is not None:
            return self.async_create_entry(
                title=self._title(),
                data={CONF_ADDRESS: self._address, CONF_INFO: info.as_data()},
            )
        self._set_confirm_only()
        return self.async_show_form(
            step_id="confirm",
            description_placeholders={
                "name": self._title(),
                "model": plain_text(info.model),
                "state_of_charge": str(status.state_of_charge),
                "voltage": f"{status.voltage:.2f}",
            },
        )

    @callback
    def _select_device(self, address: str, name: str) -> None:
        """Set the device of this flow."""
        self._address = address
        self._advertised = name
        self._name = name or f"{DEFAULT_NAME} {_address_suffix(address)}"
        self.context["title_placeholders"] = {"name": self._name}

    def _title(self) -> str:
        """Return the name, with a number if another entry has the same title.

        Titles appear in logs and diagnostics, so they contain nothing of the address.
        """
        name = self._advertised or DEFAULT_NAME
        taken = {entry.title for entry in self._async_current_entries()}
        numbered = (f"{name} ({number})" for number in count(2))
        return next(title for title in chain((name,), numbered) if title not in taken)

    async def _async_probe(self, max_attempt: float | None = None) -> ProbeResult:
        """Read the device of this flow; raises VlrvError if it cannot be added.

        Connecting may take `max_attempt` s.
        """

        def find_device() -> BLEDevice | None:
            return bluetooth.async_ble_device_from_address(
                self.hass, self._address, True
            )

        with typed_errors("probing a device"):
            async with self.hass.data.setdefault(_PROBE_LOCK, asyncio.Lock()):
                slots = SlotMonitor(self.hass, self._address)
                # Batteries that were added come first.
                turns = async_turns(self.hass, slots.best_adapter())
                client = VlrvClient(self._title(), find_device)
                try:
                    async with turns.take(has_failed=False, is_new=True) as turn:
                        # In turn: another battery would take the slot. An attempt
                        # without one takes half a minute to fail.
                        await slots.wait_for_slot(lambda: True)
                        async with turn.attempt(max_attempt):
                            await client.connect()
                    # Outside: reading takes long on some boards, and needs no turn.
                    result = await probe(client)
                finally:
                    await client.disconnect()
            store_initial_reading(self.hass, self._address, result)
            if not self._advertised and (
                info := bluetooth.async_last_service_info(
                    self.hass, self._address, True
                )
            ):
                # The scan response with the name arrives after the advertisement.
                self._select_device(self._address, _advertised_name(info))
            async_forget_failures(self.hass, self._address)
            return result

    def _candidates(self) -> list[BluetoothServiceInfoBleak]:
        """Return connectable devices in range that have no entry, likely ones first.

        A device stays in the list of this flow when it goes out of range: the user may
        be about to switch it on again.
        """
        self._nearby |= {
            info.address: info
            for info in bluetooth.async_discovered_service_info(self.hass, True)
        }
        configured = self._async_current_ids(include_ignore=False)
        return sorted(
            (info for info in self._nearby.values() if info.address not in configured),
            key=lambda info: (
                _match_score(info),
                bool(_advertised_name(info)),
                info.rssi,
            ),
            reverse=True,
        )

    def _failure_placeholders(self, err: VlrvError) -> dict[str, str]:
        details = error_detail(self.hass, self._address, err)
        return {"name": self._name} | {
            key: plain_text(text, MAX_ADAPTERS_TEXT) for key, text in details.items()
        }


def _option(info: BluetoothServiceInfoBleak) -> SelectOptionDict:
    return SelectOptionDict(
        value=info.address,
        label=f"{_advertised_name(info) or '–'} ({info.address}, {info.rssi} dBm)",
    )
