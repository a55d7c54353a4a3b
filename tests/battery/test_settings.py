"""Module ID and protocols are sent once; the battery's confirmation counts."""

from __future__ import annotations

import asyncio

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import issue_registry as ir

from .settings_helpers import (
    GET_CAN,
    SET_CAN,
    STRINGS,
    WORDS,
    async_setup,
    check,
    in_other_hands,
    refused,
)
from custom_components.voltgo_vlrv.const import CONF_PENDING
from simulator.battery import CAN_PROTOCOLS, settings_frame
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL, battery
from tests.harness import SETTINGS

# --- Module ID ------------------------------------------------------------------------


async def test_module_id_change_is_shown_after_the_power_cycle(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Until then the old value is shown, and an issue names the setting and the value."""
    one = await async_setup(hass, bluetooth_env)
    assert one.shown("module_id", "select") == "1"
    assert one.options("module_id") == [str(number) for number in range(1, 17)]
    await one.select("module_id", "7")
    await hass.async_block_till_done()
    assert one.changes == [bytes.fromhex("10070107f577")]
    assert one.shown("module_id", "select") == "1"
    issue = one.issue
    assert issue is not None
    assert issue.translation_key == "power_cycle"
    assert issue.severity is ir.IssueSeverity.WARNING
    assert not issue.is_fixable
    assert one.pending == "- Module ID: 7"
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["name"] == one.pack.name
    text = STRINGS["issues"]["power_cycle"]["description"].format(
        **issue.translation_placeholders
    )
    assert one.pack.name in text
    assert "Module ID: 7" in text

    await asyncio.sleep(3 * POLL_INTERVAL)
    assert one.shown("module_id", "select") == "1"
    assert one.pending == "- Module ID: 7"

    await one.power_cycle()
    assert one.shown("module_id", "select") == "7"
    assert one.issue is None
    assert CONF_PENDING not in one.entry.data or not one.entry.data[CONF_PENDING]


@pytest.mark.parametrize("number", ["2", "9", "16"])
async def test_module_id_of_each_number_is_set(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, number: str
) -> None:
    """1-16, and back."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("module_id", number)
    await one.power_cycle()
    assert one.shown("module_id", "select") == number
    await one.select("module_id", "1")
    await one.power_cycle()
    assert one.shown("module_id", "select") == "1"
    assert one.issue is None


async def test_module_id_set_to_its_value_needs_no_power_cycle(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The battery confirms it, and there is nothing to wait for."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("module_id", "1")
    assert one.changes == [bytes.fromhex("100701017575")]
    assert one.issue is None


async def test_module_id_set_back_needs_no_power_cycle(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The last change counts."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("module_id", "7")
    assert one.pending == "- Module ID: 7"
    await one.select("module_id", "1")
    assert one.issue is None
    await one.power_cycle()
    assert one.shown("module_id", "select") == "1"


async def test_module_id_out_of_range_is_not_sent(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Home Assistant knows the options."""
    one = await async_setup(hass, bluetooth_env)
    for option in ("0", "17", "P05-VCT", ""):
        with pytest.raises(ServiceValidationError):
            await one.select("module_id", option)
    assert one.changes == []


# --- Protocols ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "brand", "frame"),
    [
        ("can_protocol", "Victron", "10060104e4b6"),
        ("can_protocol", "Studer", "1006010a6572"),
        ("rs485_protocol", "Luxpower", "10050101d4b5"),
        ("rs485_protocol", "Voltronic", "1005010414b6"),
    ],
)
async def test_protocol_is_set_by_its_brand(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    setting: str,
    brand: str,
    frame: str,
) -> None:
    """The options are the battery's own list, the value is its index there."""
    one = await async_setup(hass, bluetooth_env)
    assert one.shown(setting, "select") == "Growatt"
    await one.select(setting, brand)
    (sent,) = one.changes
    assert sent[:4] == bytes.fromhex(frame)[:4]
    assert sent == settings_frame(sent[1], sent[3:4])
    assert one.shown(setting, "select") == "Growatt"
    assert one.pending == f"- {WORDS[setting]}: {brand}"
    await one.power_cycle()
    assert one.shown(setting, "select") == brand
    assert one.issue is None


async def test_protocol_options_are_those_of_the_battery(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """In its order, by brand."""
    one = await async_setup(hass, bluetooth_env)
    assert one.options("can_protocol") == [
        "Growatt", "Sol-Ark", "Deye", "Megarevo", "Victron", "Luxpower", "SMA",
        "Inhenergy", "Solis", "Afore", "Studer",
    ]  # fmt: skip
    assert one.options("rs485_protocol") == [
        "Growatt", "Luxpower", "Schneider", "Inhenergy", "Voltronic",
    ]  # fmt: skip


async def test_changes_of_several_settings_create_one_issue(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """All wait for the same power cycle."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("can_protocol", "Victron")
    await one.select("rs485_protocol", "Luxpower")
    await one.select("module_id", "2")
    assert one.pending == (
        "- Inverter CAN protocol: Victron\n- Inverter RS485 protocol: Luxpower\n- Module ID: 2"
    )
    await one.power_cycle()
    assert one.issue is None
    assert one.shown("can_protocol", "select") == "Victron"
    assert one.shown("rs485_protocol", "select") == "Luxpower"
    assert one.shown("module_id", "select") == "2"


@pytest.mark.parametrize("setting", ["can_protocol", "rs485_protocol"])
async def test_protocol_with_another_module_id_than_1_is_refused(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, setting: str
) -> None:
    """Nothing is sent, not even a question."""
    one = await async_setup(hass, bluetooth_env, battery("idle", module_id=2))
    frames = len(one.sent())
    async with refused(
        one, "protocol_needs_module_id", setting, ServiceValidationError
    ):
        await one.select(setting, "Luxpower")
    assert len(one.sent()) == frames
    assert one.issue is None
    assert one.shown(setting, "select") == "Growatt"


async def test_protocol_with_a_pending_module_id_1_is_refused(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A pending module ID does not enable the protocols yet."""
    one = await async_setup(hass, bluetooth_env, battery("idle", module_id=2))
    await one.select("module_id", "1")
    async with refused(
        one, "protocol_needs_module_id", "can_protocol", ServiceValidationError
    ):
        await one.select("can_protocol", "Victron")
    await one.power_cycle()
    await one.select("can_protocol", "Victron")
    await one.power_cycle()
    assert one.shown("can_protocol", "select") == "Victron"


async def test_protocol_is_found_in_the_list_of_the_connection(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The app's firmware update may reorder it; an old index is another brand.

    An inverter that is told another protocol than its own charges the battery wrongly.
    """
    one = await async_setup(hass, bluetooth_env)
    await in_other_hands(one, can_protocols=tuple(reversed(CAN_PROTOCOLS)))
    await one.select("can_protocol", "Victron")
    (sent,) = one.changes
    assert one.pack.settings.can_protocols[sent[3]] == "P05-VCT"
    assert one.pending == "- Inverter CAN protocol: Victron"
    await one.power_cycle()
    assert one.shown("can_protocol", "select") == "Victron"
    assert one.issue is None


async def test_protocol_missing_in_the_list_of_the_connection_is_not_sent(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Though it can still be selected."""
    one = await async_setup(hass, bluetooth_env)
    await in_other_hands(one, can_protocols=("P01-GRW", "P02-SLK"))
    assert "Victron" in one.options("can_protocol")
    async with refused(
        one, "protocol_not_offered", "can_protocol", ServiceValidationError
    ):
        await one.select("can_protocol", "Victron")
    assert one.changes == []
    await one.wait_connected()
    assert one.options("can_protocol") == ["Growatt", "Sol-Ark"]


@pytest.mark.parametrize(("before", "now"), [(2, 1), (1, 2)])
async def test_protocol_uses_the_module_id_of_the_connection(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, before: int, now: int
) -> None:
    """The app may have set it meanwhile, either way."""
    one = await async_setup(hass, bluetooth_env, battery("idle", module_id=before))
    await in_other_hands(one, module_id=now)
    assert one.shown("module_id", "select") == str(before)
    if now == 1:
        await one.select("can_protocol", "Victron")
        assert one.pending == "- Inverter CAN protocol: Victron"
    else:
        async with refused(
            one, "protocol_needs_module_id", "can_protocol", ServiceValidationError
        ):
            await one.select("can_protocol", "Victron")
        assert one.changes == []


async def test_settings_before_they_are_read_again_show_the_known_ones(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """They do not count for a change, but are better than none."""
    one = await async_setup(hass, bluetooth_env)
    reads = one.gets[GET_CAN]
    await in_other_hands(one, can_index=4)
    assert one.gets[GET_CAN] == reads
    assert one.shown("can_protocol", "select") == "Growatt"
    await one.wait_connected()
    assert one.gets[GET_CAN] == reads + 1
    assert one.shown("can_protocol", "select") == "Victron"


async def test_protocol_with_a_list_changed_during_the_write_fails(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The read-back names another brand at the index that was sent."""
    one = await async_setup(hass, bluetooth_env)
    answer = one.pack.answer_setting

    def reorder(function: int, data: bytes) -> bytes | None:
        reply = answer(function, data)
        if function == SET_CAN:
            one.pack.settings.can_protocols = tuple(reversed(CAN_PROTOCOLS))
        return reply

    monkeypatch.setattr(one.pack, "answer_setting", reorder)
    async with refused(one, "change_not_confirmed", "can_protocol"):
        await one.select("can_protocol", "Victron")
    assert len(one.changes) == 1
    assert one.issue is None


async def test_protocol_pending_is_confirmed_by_its_brand_only(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Not by another one that has its index in a newer list."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("can_protocol", "Victron")
    one.pack.settings.can_protocols = tuple(reversed(CAN_PROTOCOLS))
    await one.power_cycle()
    assert one.shown("can_protocol", "select") == "SMA"
    issue = one.issue
    assert issue is not None
    assert issue.translation_key == "power_cycle_without_effect"
    assert one.pending == "- Inverter CAN protocol: Victron"


async def test_protocol_without_a_list_is_not_sent(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A board that has lost its list still has the options it once reported."""
    one = await async_setup(hass, bluetooth_env)
    one.pack.settings.can_protocols = ()
    await one.power_cycle()
    assert "Victron" in one.options("can_protocol")
    async with refused(
        one, "protocol_not_offered", "can_protocol", ServiceValidationError
    ):
        await one.select("can_protocol", "Victron")
    assert one.changes == []


@pytest.mark.parametrize("setting", ["can_protocol", "rs485_protocol"])
async def test_change_refused_by_the_battery_shows_the_code(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, setting: str
) -> None:
    """The value stays, and nothing is pending."""
    one = await async_setup(hass, bluetooth_env)
    one.pack.settings.module_id = 2  # not read yet
    with pytest.raises(HomeAssistantError) as caught:
        await one.select(setting, "Luxpower")
    check(one, caught.value, "change_refused", setting)
    assert "code 1" in str(caught.value)
    assert len(one.changes) == 1
    assert one.issue is None
    assert one.shown(setting, "select") == "Growatt"
    assert not one.entry.data.get(CONF_PENDING)


async def test_change_refused_with_an_unknown_code_shows_the_code(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A newer firmware may have further codes."""
    one = await async_setup(hass, bluetooth_env)
    monkeypatch.setattr(
        one.pack.settings,
        "_accept",
        lambda *_args, **_kwargs: bytes((0x2A,)),
        raising=True,
    )
    with pytest.raises(HomeAssistantError) as caught:
        await one.select("module_id", "3")
    check(one, caught.value, "change_refused", "module_id")
    assert "code 42" in str(caught.value)
    assert one.issue is None


async def test_change_confirmed_by_an_identical_frame_succeeds(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """`10 06 01 00 crc` both ways: an answer confirms, what was written does not."""
    one = await async_setup(hass, bluetooth_env, battery("idle", can_index=4))
    assert one.shown("can_protocol", "select") == "Victron"
    one.peripheral.faults.drop = 1
    async with refused(one, "change_not_confirmed", "can_protocol"):
        await one.select("can_protocol", "Growatt")
    assert one.issue is None
    one.pack.power_cycle()
    one.pack.settings.can_index = 4

    one.peripheral.notifications.clear()
    await one.select("can_protocol", "Growatt")
    twin = bytes.fromhex("10060100e575")
    assert one.changes == [twin, twin]
    assert [
        note.data
        for note in one.peripheral.notifications
        if note.data[:2] == bytes((SETTINGS, SET_CAN))
    ] == [twin]
    assert one.pending == "- Inverter CAN protocol: Growatt"
    await one.power_cycle()
    assert one.shown("can_protocol", "select") == "Growatt"
