"""Stores what is known of a battery in its config entry and in the device registry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_ADDRESS
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import CONNECTION_BLUETOOTH, DeviceInfo

from ..connection.errors import OtherBatteryError
from ..const import CONF_INFO, DOMAIN
from ..issues import async_update_other_battery_issue
from ..vlrv.identity import Identity
from ..vlrv.registers import BatteryStatus
from .change_budget import ChangeBudget
from .identity_check import has_other_serial, is_proof, is_same_battery
from .info import BatteryInfo


class InfoStore:
    """Holds the information about one battery, and stores what is new."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        on_change: CALLBACK_TYPE,
    ) -> None:
        """Read the entry's data; `on_change` is called after each change."""
        self._hass = hass
        self._entry = entry
        self._on_change = on_change
        self.info = BatteryInfo.from_data(entry.data.get(CONF_INFO))
        # What another battery under the same address has reported.
        self._other_status: BatteryStatus | None = None
        self._device: tuple[BatteryInfo, str, DeviceInfo] | None = None
        self._other_identity: Identity | None = None
        self._last_status: BatteryStatus | None = None
        self._reported: tuple[str, str] | None = None
        self._budget = ChangeBudget()
        self._issue_budget = ChangeBudget()

    @property
    def device_info(self) -> DeviceInfo:
        """Return the battery's device for the device registry.

        Each of its entities asks for it, so it is made once.
        """
        info, name = self.info, self._entry.title
        if self._device is None or self._device[:2] != (info, name):
            address = self._entry.data[CONF_ADDRESS]
            device = DeviceInfo(
                identifiers={(DOMAIN, address)},
                connections={(CONNECTION_BLUETOOTH, address)},
                name=name,
                manufacturer=info.manufacturer,
                model=info.model,
                model_id=info.board or None,
                serial_number=self._serial_number,
                sw_version=info.firmware or None,
            )
            self._device = (info, name, device)
        return self._device[2]

    @property
    def _serial_number(self) -> str | None:
        """Return the serial number, None where it is the date of production."""
        return self.info.serial if is_proof(self.info.serial) else None

    # --- another battery under the known address --------------------------------------

    @callback
    def check_status(self, status: BatteryStatus) -> None:
        """Raise OtherBatteryError if a sample is not of the known battery.

        It is not stored, and a repair issue asks the user about it.
        """
        self._last_status = status
        same = is_same_battery(self.info, status)
        self._other_status = None if same else status
        self._update_other_issue()
        if self.has_other_battery:
            raise OtherBatteryError

    @callback
    def check_identity(self, identity: Identity) -> None:
        """Raise OtherBatteryError if an identity is not of the known battery."""
        other = has_other_serial(self.info, identity)
        self._other_identity = identity if other else None
        self._update_other_issue()
        if self.has_other_battery:
            raise OtherBatteryError

    @property
    def has_other_battery(self) -> bool:
        """Return whether another battery was found under the known address."""
        return self._other_status is not None or self._other_identity is not None

    def other_battery(self) -> BatteryInfo | None:
        """Return the information about the other battery, None without a sample of it."""
        if not self.has_other_battery or (status := self._last_status) is None:
            return None
        return BatteryInfo.from_probe(self.info.name, status, self._other_identity)

    @callback
    def accept_other(self) -> None:
        """Store what differs: the user says that it is the same battery."""
        info = self.info
        if (status := self._other_status) is not None:
            info = replace(
                info, cell_count=status.cell_count, full_capacity=status.full_capacity
            )
        if (identity := self._other_identity) is not None:
            info = info.with_identity(identity)
        self._other_status = self._other_identity = None
        self._update_other_issue()
        self.update(info, by_user=True)

    def _update_other_issue(self) -> None:
        found = self.other_battery()
        issue = None if found is None else (self.info.summary, found.summary)
        if issue == self._reported:
            return
        if issue is None or self._issue_budget.take(self._hass.loop.time()):
            self._reported = issue
            async_update_other_battery_issue(self._hass, self._entry, issue)

    # --- what is new ------------------------------------------------------------------

    @callback
    def update(self, info: BatteryInfo, *, by_user: bool = False) -> None:
        """Store changed information in the entry and in the device registry.

        Ignored from a battery that reports something new too often.
        """
        if info == self.info:
            return
        if not by_user and not self._budget.take(self._hass.loop.time()):
            return
        self.info = info
        self._hass.config_entries.async_update_entry(
            self._entry, data={**self._entry.data, CONF_INFO: info.as_data()}
        )
        registry = dr.async_get(self._hass)
        for device in dr.async_entries_for_config_entry(registry, self._entry.entry_id):
            registry.async_update_device(
                device.id,
                model=info.model,
                model_id=info.board or None,
                serial_number=self._serial_number,
                sw_version=info.firmware or None,
            )
        self._on_change()
