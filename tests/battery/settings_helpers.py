"""Steps that tests of settings share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
import json
from pathlib import Path
from typing import Any, Final

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from custom_components.voltgo_vlrv.const import DOMAIN
from simulator.battery import SimulatedBattery
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery
from tests.harness import GET_FUNCTIONS, BatteryHarness, async_setup_battery

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


async def in_other_hands(one: BatteryHarness, **changed: Any) -> None:
    """Let the phone app have the battery, and take it back when it was changed."""
    await one.act("switch", "turn_off", "bluetooth_connection")
    for attribute, new in changed.items():
        setattr(one.pack.settings, attribute, new)
    await asyncio.sleep(120)
    await one.act("switch", "turn_on", "bluetooth_connection")
