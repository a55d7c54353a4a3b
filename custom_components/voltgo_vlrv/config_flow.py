"""Adding a battery: by discovery, or by hand from what is nearby; or a bank of them.

Only a device that proves itself over GATT and answers a status read becomes an entry.
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
from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later
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
from .connection.errors import error_detail, error_reason
from .const import CONF_FACTS, DOMAIN
from .data import VlrvConfigEntry
from .entries import MIN_MEMBERS, async_free_batteries, is_bank
from .localization import MAX_ADAPTERS_TEXT, plain_text
from .options_flow import VlrvOptionsFlow
from .vlrv.client import VlrvClient
from .vlrv.discovery import match_score
from .vlrv.errors import NotVlrvError, VlrvError
from .vlrv.probe import ProbeResult, probe

# A discovery that failed for a passing reason is offered again after this many
# seconds, doubled each time: an owner's phone may hold the battery all evening.
REDISCOVER_FIRST: Final = 60.0
REDISCOVER_DOUBLINGS: Final = 6  # to about an hour

# What one advertisement can hold.
LONGEST_NAME: Final = 29
NAMELESS: Final = "VLRV"

_FAILURES: HassKey[dict[str, int]] = HassKey(f"{DOMAIN}_failed_proofs")
# How to call off the next offer, by address.
_OFFERS: HassKey[dict[str, CALLBACK_TYPE]] = HassKey(f"{DOMAIN}_next_offers")
# One proof at a time: it takes a connection slot, and a proxy has three.
_PROVING: HassKey[asyncio.Lock] = HassKey(f"{DOMAIN}_proving")
# What was discovered queues up behind this: a person waits for one proof at the most.
_DISCOVERED: HassKey[asyncio.Lock] = HassKey(f"{DOMAIN}_discovered")


def _name(info: BluetoothServiceInfoBleak) -> str:
    """Return the name on the air, empty when there is none.

    Anybody can advertise anything, and it ends up in texts with markup.
    """
    if info.name == info.address:
        return ""
    return plain_text(info.name, LONGEST_NAME)


def _last_four(address: str) -> str:
    """Return what tells two batteries apart on the screen."""
    return address[-5:].replace(":", "")


def _likeliness(info: BluetoothServiceInfoBleak) -> int:
    """Return how much a device looks like such a battery, from 0; only for sorting."""
    return match_score(info.name, info.address, info.service_uuids)


class VlrvConfigFlow(BankSteps, ConfigFlow, domain=DOMAIN):
    """Adds one battery, or a bank of those that are there."""

    VERSION = 1

    def __init__(self) -> None:
        """Start without a battery."""
        self._address = ""
        self._advertised = ""
        # What the screen calls it.
        self._name = ""
        self._nearby: dict[str, BluetoothServiceInfoBleak] = {}
        self._proof: ProbeResult | None = None
        self._proving: asyncio.Task[ProbeResult] | None = None
        self._error: VlrvError | None = None

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: VlrvConfigEntry) -> OptionsFlow:
        """Return what "Configure" opens."""
        return BankOptionsFlow() if is_bank(config_entry) else VlrvOptionsFlow()

    # --- discovered -----------------------------------------------------------------

    @override
    async def async_step_bluetooth(
        self, discovery_info: BluetoothServiceInfoBleak
    ) -> ConfigFlowResult:
        """Prove a device that advertises like a battery, before anybody is bothered."""
        await self.async_set_unique_id(discovery_info.address)
        self._abort_if_unique_id_configured()
        self._choose(discovery_info.address, _name(discovery_info))
        try:
            async with self.hass.data.setdefault(_DISCOVERED, asyncio.Lock()):
                # While it waited here, it may have been added by hand.
                self._abort_if_unique_id_configured()
                self._proof = await self._prove()
        except VlrvError as err:
            if not isinstance(err, NotVlrvError):
                _offer_again_later(self.hass, self._address)
            return self.async_abort(
                reason=error_reason(self.hass, self._address, err),
                description_placeholders=self._failure_placeholders(err),
            )
        self._abort_if_unique_id_configured()
        return await self.async_step_confirm()

    # --- by hand --------------------------------------------------------------------

    @override
    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for a battery at once, unless there are enough of them for a bank."""
        if user_input is None and len(async_free_batteries(self.hass)) >= MIN_MEMBERS:
            return await self.async_step_add()
        return await self.async_step_battery(user_input)

    async def async_step_add(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the owner choose between a battery and a bank."""
        return self.async_show_menu(step_id="add", menu_options=["battery", "bank"])

    async def async_step_battery(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the owner pick from what is nearby, the likely ones first."""
        if user_input is not None:
            address: str = user_input[CONF_ADDRESS]
            await self.async_set_unique_id(address, raise_on_progress=False)
            self._abort_if_unique_id_configured()
            info = self._nearby.get(address)
            self._choose(address, "" if info is None else _name(info))
            return await self.async_step_prove()
        if not bluetooth.async_scanner_count(self.hass, connectable=True):
            return self.async_abort(reason="no_bluetooth")
        candidates = self._candidates()
        if not any(map(_likeliness, candidates)):
            # Adapters that listen passively learn some names only when they ask.
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
            # At run time Home Assistant has its own engine behind this name.
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

    async def async_step_prove(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Connect to the picked device, while the screen says so."""
        if self._proving is None:
            self._proving = self.hass.async_create_task(
                self._prove(), eager_start=False
            )
        if not self._proving.done():
            return self.async_show_progress(
                step_id="prove",
                progress_action="connecting",
                description_placeholders={"name": self._name},
                progress_task=self._proving,
            )
        proving, self._proving = self._proving, None
        try:
            self._proof = proving.result()
        except VlrvError as err:
            self._error = err
            return self.async_show_progress_done(next_step_id="battery")
        return self.async_show_progress_done(next_step_id="confirm")

    # --- both -----------------------------------------------------------------------

    async def async_step_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show what was found, and add it."""
        assert self._proof is not None
        status, identity = self._proof
        facts = BatteryInfo.from_proof(self._advertised, status, identity)
        if user_input is not None:
            return self.async_create_entry(
                title=self._title(),
                data={CONF_ADDRESS: self._address, CONF_FACTS: facts.as_data()},
            )
        self._set_confirm_only()
        return self.async_show_form(
            step_id="confirm",
            description_placeholders={
                "name": self._title(),
                "model": plain_text(facts.model),
                "state_of_charge": str(status.state_of_charge),
                "voltage": f"{status.voltage:.2f}",
            },
        )

    @callback
    def _choose(self, address: str, name: str) -> None:
        """Note which device this flow is about."""
        self._address = address
        self._advertised = name
        self._name = name or f"{NAMELESS} {_last_four(address)}"
        self.context["title_placeholders"] = {"name": self._name}

    def _title(self) -> str:
        """Return the name, with a number where another battery has the same.

        It stands in logs and downloads, so it tells nothing of the address.
        """
        name = self._advertised or NAMELESS
        taken = {entry.title for entry in self._async_current_entries()}
        numbered = (f"{name} ({number})" for number in count(2))
        return next(title for title in chain((name,), numbered) if title not in taken)

    async def _prove(self) -> ProbeResult:
        def find_device() -> BLEDevice | None:
            return bluetooth.async_ble_device_from_address(
                self.hass, self._address, True
            )

        async with self.hass.data.setdefault(_PROVING, asyncio.Lock()):
            proof = await probe(VlrvClient(self._title(), find_device))
        store_initial_reading(self.hass, self._address, proof)
        if not self._advertised and (
            info := bluetooth.async_last_service_info(self.hass, self._address, True)
        ):
            # A scan response with the name comes after the advertisement without it.
            self._choose(self._address, _name(info))
        self.hass.data.get(_FAILURES, {}).pop(self._address, None)
        return proof

    def _candidates(self) -> list[BluetoothServiceInfoBleak]:
        """Return what is connectable, nearby and not added yet, likely ones first.

        What was offered once stays: the owner may be about to switch it on again.
        """
        self._nearby |= {
            info.address: info
            for info in bluetooth.async_discovered_service_info(self.hass, True)
        }
        configured = self._async_current_ids(include_ignore=False)
        return sorted(
            (info for info in self._nearby.values() if info.address not in configured),
            key=lambda info: (_likeliness(info), bool(_name(info)), info.rssi),
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
        label=f"{_name(info) or '–'} ({info.address}, {info.rssi} dBm)",
    )


@callback
def _offer_again_later(hass: HomeAssistant, address: str) -> None:
    """Have Home Assistant discover the address once more, later each time.

    One that comes and goes is discovered in between, too: only the last failure counts,
    or each visit would begin a row of offers of its own.
    """
    offers = hass.data.setdefault(_OFFERS, {})
    if (call_off := offers.pop(address, None)) is not None:
        call_off()
    failures = hass.data.setdefault(_FAILURES, {})
    count = failures.get(address, 0)
    failures[address] = count + 1

    @callback
    def rediscover(_now: Any) -> None:
        offers.pop(address, None)
        bluetooth.async_rediscover_address(hass, address)

    offers[address] = async_call_later(
        hass,
        REDISCOVER_FIRST * 2 ** min(count, REDISCOVER_DOUBLINGS),
        HassJob(rediscover, "rediscover a battery", cancel_on_shutdown=True),
    )
