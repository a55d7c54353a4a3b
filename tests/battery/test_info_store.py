"""What is stored about a battery, and what its device shows; no radio."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr

from custom_components.voltgo_vlrv.battery.change_budget import MAX_CHANGES
from custom_components.voltgo_vlrv.battery.info import BatteryInfo
from custom_components.voltgo_vlrv.battery.info_store import (
    InfoStore,
    OtherBatteryError,
)
from custom_components.voltgo_vlrv.const import CONF_INFO, DOMAIN
from custom_components.voltgo_vlrv.vlrv.identity import Identity
from tests.common import issues
from tests.vlrv.samples import status

ADDRESS = "A4:C1:37:00:00:01"
INFO = BatteryInfo.from_probe(
    "ZT-25.6V100Ah-1238", status(), Identity("TC-8S100", "Z01T20", "SN-1")
)
OTHER = Identity("TC-8S100", "Z01T20", "SN-2")


class Stored:
    """The information about one battery, and how often it was told to have changed."""

    def __init__(self, hass: HomeAssistant, info: BatteryInfo = INFO) -> None:
        """Store it in an entry."""
        self.entry = MockConfigEntry(
            domain=DOMAIN,
            title="House",
            unique_id=ADDRESS,
            data={"address": ADDRESS, "other": 1, CONF_INFO: info.as_data()},
        )
        self.entry.add_to_hass(hass)
        self.changes = 0
        self.store = InfoStore(hass, self.entry, self._count)

    def _count(self) -> None:
        self.changes += 1

    @property
    def info(self) -> BatteryInfo:
        """Return what the entry holds."""
        return BatteryInfo.from_data(self.entry.data[CONF_INFO])


def test_device_of_a_battery_shows_all_that_is_known(hass: HomeAssistant) -> None:
    """Under the name that the user sees."""
    assert Stored(hass).store.device_info == {
        "identifiers": {(DOMAIN, ADDRESS)},
        "connections": {("bluetooth", ADDRESS)},
        "name": "House",
        "manufacturer": "Voltgo",
        "model": "VLRV2560B",
        "model_id": "TC-8S100",
        "serial_number": "SN-1",
        "sw_version": "Z01T20",
    }


@pytest.mark.parametrize("serial", ["", "2024-01-11"])
def test_device_of_a_battery_without_an_identity_leaves_it_out(
    hass: HomeAssistant, serial: str
) -> None:
    """A date of production is no serial number."""
    plain = replace(INFO, board="", firmware="", serial=serial)
    info = Stored(hass, plain).store.device_info
    assert info["model_id"] is info["serial_number"] is info["sw_version"] is None


def test_information_that_is_new_is_stored_and_shown(hass: HomeAssistant) -> None:
    """Once; the other data of the entry stays."""
    stored = Stored(hass)
    registry = dr.async_get(hass)
    device = registry.async_get_or_create(
        config_entry_id=stored.entry.entry_id, **stored.store.device_info
    )
    stored.store.update(replace(INFO))
    assert stored.changes == 0
    new = replace(INFO, board="TC-8S200", firmware="Z01T21", serial="SN-3")
    for _ in range(2):
        stored.store.update(new)
        assert (stored.changes, stored.store.info, stored.info) == (1, new, new)
    assert stored.entry.data["other"] == 1
    found = registry.async_get(device.id)
    assert found is not None
    shown = (found.model, found.model_id, found.serial_number, found.sw_version)
    assert shown == ("VLRV2560B", "TC-8S200", "SN-3", "Z01T21")
    stored.store.update(replace(new, board="", firmware="", serial="2024-01-11"))
    found = registry.async_get(device.id)
    assert found is not None
    shown = (found.model, found.model_id, found.serial_number, found.sw_version)
    assert shown == ("VLRV2560B", None, None, None)


def test_information_that_changes_too_often_is_stored_for_the_user_only(
    hass: HomeAssistant,
) -> None:
    """A battery with another identity each time wears out no memory card."""
    stored = Stored(hass)
    for number in range(MAX_CHANGES + 5):
        stored.store.update(replace(INFO, serial=f"SN{number}"))
    assert stored.changes == MAX_CHANGES
    assert stored.info.serial == f"SN{MAX_CHANGES - 1}"
    stored.store.update(INFO, by_user=True)
    assert (stored.changes, stored.info) == (MAX_CHANGES + 1, INFO)


def placeholders(hass: HomeAssistant) -> dict[str, str] | None:
    """Return those of the repair issue about another battery, None without it."""
    found = issues(hass, "other_battery")
    return dict(found[0].translation_placeholders or {}) if found else None


@pytest.mark.parametrize("by", ["status", "identity"])
def test_other_battery_is_refused_until_the_known_one_is_back(
    hass: HomeAssistant, by: str
) -> None:
    """By its values or its serial number."""
    stored = Stored(hass)
    store = stored.store

    def check(is_other: bool) -> None:
        if by == "status":
            store.check_status(status(full_capacity=200.0 if is_other else 100.0))
        else:
            store.check_identity(OTHER if is_other else replace(OTHER, serial="SN-1"))

    store.check_status(status())
    check(False)
    assert not store.has_other_battery
    assert store.other_battery() is placeholders(hass) is None
    for _ in range(2):
        with pytest.raises(OtherBatteryError) as raised:
            check(True)
        assert raised.value.reasons == ("other_battery",)
        assert store.has_other_battery
        shown = placeholders(hass)
        assert shown is not None
        found = "8S, 200 Ah" if by == "status" else "8S, 100 Ah, SN-2"
        assert set(shown.values()) == {"House", "8S, 100 Ah, SN-1", found}
    assert stored.changes == 0
    check(False)
    assert not store.has_other_battery
    assert placeholders(hass) is None


def test_other_battery_by_its_serial_number_alone_is_told_with_its_values(
    hass: HomeAssistant,
) -> None:
    """Without a sample there is nothing to compare."""
    store = Stored(hass).store
    with pytest.raises(OtherBatteryError):
        store.check_identity(OTHER)
    assert store.other_battery() is placeholders(hass) is None
    with pytest.raises(OtherBatteryError):
        store.check_status(status())
    other = store.other_battery()
    assert other is not None
    assert (other.name, other.serial) == (INFO.name, "SN-2")
    assert placeholders(hass) is not None


def test_other_battery_that_the_user_accepts_is_the_known_one(
    hass: HomeAssistant,
) -> None:
    """Its capacity and its serial number; what it was called stays."""
    stored = Stored(hass)
    with pytest.raises(OtherBatteryError):
        stored.store.check_status(status(full_capacity=200.0))
    with pytest.raises(OtherBatteryError):
        stored.store.check_identity(OTHER)
    stored.store.accept_other()
    assert stored.info == replace(INFO, full_capacity=200.0, serial="SN-2")
    assert placeholders(hass) is None
    stored.store.check_status(status(full_capacity=200.0))
    stored.store.check_identity(OTHER)
    assert not stored.store.has_other_battery
    with pytest.raises(OtherBatteryError):
        stored.store.check_status(status(cell_voltages=(3.3,) * 4))
    stored.store.accept_other()
    assert stored.info.cell_count == 4


def test_notice_of_other_batteries_is_changed_seldom(hass: HomeAssistant) -> None:
    """A battery that says something else each time fills no registry."""
    store = Stored(hass).store
    seen: set[Any] = set()
    for number in range(MAX_CHANGES + 5):
        with pytest.raises(OtherBatteryError):
            store.check_status(status(full_capacity=200.0 + number))
        seen.add(str(placeholders(hass)))
    assert len(seen) == MAX_CHANGES
    store.check_status(status())
    assert placeholders(hass) is None
