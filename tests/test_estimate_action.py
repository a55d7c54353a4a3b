"""The actions that return something: an estimate, and a report."""

from __future__ import annotations

from datetime import datetime, timedelta
import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pytest_homeassistant_custom_component.common import MockUser
import voluptuous as vol

from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import ServiceValidationError, Unauthorized
from homeassistant.util import dt as dt_util

from custom_components.voltgo_vlrv.const import DOMAIN
from custom_components.voltgo_vlrv.estimate_action import after, seconds_between
from tests.bank.harness import async_setup_bank, packs
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import entity_id, settle


async def estimates(hass: HomeAssistant, target: str, **data: Any) -> dict[str, Any]:
    """Return what the action returns for the entity of a state of charge."""
    context: Context | None = data.pop("context", None)
    response = await hass.services.async_call(
        DOMAIN,
        "estimate",
        {"entity_id": target, **data},
        blocking=True,
        return_response=True,
        context=context,
    )
    assert response is not None
    found = response[target]
    assert isinstance(found, dict)
    return found


def test_times_of_an_estimate_over_a_change_of_clocks_are_true_durations() -> None:
    """In Berlin the night of October 25, 2026, has an hour more."""
    berlin = ZoneInfo("Europe/Berlin")
    midnight = datetime(2026, 10, 25, tzinfo=berlin)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dt_util, "DEFAULT_TIME_ZONE", berlin)
        end = after(midnight, timedelta(hours=6))
        assert end.isoformat() == "2026-10-25T05:00:00+01:00"
        assert seconds_between(midnight, end) == timedelta(hours=6).total_seconds()


async def test_estimate_of_a_bank_and_its_batteries_uses_what_is_left(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
) -> None:
    """The whole bank carries the load; each device has a reserve of its own."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    whole = bank.entity_id("state_of_charge")
    one = bank.batteries[0]
    single = entity_id(hass, one.address, "state_of_charge")
    usable = bank.coordinator.data.usable
    assert usable is not None
    assert usable.full is not None
    reserve = 30
    hass.config_entries.async_update_entry(one.entry, options={"reserve": reserve})
    await settle(hass)

    watts = 0.1 * usable.full * 12.8  # a tenth of the bank in an hour
    found = await estimates(hass, whole, power=watts, duration={"hours": 2})
    fell = found["state_of_charge_now"] - found["state_of_charge"]
    assert fell == pytest.approx(20, abs=0.2)
    assert (found["reserve"], found["is_enough"]) == (0, True)
    assert found["reserve_at"] is None

    now = dt_util.now()
    found = await estimates(hass, single, power=watts, duration={"hours": 24})
    assert (found["reserve"], found["is_enough"]) == (reserve, False)
    assert found["state_of_charge"] == 0
    reached = datetime.fromisoformat(found["reserve_at"])
    assert now < reached < now + timedelta(hours=24)

    until = (now + timedelta(hours=3)).strftime("%H:%M:00")
    found = await estimates(hass, single, power=10, until=until, include_present=True)
    left = datetime.fromisoformat(found["end"]) - now
    assert timedelta(hours=2, minutes=58) < left <= timedelta(hours=3)
    # Nothing flows at present.
    assert found["net_power"] == -10

    with pytest.raises(Unauthorized):
        await estimates(
            hass,
            whole,
            power=10,
            duration={"hours": 1},
            context=Context(user_id=(await blind_user(hass)).id),
        )
    for wrong in (
        {"power": 10},
        {"power": 10, "duration": {"hours": 1}, "until": "07:00"},
        {"power": 1e9, "duration": {"hours": 1}},
        {"power": 10, "duration": {"days": 400}},
    ):
        with pytest.raises(vol.Invalid):
            await estimates(hass, whole, **wrong)
    with pytest.raises(ServiceValidationError):
        await estimates(hass, "sun.sun", power=10, duration={"hours": 1})

    await hass.config_entries.async_unload(one.entry.entry_id)
    for target in (whole, single):
        with pytest.raises(ServiceValidationError):
            await estimates(hass, target, power=10, duration={"hours": 1})


async def test_report_of_a_bank_is_one_for_each_battery_without_addresses(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """What a dealer asks for; nothing that was not measured."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))

    async def reports(target: str, context: Context | None = None) -> dict[str, Any]:
        response = await hass.services.async_call(
            DOMAIN,
            "report",
            {"entity_id": target},
            blocking=True,
            return_response=True,
            context=context,
        )
        assert response is not None
        return dict(response)

    whole = bank.entity_id("state_of_charge")
    singles = [
        entity_id(hass, one.address, "state_of_charge") for one in bank.batteries
    ]
    found = await reports(whole)
    assert list(found) == singles
    report = found[singles[0]]
    assert (await reports(singles[0]))[singles[0]].keys() == report.keys()
    # The simulated boards report a date in place of a serial number.
    assert report["serial_number"] is None
    assert report["production_date"]
    assert report["label_capacity"] == 100
    assert report["protection_trips"] == 0
    assert report["protections"] == {}
    assert report["measured_capacities"] == report["full_charges"] == []
    assert report["extremes"]["lowest_state_of_charge"]["at"]
    text = json.dumps(found).lower()
    for one in bank.batteries:
        assert one.address.lower() not in text
        assert one.address.replace(":", "").lower() not in text

    with pytest.raises(Unauthorized):
        await reports(whole, Context(user_id=(await blind_user(hass)).id))
    with pytest.raises(ServiceValidationError):
        await reports("sun.sun")
    await hass.config_entries.async_unload(bank.batteries[0].entry.entry_id)
    with pytest.raises(ServiceValidationError):
        await reports(whole)


async def blind_user(hass: HomeAssistant) -> MockUser:
    """Return a user who may read no entity."""
    user = MockUser().add_to_hass(hass)
    user.mock_policy({})
    return user
