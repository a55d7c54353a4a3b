"""Every setting is sent once; done is what the battery confirms, and only that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import pairwise
import json
from pathlib import Path
from typing import Any, Final

import pytest

from homeassistant.const import EVENT_HOMEASSISTANT_STOP, EVENT_STATE_CHANGED
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)

from custom_components.voltgo_vlrv.const import CONF_PENDING, DOMAIN
from simulator.battery import CAN_PROTOCOLS, SimulatedBattery, settings_frame
from simulator.faults import FOREVER
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import (
    POLL_INTERVAL,
    battery,
    device_of,
    enable_all,
    entity_id,
    hold_by_other_device,
    set_options,
    value,
    wait_until,
)
from tests.harness import GET_FUNCTIONS, SETTINGS, BatteryHarness, async_setup_battery
from tests.vlrv.captures import capture, needs_captures

SPACING = 0.15  # s; the least between two frames
SET_RS485, SET_CAN, SET_MODULE_ID, SET_NAME, SET_HEATER = 0x05, 0x06, 0x07, 0x09, 0x0A
GET_MODULE_ID, GET_RS485, GET_CAN = GET_FUNCTIONS

STRINGS: Final = json.loads(
    (Path(__file__).parents[2] / "custom_components" / DOMAIN / "strings.json")
    .read_text()
)  # fmt: skip
WORDS: Final = STRINGS["selector"]["setting"]["options"]


async def async_setup(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    pack: SimulatedBattery | None = None,
    **options: Any,
) -> BatteryHarness:
    """Return a discovered battery whose settings have been read."""
    pack = pack or battery("idle", module_id=1)
    return await async_setup_battery(hass, bluetooth_env, pack, settle=5.0, **options)


@asynccontextmanager
async def refused(
    one: BatteryHarness,
    key: str,
    setting: str | None = None,
    kind: type[HomeAssistantError] = HomeAssistantError,
) -> AsyncGenerator[None]:
    """Expect an error whose text names the battery and the setting."""
    with pytest.raises(kind) as caught:
        yield
    assert type(caught.value) is kind
    check(one, caught.value, key, setting)


def check(
    one: BatteryHarness,
    error: BaseException | None,
    key: str,
    setting: str | None = None,
) -> None:
    """Check that an error is translated and tells what it is about."""
    assert isinstance(error, HomeAssistantError)
    assert error.translation_domain == DOMAIN
    assert error.translation_key == key
    template = STRINGS["exceptions"][key]["message"]
    text = template.format(**(error.translation_placeholders or {}))
    # Home Assistant leaves the last full stop out.
    assert str(error) == text.removesuffix(".")
    assert one.pack.name in text or one.entry.title in text
    assert "{" not in text
    if setting is not None:
        assert WORDS[setting] in text


# Module ID


async def test_a_module_id_is_confirmed_and_shown_after_the_power_cycle(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Until then the old value stands, and a notice names the setting and the value."""
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
async def test_every_module_id_gets_through(
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


async def test_the_value_that_is_there_already_needs_no_power_cycle(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The battery confirms it, and there is nothing to wait for."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("module_id", "1")
    assert one.changes == [bytes.fromhex("100701017575")]
    assert one.issue is None


async def test_a_change_that_is_taken_back_needs_no_power_cycle(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The last word counts."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("module_id", "7")
    assert one.pending == "- Module ID: 7"
    await one.select("module_id", "1")
    assert one.issue is None
    await one.power_cycle()
    assert one.shown("module_id", "select") == "1"


async def test_what_is_no_module_id_is_never_sent(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Home Assistant knows the options."""
    one = await async_setup(hass, bluetooth_env)
    for option in ("0", "17", "P05-VCT", ""):
        with pytest.raises(ServiceValidationError):
            await one.select("module_id", option)
    assert one.changes == []


# Protocols


@pytest.mark.parametrize(
    ("setting", "brand", "frame"),
    [
        ("can_protocol", "Victron", "10060104e4b6"),
        ("can_protocol", "Studer", "1006010a6572"),
        ("rs485_protocol", "Luxpower", "10050101d4b5"),
        ("rs485_protocol", "Voltronic", "1005010414b6"),
    ],
)
async def test_a_protocol_is_set_by_its_brand(
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


async def test_the_options_are_what_the_battery_offers(
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


async def test_several_changes_wait_for_one_power_cycle(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """One notice for the battery, with all of them."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("can_protocol", "Victron")
    await one.select("rs485_protocol", "Luxpower")
    await one.select("module_id", "2")
    assert one.pending == (
        "- CAN protocol: Victron\n- RS485 protocol: Luxpower\n- Module ID: 2"
    )
    await one.power_cycle()
    assert one.issue is None
    assert one.shown("can_protocol", "select") == "Victron"
    assert one.shown("rs485_protocol", "select") == "Luxpower"
    assert one.shown("module_id", "select") == "2"


@pytest.mark.parametrize("setting", ["can_protocol", "rs485_protocol"])
async def test_a_protocol_is_refused_with_an_explanation_unless_the_module_id_is_1(
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


async def test_the_module_id_that_counts_is_the_one_in_effect(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """One that waits for its power cycle does not open the protocols yet."""
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


async def in_other_hands(one: BatteryHarness, **changed: Any) -> None:
    """Let the phone app have the battery, and take it back when it was changed."""
    await one.act("switch", "turn_off", "bluetooth_connection")
    for attribute, new in changed.items():
        setattr(one.pack.settings, attribute, new)
    await asyncio.sleep(120)
    await one.act("switch", "turn_on", "bluetooth_connection")


async def test_a_protocol_is_found_in_the_list_of_this_connection(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The app's firmware update sorts it anew; a place in the old one is another brand.

    An inverter that is told another protocol than its own charges the battery wrongly.
    """
    one = await async_setup(hass, bluetooth_env)
    await in_other_hands(one, can_protocols=tuple(reversed(CAN_PROTOCOLS)))
    await one.select("can_protocol", "Victron")
    (sent,) = one.changes
    assert one.pack.settings.can_protocols[sent[3]] == "P05-VCT"
    assert one.pending == "- CAN protocol: Victron"
    await one.power_cycle()
    assert one.shown("can_protocol", "select") == "Victron"
    assert one.issue is None


async def test_a_brand_that_the_list_of_this_connection_lacks_is_not_sent(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Though it can still be chosen on the screen."""
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
async def test_the_module_id_that_counts_is_that_of_this_connection(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, before: int, now: int
) -> None:
    """The app may have set it meanwhile, either way."""
    one = await async_setup(hass, bluetooth_env, battery("idle", module_id=before))
    await in_other_hands(one, module_id=now)
    assert one.shown("module_id", "select") == str(before)
    if now == 1:
        await one.select("can_protocol", "Victron")
        assert one.pending == "- CAN protocol: Victron"
    else:
        async with refused(
            one, "protocol_needs_module_id", "can_protocol", ServiceValidationError
        ):
            await one.select("can_protocol", "Victron")
        assert one.changes == []


async def test_what_was_known_is_shown_until_it_is_read_again(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It does not count for a change, but it is better than nothing."""
    one = await async_setup(hass, bluetooth_env)
    reads = one.gets[GET_CAN]
    await in_other_hands(one, can_index=4)
    assert one.gets[GET_CAN] == reads
    assert one.shown("can_protocol", "select") == "Growatt"
    await one.wait_connected()
    assert one.gets[GET_CAN] == reads + 1
    assert one.shown("can_protocol", "select") == "Victron"


async def test_a_list_that_changes_under_the_write_is_no_success(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is read back names another brand at the place that was sent."""
    one = await async_setup(hass, bluetooth_env)
    answer = one.pack.answer_setting

    def sort_anew(function: int, data: bytes) -> bytes | None:
        reply = answer(function, data)
        if function == SET_CAN:
            one.pack.settings.can_protocols = tuple(reversed(CAN_PROTOCOLS))
        return reply

    monkeypatch.setattr(one.pack, "answer_setting", sort_anew)
    async with refused(one, "change_not_confirmed", "can_protocol"):
        await one.select("can_protocol", "Victron")
    assert len(one.changes) == 1
    assert one.issue is None


async def test_a_pending_protocol_is_met_by_its_brand_alone(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Not by another one that has its place in a newer list."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("can_protocol", "Victron")
    one.pack.settings.can_protocols = tuple(reversed(CAN_PROTOCOLS))
    await one.power_cycle()
    assert one.shown("can_protocol", "select") == "SMA"
    issue = one.issue
    assert issue is not None
    assert issue.translation_key == "power_cycle_without_effect"
    assert one.pending == "- CAN protocol: Victron"


async def test_a_protocol_that_is_not_offered_any_more_is_not_sent(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A board that has lost its list still has the choices it once told of."""
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
async def test_a_refusal_of_the_battery_is_told_with_its_code(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, setting: str
) -> None:
    """The value stays, and nothing is pending."""
    one = await async_setup(hass, bluetooth_env)
    one.pack.settings.module_id = 2  # which nobody has told us
    with pytest.raises(HomeAssistantError) as caught:
        await one.select(setting, "Luxpower")
    check(one, caught.value, "change_refused", setting)
    assert "code 1" in str(caught.value)
    assert len(one.changes) == 1
    assert one.issue is None
    assert one.shown(setting, "select") == "Growatt"
    assert not one.entry.data.get(CONF_PENDING)


async def test_a_code_that_is_not_known_is_told_too(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever a newer firmware says."""
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


async def test_a_set_ok_that_looks_like_the_request_is_the_battery_s(
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
    assert one.pending == "- CAN protocol: Growatt"
    await one.power_cycle()
    assert one.shown("can_protocol", "select") == "Growatt"


# What the battery offers


async def test_a_battery_without_protocols_gets_no_select_for_them(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A ZT of 2024 has none on RS485 and one on CAN."""
    one = await async_setup(
        hass,
        bluetooth_env,
        battery("idle", rs485_protocols=(), can_protocols=("P01-GRW",)),
    )
    assert not one.has("rs485_protocol", "select")
    assert one.options("can_protocol") == ["Growatt"]
    assert one.shown("can_protocol", "select") == "Growatt"
    assert one.shown("module_id", "select") == "1"


async def test_a_code_that_is_not_known_is_shown_as_it_is(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """And can be chosen."""
    one = await async_setup(
        hass,
        bluetooth_env,
        battery("idle", can_protocols=("P01-GRW", "P13-XYZ", "P14-GRW"), can_index=1),
    )
    assert one.options("can_protocol") == ["Growatt", "P13-XYZ", "Growatt (P14-GRW)"]
    assert one.shown("can_protocol", "select") == "P13-XYZ"
    await one.select("can_protocol", "Growatt (P14-GRW)")
    assert one.changes[0][3] == 2
    assert one.pending == "- CAN protocol: Growatt (P14-GRW)"
    await one.power_cycle()
    assert one.shown("can_protocol", "select") == "Growatt (P14-GRW)"


async def test_a_battery_that_answers_no_settings_has_none_and_is_polled(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is asked twice, once for each connection, and no poll is lost to it."""
    pack = battery("idle")
    monkeypatch.setattr(pack, "answer_setting", lambda *_: None)
    one = await async_setup(hass, bluetooth_env, pack)
    await asyncio.sleep(POLL_INTERVAL)
    for key in ("module_id", "can_protocol", "rs485_protocol"):
        assert not one.has(key, "select")
    assert not one.has("bluetooth_name", "text")
    assert one.gets == {GET_MODULE_ID: 2}
    health = one.entry.runtime_data.statistics
    samples = health.samples
    await asyncio.sleep(10 * POLL_INTERVAL)
    assert health.samples - samples == 10
    assert health.failed_polls == 0
    assert one.gets == {GET_MODULE_ID: 2}
    await one.power_cycle()
    await asyncio.sleep(POLL_INTERVAL)
    assert one.gets == {GET_MODULE_ID: 4}


@pytest.mark.parametrize("silent", [GET_RS485, GET_CAN])
async def test_a_battery_that_tells_only_some_settings_has_those(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    silent: int,
) -> None:
    """One list that never comes takes nothing from the others."""
    pack = battery("idle")
    answer = pack.answer_setting
    monkeypatch.setattr(
        pack,
        "answer_setting",
        lambda function, data: None if function == silent else answer(function, data),
    )
    one = await async_setup(hass, bluetooth_env, pack)
    await asyncio.sleep(POLL_INTERVAL)
    assert one.has("module_id", "select")
    assert one.shown("module_id", "select") == "1"
    assert one.has("can_protocol", "select") is (silent != GET_CAN)
    assert one.has("rs485_protocol", "select") is (silent != GET_RS485)


async def test_settings_are_read_once_a_connection_and_after_each_write(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """No more than that."""
    one = await async_setup(hass, bluetooth_env)
    once = {GET_MODULE_ID: 1, GET_CAN: 1, GET_RS485: 1}
    assert one.gets == once
    await asyncio.sleep(10 * POLL_INTERVAL)
    assert one.gets == once
    await one.select("module_id", "1")
    assert one.gets == once | {GET_MODULE_ID: 2}
    await one.select("can_protocol", "Victron")
    assert one.gets == {GET_MODULE_ID: 2, GET_CAN: 2, GET_RS485: 1}
    await one.select("rs485_protocol", "Luxpower")
    assert one.gets == {GET_MODULE_ID: 2, GET_CAN: 2, GET_RS485: 2}
    await one.allow_heating(True)
    assert one.gets == {GET_MODULE_ID: 2, GET_CAN: 2, GET_RS485: 2}
    await asyncio.sleep(10 * POLL_INTERVAL)
    assert one.gets == {GET_MODULE_ID: 2, GET_CAN: 2, GET_RS485: 2}
    await one.power_cycle()
    assert one.gets == {GET_MODULE_ID: 3, GET_CAN: 3, GET_RS485: 3}


# Pending changes


async def test_a_battery_that_came_back_without_the_value_is_told_of(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The notice changes its words, and goes when the value is there after all."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("module_id", "7")
    one.pack.settings.pending.clear()  # lost, as with writes that follow too closely
    await one.power_cycle()
    issue = one.issue
    assert issue is not None
    assert issue.translation_key == "power_cycle_without_effect"
    assert issue.translation_placeholders == {
        "name": one.pack.name,
        "settings": "- Module ID: 7",
    }
    assert one.shown("module_id", "select") == "1"

    # Set once more, as the notice says.
    await one.select("module_id", "7")
    issue = one.issue
    assert issue is not None
    assert issue.translation_key == "power_cycle"
    await one.power_cycle()
    assert one.issue is None
    assert one.shown("module_id", "select") == "7"


async def test_a_lost_link_alone_does_not_drop_the_notice(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Only the value ends it."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("can_protocol", "Victron")
    one.peripheral.drop_connection()
    await asyncio.sleep(1)
    await one.wait_connected()
    assert one.pending == "- CAN protocol: Victron"
    await one.power_cycle()
    assert one.issue is None


async def test_a_pending_change_survives_a_reload(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """With the same words, also before the battery has been read again."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("can_protocol", "Victron")
    assert one.entry.data[CONF_PENDING] == {"can_protocol": "Victron"}
    assert await hass.config_entries.async_reload(one.entry.entry_id)
    assert one.pending == "- CAN protocol: Victron"
    await one.wait_connected()
    assert one.pending == "- CAN protocol: Victron"
    await one.power_cycle()
    assert one.issue is None
    assert one.shown("can_protocol", "select") == "Victron"


async def test_a_reload_right_after_the_confirmation_loses_no_notice(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The battery has taken it, whether it could be read back or not."""
    one = await async_setup(hass, bluetooth_env)
    controls = one.entry.runtime_data.settings
    change = hass.async_create_task(one.select("module_id", "7"))
    async with asyncio.timeout(5):
        while not controls.pending:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert await hass.config_entries.async_reload(one.entry.entry_id)
    await change
    await one.wait_connected()
    assert one.pending == "- Module ID: 7"
    await one.power_cycle()
    assert one.shown("module_id", "select") == "7"
    assert one.issue is None


async def test_a_pending_change_survives_a_start_without_the_battery(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """As after a restart of Home Assistant, which forgets its notices."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("module_id", "3")
    assert await hass.config_entries.async_unload(one.entry.entry_id)
    await one.peripheral.stop()
    one.pack.power_cycle()
    issue = one.issue
    assert issue is not None
    ir.async_delete_issue(hass, DOMAIN, issue.issue_id)
    assert await hass.config_entries.async_setup(one.entry.entry_id)
    issue = one.issue
    assert issue is not None
    assert issue.translation_key == "power_cycle"
    assert one.pending == "- Module ID: 3"
    await asyncio.sleep(60)
    await one.peripheral.start()
    await one.wait_connected()
    assert one.issue is None
    assert one.shown("module_id", "select") == "3"


async def test_a_reload_is_not_taken_for_a_power_cycle(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The battery was not away, so nothing is said of its coming back."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("can_protocol", "Victron")
    assert await hass.config_entries.async_reload(one.entry.entry_id)
    await one.wait_connected()
    issue = one.issue
    assert issue is not None
    assert issue.translation_key == "power_cycle"


async def test_a_connection_made_for_the_change_is_not_taken_for_a_power_cycle(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """What is read at its beginning is read after the change was made."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.drop_connection()
    await wait_until(lambda: not one.entry.runtime_data.client.is_connected)
    await one.select("module_id", "7")
    assert one.pending == "- Module ID: 7"
    await asyncio.sleep(2 * POLL_INTERVAL)
    issue = one.issue
    assert issue is not None
    assert issue.translation_key == "power_cycle"


async def test_a_change_while_the_settings_are_read_is_not_taken_for_old(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The reading at the beginning of a connection takes a second or more."""
    one = await async_setup(hass, bluetooth_env)
    reads = one.gets[GET_MODULE_ID]
    one.peripheral.drop_connection()
    await wait_until(lambda: one.gets[GET_MODULE_ID] > reads)
    await one.select("module_id", "7")
    await asyncio.sleep(5)
    issue = one.issue
    assert issue is not None
    assert issue.translation_key == "power_cycle"


async def test_a_battery_that_is_removed_takes_its_notice_along(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Nobody could make it go away any more."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("module_id", "7")
    assert one.issue is not None
    await hass.config_entries.async_remove(one.entry.entry_id)
    await hass.async_block_till_done()
    assert one.issue is None


@pytest.mark.parametrize("after", [0.05, 0.1])
@pytest.mark.parametrize("again", [False, True])
async def test_a_battery_that_is_removed_during_a_change_leaves_no_notice(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, again: bool, after: float
) -> None:
    """Whether another change waits already or not; what is told is in plain words."""
    one = await async_setup(hass, bluetooth_env)
    if again:
        await one.select("module_id", "7")
        await asyncio.sleep(1)
    change = hass.async_create_task(one.select("module_id", "7"))
    await asyncio.sleep(after)
    await hass.config_entries.async_remove(one.entry.entry_id)
    try:
        await change
    except HomeAssistantError as error:
        check(one, error, str(error.translation_key), "module_id")
    await asyncio.sleep(POLL_INTERVAL)
    assert one.issue is None


@pytest.mark.parametrize("by", ["device", "entry"])
async def test_notices_and_errors_use_the_name_that_the_owner_gave(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, by: str
) -> None:
    """Most give it on the battery's page, and look for the battery under it."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("module_id", "7")
    if by == "device":
        dr.async_get(hass).async_update_device(
            device_of(hass, one.pack.address).id, name_by_user="Under the bed"
        )
    else:
        hass.config_entries.async_update_entry(one.entry, title="Under the bed")
    await asyncio.sleep(1)
    assert one.issue is not None
    assert one.issue.translation_placeholders is not None
    assert one.issue.translation_placeholders["name"] == "Under the bed"
    one.peripheral.faults.drop = FOREVER
    with pytest.raises(HomeAssistantError, match="Under the bed does not answer"):
        await one.refresh()
    one.peripheral.faults.clear()
    await hass.config_entries.async_reload(one.entry.entry_id)
    await one.wait_connected()
    assert one.issue.translation_placeholders["name"] == "Under the bed"
    assert one.pending == "- Module ID: 7"


async def test_two_batteries_have_two_notices(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Each by its own name."""
    one = await async_setup(hass, bluetooth_env)
    other = await async_setup(hass, bluetooth_env, battery("winter"))
    await one.select("module_id", "7")
    await other.select("can_protocol", "SMA")
    issues = [
        issue.translation_placeholders
        for (domain, _), issue in ir.async_get(hass).issues.items()
        if domain == DOMAIN
    ]
    assert issues == [
        {"name": one.pack.name, "settings": "- Module ID: 7"},
        {"name": other.pack.name, "settings": "- CAN protocol: SMA"},
    ]
    await one.power_cycle()
    assert one.pending == "- CAN protocol: SMA"


# Heater


async def test_the_heater_is_on_when_the_battery_says_so(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Within ten seconds, one frame, never before it is reported."""
    one = await async_setup(hass, bluetooth_env)
    assert one.shown("heater", "switch") == "off"
    for enabled, frame in ((True, "100a0101e4b6"), (False, "100a01002576")):
        one.peripheral.writes.clear()
        started = hass.loop.time()
        await one.allow_heating(enabled)
        assert hass.loop.time() - started <= 10
        await hass.async_block_till_done()
        assert one.shown("heater", "switch") == ("on" if enabled else "off")
        assert one.pack.heating_enabled is enabled
        assert one.changes == [bytes.fromhex(frame)]
    assert one.issue is None


async def test_the_heater_is_never_shown_ahead_of_the_battery(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is reported is what stands, also while the command is under way."""
    one = await async_setup(hass, bluetooth_env)
    entity = entity_id(hass, one.pack.address, "heater", "switch")
    states: list[tuple[str, bool]] = []

    @callback
    def note(event: Event[Any]) -> None:
        if event.data["entity_id"] == entity:
            states.append((event.data["new_state"].state, one.pack.heating_enabled))

    hass.bus.async_listen(EVENT_STATE_CHANGED, note)

    def obey_later(value: int) -> bytes:
        hass.loop.call_later(4.5, setattr, one.pack, "heating_enabled", bool(value))
        return b"\0"

    monkeypatch.setattr(one.pack, "_switch_heater", obey_later)
    started = hass.loop.time()
    task = hass.async_create_task(one.allow_heating(True))
    await asyncio.sleep(4)
    assert not task.done()
    assert one.shown("heater", "switch") == "off"
    await task
    assert 4.5 <= hass.loop.time() - started <= 10
    assert states == [("on", True)]
    assert len(one.changes) == 1


@pytest.mark.parametrize(
    ("answer", "key"),
    [
        ("silent", "heater_unanswered"),
        ("refuse", "heater_refused"),
        ("ignore", "heater_not_confirmed"),
    ],
)
@pytest.mark.parametrize("enabled", [True, False])
async def test_a_heater_that_does_not_follow_is_told_of(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    answer: Any,
    key: str,
    enabled: bool,
) -> None:
    """The switch shows what the battery reports, and one frame was sent."""
    one = await async_setup(
        hass, bluetooth_env, battery("idle", heating_enabled=not enabled)
    )
    before = "off" if enabled else "on"
    one.pack.settings.heater_answer = answer
    started = hass.loop.time()
    async with refused(one, key, "heater"):
        await one.allow_heating(enabled)
    assert hass.loop.time() - started <= 15
    assert one.shown("heater", "switch") == before
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert one.shown("heater", "switch") == before
    assert one.pack.heating_enabled is not enabled
    assert len(one.changes) == 1
    assert one.issue is None


async def test_a_heater_whose_answer_got_lost_shows_what_is_reported(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Whether it took the command is not known, until the battery says so."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.drop = 1
    async with refused(one, "heater_unanswered", "heater"):
        await one.allow_heating(True)
    await asyncio.sleep(POLL_INTERVAL + 1)
    assert one.shown("heater", "switch") == "on"
    assert len(one.changes) == 1


async def test_a_heater_is_not_confirmed_by_what_was_reported_before(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Only a status that was read after the command confirms it."""
    one = await async_setup(hass, bluetooth_env, battery("idle", heating_enabled=True))
    assert one.shown("heater", "switch") == "on"
    one.peripheral.notifications.clear()
    task = hass.async_create_task(one.allow_heating(True))
    await wait_until(lambda: one.peripheral.notifications)
    one.pack.heating_enabled = False
    one.peripheral.faults.drop = FOREVER
    with pytest.raises(HomeAssistantError) as caught:
        await task
    check(one, caught.value, "heater_not_confirmed", "heater")


async def test_a_heater_that_cannot_be_read_back_is_given_up_in_time(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Ten seconds are ten seconds, also where each poll waits for its tries."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.notifications.clear()
    started = hass.loop.time()
    task = hass.async_create_task(one.allow_heating(True))
    await wait_until(lambda: one.peripheral.notifications)
    one.peripheral.faults.drop = FOREVER
    with pytest.raises(HomeAssistantError) as caught:
        await task
    check(one, caught.value, "heater_not_confirmed", "heater")
    assert hass.loop.time() - started <= 20


async def test_an_entry_that_is_unloaded_ends_the_wait_for_the_heater(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """With words, as nobody will see the battery report it."""
    one = await async_setup(hass, bluetooth_env)
    one.pack.settings.heater_answer = "ignore"
    task = hass.async_create_task(one.allow_heating(True))
    await asyncio.sleep(3)
    assert not task.done()
    await hass.config_entries.async_unload(one.entry.entry_id)
    async with refused(one, "heater_interrupted", "heater"):
        await task


async def test_the_wait_for_the_heater_does_not_hold_up_the_stop(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The battery is let go then, and not asked any more."""
    one = await async_setup(hass, bluetooth_env)
    switching = hass.async_create_task(one.allow_heating(True))
    await wait_until(lambda: one.changes)
    began = hass.loop.time()
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    async with refused(one, "heater_interrupted", "heater"):
        await switching
    assert hass.loop.time() - began < 3


async def test_a_heater_that_is_not_reported_any_more_gets_no_command(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As after another firmware: nobody could see what the command does."""
    one = await async_setup(hass, bluetooth_env)
    answer = one.pack.handle
    monkeypatch.setattr(
        one.pack,
        "handle",
        lambda frame: None if frame[1] == 3 and frame[5] == 41 else answer(frame),
    )
    await one.peripheral.power_cycle()
    await wait_until(lambda: one.shown("heater", "switch") == "unknown", 120)
    one.peripheral.writes.clear()
    async with refused(one, "heater_not_reported"):
        await one.allow_heating(True)
    assert one.changes == []


async def test_a_battery_without_register_40_has_no_heater(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Older boards report 39 registers, so nothing could be confirmed."""
    one = await async_setup(
        hass, bluetooth_env, battery("idle", generation=1, name="ZT-12.8V100Ah-0009")
    )
    assert not one.has("heater", "switch")


# Bluetooth name


async def renamable(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    pack: SimulatedBattery | None = None,
) -> BatteryHarness:
    """Return a battery whose name is switched on."""
    one = await async_setup(hass, bluetooth_env, pack)
    await enable_all(hass, one.pack.address)
    await one.wait_connected()
    one.peripheral.writes.clear()
    return one


async def test_the_name_is_switched_off_by_default(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It is changed once in the life of a battery, if at all."""
    one = await async_setup(hass, bluetooth_env)
    entity = er.async_get(hass).async_get(
        entity_id(hass, one.pack.address, "bluetooth_name", "text")
    )
    assert entity is not None
    assert entity.disabled_by is er.RegistryEntryDisabler.INTEGRATION
    assert one.shown("bluetooth_name", "text") is None


@pytest.mark.parametrize("name", ["My motorhome battery 1", "ZT-12.8V100Ah-0001 (a)"])
async def test_a_longer_name_is_advertised_after_the_power_cycle(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, name: str
) -> None:
    """The entry and its entities stay, whatever the battery is called."""
    one = await renamable(hass, bluetooth_env)
    await renamed(hass, bluetooth_env, one, name)


@pytest.mark.parametrize("linked_for", [0, 300])
@pytest.mark.parametrize("name", ["Grandma", "~", "ZT-12.8V100Ah-0002"])
async def test_a_shorter_name_is_advertised_after_the_power_cycle(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, name: str, linked_for: int
) -> None:
    """Though the scanner takes it for shortened while it remembers a longer one."""
    one = await renamable(hass, bluetooth_env)
    await asyncio.sleep(linked_for)
    await renamed(hass, bluetooth_env, one, name)


async def renamed(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    one: BatteryHarness,
    name: str,
) -> None:
    """Check that a new name gets through."""
    old = one.pack.name
    title = one.entry.title
    entities = {
        entity.entity_id
        for entity in er.async_entries_for_config_entry(
            er.async_get(hass), one.entry.entry_id
        )
    }
    assert one.shown("bluetooth_name", "text") == old
    await one.rename(name)
    assert one.changes == [settings_frame(SET_NAME, name.encode("ascii"))]
    assert one.shown("bluetooth_name", "text") == old
    assert one.pending == f"- Bluetooth name: {name}"
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert one.pending == f"- Bluetooth name: {name}"

    await one.power_cycle()
    assert one.pack.name == name
    assert one.shown("bluetooth_name", "text") == name
    assert one.issue is None
    assert one.entry.title == title
    assert entities == {
        entity.entity_id
        for entity in er.async_entries_for_config_entry(
            er.async_get(hass), one.entry.entry_id
        )
    }
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert value(hass, one.pack.address, "voltage") != "unavailable"


@pytest.mark.parametrize(
    "name",
    ["", "x" * 23, "Büro", "ü", "van\n", "van\0", "a\tb", "van \U0001f50b", "van\x7f"],
)
async def test_a_bad_name_is_refused_before_anything_is_sent(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, name: str
) -> None:
    """1-22 printable ASCII characters; some are refused by Home Assistant itself.

    It has no translated text of its own for that before 2026.11.
    """
    one = await renamable(hass, bluetooth_env)
    with pytest.raises((ServiceValidationError, ValueError)) as caught:
        await one.rename(name)
    if getattr(caught.value, "translation_domain", None) == DOMAIN:
        check(one, caught.value, "invalid_name", "bluetooth_name")
    assert one.changes == []
    assert one.issue is None
    assert one.shown("bluetooth_name", "text") == one.pack.name


@pytest.mark.parametrize("name", ["x" * 23, "Büro", "a"])
async def test_a_name_is_shown_even_if_it_could_not_be_written(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What another tool has set is no reason for errors in the log."""
    one = await renamable(hass, bluetooth_env)
    one.pack.name = name
    await one.power_cycle()
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert value(hass, one.pack.address, "voltage") != "unavailable"
    assert not [record for record in caplog.records if record.exc_info]


# The link


@pytest.mark.parametrize("fault", ["disconnect_on_write", "disconnect_in_reply"])
async def test_a_link_that_breaks_in_a_command_for_the_heater_leaves_it_open(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, fault: str
) -> None:
    """The switch shows what became of it, without a power cycle."""
    one = await async_setup(hass, bluetooth_env)
    setattr(one.peripheral.faults, fault, 1)
    async with refused(one, "heater_unanswered", "heater"):
        await one.allow_heating(True)
    await one.wait_connected()
    assert one.shown("heater", "switch") == "on"
    assert len(one.changes) == 1


@pytest.mark.parametrize("fault", ["disconnect_on_write", "disconnect_in_reply"])
async def test_a_link_that_breaks_in_the_middle_leaves_it_open(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, fault: str
) -> None:
    """It says so, sends nothing twice, and shows what the battery reports then."""
    one = await async_setup(hass, bluetooth_env)
    setattr(one.peripheral.faults, fault, 1)
    async with refused(one, "change_connection_lost", "module_id"):
        await one.select("module_id", "7")
    assert len(one.changes) == 1
    assert one.issue is None
    await one.wait_connected()
    assert one.shown("module_id", "select") == "1"
    assert len(one.changes) == 1
    # The battery had taken it.
    await one.power_cycle()
    assert one.shown("module_id", "select") == "7"
    assert one.issue is None


async def test_a_battery_that_was_let_go_takes_no_change(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The owner has said so, and is told how to have it back."""
    one = await async_setup(hass, bluetooth_env)
    await one.act("switch", "turn_off", "bluetooth_connection")
    async with refused(one, "change_released", "module_id"):
        await one.select("module_id", "3")
    assert one.changes == []
    assert not one.entry.runtime_data.client.is_connected


async def test_a_release_while_connecting_for_a_change_is_told_as_such(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The battery is neither out of range nor switched off, and nobody else has it."""
    one = await async_setup(hass, bluetooth_env)
    await hold_by_other_device(one.peripheral)

    async def change() -> None:
        async with refused(one, "change_released", "module_id"):
            await one.select("module_id", "7")

    changing = hass.async_create_task(change())
    await asyncio.sleep(2)
    await one.act("switch", "turn_off", "bluetooth_connection")
    await changing
    assert one.changes == []


async def test_a_battery_that_is_switched_off_takes_no_change(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Nothing was sent, and nothing is pending."""
    one = await async_setup(hass, bluetooth_env)
    await one.peripheral.stop()
    await asyncio.sleep(1)
    assert one.shown("module_id", "select") == "1"  # its values are young enough
    for setting, change in (
        ("module_id", lambda: one.select("module_id", "7")),
        ("can_protocol", lambda: one.select("can_protocol", "SMA")),
        ("heater", lambda: one.allow_heating(True)),
    ):
        async with refused(one, "change_unreachable", setting):
            await change()
        if one.shown("module_id", "select") == "unavailable":
            break
    assert one.changes == []
    assert one.issue is None


async def test_a_battery_out_of_range_takes_no_change(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The same where it is heard no more."""
    one = await async_setup(hass, bluetooth_env)
    await one.peripheral.silence()
    one.peripheral.drop_connection()
    one.peripheral.faults.refuse_connection = FOREVER
    await asyncio.sleep(1)
    async with refused(one, "change_unreachable", "module_id"):
        await one.select("module_id", "7")
    assert one.changes == []
    assert one.issue is None
    one.peripheral.faults.clear()
    await one.peripheral.advertise()
    await wait_until(lambda: one.entry.runtime_data.client.is_connected, 120)
    await asyncio.sleep(POLL_INTERVAL)
    assert one.shown("module_id", "select") == "1"
    assert one.changes == []


@pytest.mark.parametrize("how", ["is silent", "breaks the link", "contradicts itself"])
async def test_a_protocol_whose_list_cannot_be_read_is_not_sent(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    """And nobody is told that something may have been changed."""
    one = await async_setup(hass, bluetooth_env)
    answer = one.pack.answer_setting

    def fail(function: int, data: bytes) -> bytes | None:
        if function not in GET_FUNCTIONS:
            return answer(function, data)
        if how == "breaks the link":
            one.peripheral.drop_connection()
        return b"\x05\x01" if how == "contradicts itself" else None

    monkeypatch.setattr(one.pack, "answer_setting", fail)
    await in_other_hands(one)
    asked = len(one.sent())
    async with refused(one, "change_not_sent", "can_protocol"):
        await one.select("can_protocol", "Victron")
    assert len(one.sent()) > asked
    assert one.changes == []
    assert one.issue is None


async def test_a_change_whose_link_ends_before_it_is_sent_says_so(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It waited for the answer to a poll, which took the link along."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.delay = 1.0
    poll = hass.async_create_task(one.refresh())
    await asyncio.sleep(0.5)
    change = hass.async_create_task(one.select("module_id", "7"))
    await asyncio.sleep(0.1)
    one.peripheral.drop_connection()
    async with refused(one, "change_unreachable", "module_id"):
        await change
    await asyncio.wait({poll})
    check(one, poll.exception(), "connection_lost")
    assert one.changes == []


async def test_a_change_that_gets_no_answer_is_not_sent_again(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Nobody knows whether it was taken; the next polls go on as before."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.drop = 1
    async with refused(one, "change_not_confirmed", "module_id"):
        await one.select("module_id", "7")
    assert len(one.changes) == 1
    assert one.issue is None
    health = one.entry.runtime_data.statistics
    samples = health.samples
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert health.samples - samples >= 2
    assert len(one.changes) == 1
    # The battery had taken it.
    await one.power_cycle()
    assert one.shown("module_id", "select") == "7"


async def test_a_change_that_was_confirmed_is_not_called_unmade(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """When the reading after it fails, the notice and the error may not disagree."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.notifications.clear()
    task = hass.async_create_task(one.select("module_id", "7"))
    await wait_until(lambda: one.peripheral.notifications)
    one.peripheral.faults.drop = 2
    await asyncio.wait({task})
    unmade = task.exception() is not None
    assert (one.issue is None) is unmade


async def test_changes_do_not_cross(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The second is told to wait, and the first is not disturbed."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.delay = 1.0
    first = hass.async_create_task(one.select("module_id", "7"))
    await asyncio.sleep(0.5)
    async with refused(one, "change_under_way", "heater"):
        await one.allow_heating(True)
    await first
    assert [frame[1] for frame in one.changes] == [SET_MODULE_ID]
    assert one.pending == "- Module ID: 7"
    await one.allow_heating(True)
    assert one.shown("heater", "switch") == "on"


async def test_two_selects_are_set_one_after_the_other(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """As a scene does; each is confirmed."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.delay = 0.5
    await asyncio.gather(
        one.select("module_id", "7"),
        one.select("can_protocol", "Victron"),
        one.select("rs485_protocol", "Luxpower"),
    )
    assert [frame[1] for frame in one.changes] == [SET_MODULE_ID, SET_CAN, SET_RS485]
    assert one.pending == (
        "- Module ID: 7\n- CAN protocol: Victron\n- RS485 protocol: Luxpower"
    )


# Replies as they really come


async def test_a_reply_behind_a_late_one_in_one_notification_counts(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Two replies in one notification (A)."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.held = settings_frame(SET_RS485, b"\x01")
    one.peripheral.notifications.clear()
    await one.select("module_id", "7")
    assert one.peripheral.notifications[0].data == settings_frame(
        SET_RS485, b"\x01"
    ) + settings_frame(SET_MODULE_ID, b"\0")
    assert one.pending == "- Module ID: 7"
    assert one.entry.runtime_data.client.counters.late_replies == 1


@needs_captures
async def test_the_recorded_double_notification_confirms_the_module_id(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The refusal behind it belongs to another request."""
    double = capture("notification", "two replies")
    one = await async_setup(hass, bluetooth_env)
    handle = one.pack.handle

    def answer(frame: bytes) -> bytes | None:
        reply = handle(frame)
        return double if frame[:2] == double[:2] else reply

    monkeypatch.setattr(one.pack, "handle", answer)
    await one.select("module_id", "7")
    assert double in [note.data for note in one.peripheral.notifications]
    assert one.pending == "- Module ID: 7"
    await one.power_cycle()
    assert one.shown("module_id", "select") == "7"


@needs_captures
async def test_the_recorded_double_notification_refuses_the_protocol(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The success in front of it belongs to another request."""
    double = capture("notification", "two replies")
    one = await async_setup(hass, bluetooth_env)
    one.pack.settings.module_id = 2
    one.peripheral.faults.held = double[:6]
    async with refused(one, "change_refused", "rs485_protocol"):
        await one.select("rs485_protocol", "Luxpower")
    assert one.peripheral.notifications[-1].data == double
    assert one.issue is None


async def test_a_reply_that_is_held_back_confirms_nothing_later(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It would come with the answer to a poll, but its link was ended."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.merge = 1
    async with refused(one, "change_not_confirmed", "module_id"):
        await one.select("module_id", "7")
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert len(one.changes) == 1
    assert one.issue is None
    assert one.shown("module_id", "select") == "1"
    assert one.entry.runtime_data.client.counters.late_replies == 0
    assert one.entry.runtime_data.statistics.failed_polls == 0


async def test_replies_that_come_twice_confirm_once(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """For as long as they like."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.duplicate = FOREVER
    await one.select("module_id", "7")
    await one.select("can_protocol", "Victron")
    await one.select("rs485_protocol", "Luxpower")
    await one.allow_heating(True)
    assert len(one.changes) == 4
    assert one.shown("heater", "switch") == "on"
    await one.power_cycle()
    assert one.shown("module_id", "select") == "7"
    assert one.shown("can_protocol", "select") == "Victron"
    assert one.shown("rs485_protocol", "select") == "Luxpower"
    assert one.issue is None


async def test_a_reply_that_comes_late_does_not_confirm_another_change(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A success of the CAN protocol is no success of RS485, and its link is gone."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.late = 1
    one.peripheral.faults.late_by = 3.0
    async with refused(one, "change_not_confirmed", "can_protocol"):
        await one.select("can_protocol", "Victron")
    monkeypatch.setattr(one.pack.settings, "_select", lambda *_: b"\x01")
    async with refused(one, "change_refused", "rs485_protocol"):
        await one.select("rs485_protocol", "Luxpower")
    await asyncio.sleep(5)
    assert one.issue is None
    assert one.entry.runtime_data.client.counters.late_replies == 0


async def test_a_reply_that_comes_late_does_not_confirm_the_next_value(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A success does not name its value: Victron's may not be taken for Deye's."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.late = 1
    one.peripheral.faults.late_by = 2.6
    async with refused(one, "change_not_confirmed", "can_protocol"):
        await one.select("can_protocol", "Victron")
    answer = one.pack.answer_setting
    monkeypatch.setattr(
        one.pack,
        "answer_setting",
        lambda function, data: None if function == SET_CAN else answer(function, data),
    )
    async with refused(one, "change_not_confirmed", "can_protocol"):
        await one.select("can_protocol", "Deye")
    assert len(one.changes) == 2
    assert one.issue is None


@pytest.mark.parametrize("interval", [10, 3600])
async def test_polls_go_on_at_once_after_a_change_that_got_no_answer(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, interval: int
) -> None:
    """On a new link, which is not taken for a battery that was away."""
    one = await async_setup(hass, bluetooth_env)
    await set_options(hass, one.entry, interval=interval)
    await one.select("can_protocol", "Victron")
    await asyncio.sleep(2 * POLL_INTERVAL)
    health = one.entry.runtime_data.statistics
    samples = health.samples
    connections = one.peripheral.connections
    one.peripheral.faults.drop = 1
    async with refused(one, "heater_unanswered", "heater"):
        await one.allow_heating(True)
    await asyncio.sleep(3)
    assert one.peripheral.connections == connections + 1
    assert one.entry.runtime_data.client.is_connected
    assert health.samples > samples
    assert one.shown("heater", "switch") == "on"
    issue = one.issue
    assert issue is not None
    assert issue.translation_key == "power_cycle"


async def test_a_poll_that_waits_for_an_unanswered_change_is_made_up_for(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It loses the link with the change, and its value comes on the next."""
    one = await async_setup(hass, bluetooth_env)
    health = one.entry.runtime_data.statistics
    one.peripheral.faults.drop = 1
    change = hass.async_create_task(one.select("module_id", "7"))
    await asyncio.sleep(0.5)
    poll = hass.async_create_task(one.refresh())
    async with refused(one, "change_not_confirmed", "module_id"):
        await change
    await asyncio.wait({poll})
    check(one, poll.exception(), "connection_lost")
    samples = health.samples
    await asyncio.sleep(POLL_INTERVAL + 1)
    assert health.samples > samples
    assert value(hass, one.pack.address, "voltage") != "unavailable"


@pytest.mark.parametrize("fault", ["corrupt", "truncate", "lead", "lose_chunk"])
async def test_a_damaged_reply_is_no_confirmation(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, fault: str
) -> None:
    """Except where it is whole behind some garbage."""
    one = await async_setup(hass, bluetooth_env)
    setattr(one.peripheral.faults, fault, 1)
    if fault == "lead":
        await one.select("module_id", "7")
        assert one.pending == "- Module ID: 7"
    else:
        async with refused(one, "change_not_confirmed", "module_id"):
            await one.select("module_id", "7")
        assert one.issue is None
    assert len(one.changes) == 1


async def test_settings_come_through_in_small_and_slow_packets(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A list of 117 bytes in packets of 20, each answer after 0.14 s."""
    one = await async_setup(hass, bluetooth_env, max_mtu=23, reply_latency=0.14)
    assert len(one.options("can_protocol")) == 11
    await one.select("can_protocol", "Victron")
    await one.allow_heating(True)
    await one.power_cycle()
    assert one.shown("can_protocol", "select") == "Victron"
    assert one.issue is None


async def test_no_frame_follows_another_too_closely(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The battery loses writes within 10 ms; polls and settings share one link."""
    one = await async_setup(hass, bluetooth_env)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simulator.peripheral.WRITE_SPACING", SPACING - 1e-3)
        for round_ in range(4):
            await asyncio.gather(
                one.select("module_id", str(round_ + 2)),
                one.select("can_protocol", one.options("can_protocol")[round_]),
                one.refresh(),
                one.refresh(),
                asyncio.sleep(9.9 + 0.05 * round_),
            )
            await asyncio.gather(one.allow_heating(not round_ % 2), one.refresh())
            one.peripheral.drop_connection()
            await asyncio.sleep(1)
            await one.wait_connected()
        await one.power_cycle()
    assert all(write.applied for write in one.peripheral.writes)
    times = [write.time for write in one.peripheral.writes]
    assert len(times) > 60
    assert min(later - earlier for earlier, later in pairwise(times)) >= SPACING - 1e-6
    assert one.shown("module_id", "select") == "5"
    assert one.issue is None


# Refresh now


async def test_refresh_now_reads_at_once(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """And not with the next poll."""
    one = await async_setup(hass, bluetooth_env)
    one.pack.demand_current = -77.0
    started = hass.loop.time()
    await one.refresh()
    await hass.async_block_till_done()
    assert hass.loop.time() - started < 1
    assert value(hass, one.pack.address, "current") == "-77.0"


async def test_refresh_now_says_why_it_failed(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A battery that does not answer, one that is away, and one in other hands."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.drop = 3
    async with refused(one, "no_answer"):
        await one.refresh()
    await one.refresh()

    one.peripheral.faults.disconnect_on_write = 1
    async with refused(one, "connection_lost"):
        await one.refresh()
    await one.wait_connected()

    await one.peripheral.stop()
    await asyncio.sleep(600)
    assert value(hass, one.pack.address, "voltage") == "unavailable"
    assert one.shown("refresh", "button") != "unavailable"
    async with refused(one, "out_of_range"):
        await one.refresh()

    await one.peripheral.start()
    await one.wait_connected()
    await one.refresh()
    assert value(hass, one.pack.address, "voltage") != "unavailable"


async def test_refresh_now_says_that_another_device_holds_the_battery(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Most often the phone app."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.refuse_connection = FOREVER
    one.peripheral.drop_connection()
    await asyncio.sleep(1)
    async with refused(one, "busy"):
        await one.refresh()


async def test_refresh_now_says_that_the_values_cannot_be_true(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """And shows the last good ones."""
    one = await async_setup(hass, bluetooth_env)
    before = value(hass, one.pack.address, "state_of_charge")
    one.pack.override = one.pack.reported()
    object.__setattr__(one.pack.override, "state_of_charge", 398)
    async with refused(one, "implausible"):
        await one.refresh()
    assert value(hass, one.pack.address, "state_of_charge") == before


# Texts


@pytest.mark.parametrize(
    "key",
    [
        "change_connection_lost", "change_not_confirmed", "change_refused", "heater_refused",
        "change_under_way", "change_unreachable", "heater_not_confirmed",
        "change_not_sent", "change_released", "heater_unanswered", "invalid_name",
        "protocol_needs_module_id", "protocol_not_offered",
    ],
)  # fmt: skip
def test_a_text_names_the_battery_and_the_setting(key: str) -> None:
    """And says what was changed."""
    message = STRINGS["exceptions"][key]["message"]
    assert "{name}" in message
    assert "{setting}" in message


@pytest.mark.parametrize(
    ("key", "look"),
    [
        ("change_connection_lost", "after the battery was switched off and on"),
        ("change_not_confirmed", "after the battery was switched off and on"),
        ("heater_unanswered", "when the values are live"),
    ],
)
def test_a_lost_answer_is_not_called_a_refusal(key: str, look: str) -> None:
    """The battery may have taken the change; where that is seen is said as well."""
    message = STRINGS["exceptions"][key]["message"]
    assert "is not known" in message
    assert "not made" not in message
    assert look in message


def test_the_notices_name_the_battery_and_the_settings() -> None:
    """In the title and below."""
    for key in ("power_cycle", "power_cycle_without_effect"):
        issue = STRINGS["issues"][key]
        assert "{name}" in issue["title"]
        assert "{settings}" in issue["description"]
        assert "goes away by itself" in issue["description"]
