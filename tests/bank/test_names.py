"""Names of batteries and banks: those that the user gave to their devices."""

from __future__ import annotations

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr

from .harness import async_setup_bank, packs
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import device_of, settle, wait_for_poll


async def test_member_name_is_the_one_that_the_user_gave(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """As on the battery's page, at once, and again after a restart."""
    one, other = packs(2)[0], packs(2, name="BB-12.8V100Ah-0002")[1]
    bank = await async_setup_bank(hass, bluetooth_env, [one, other])
    await bank.enable_all()
    bank.batteries[0].set_reported(cell_voltages=(3.3, 3.3, 3.2, 3.3))
    bank.batteries[1].set_reported(protection=0x0008)
    await wait_for_poll()
    registry = dr.async_get(hass)

    def named() -> tuple[str | None, list[str], str]:
        return (
            bank.shown("lowest_cell"),
            bank.attribute("any_protection", "batteries"),
            bank.issues["bank_mixed"]["batteries"],
        )

    before = (
        "ZT-12.8V100Ah-0001, cell 3",
        ["BB-12.8V100Ah-0002"],
        (
            "- ZT-12.8V100Ah-0001: Voltgo VLRV1280A, 100 Ah\n"
            "- BB-12.8V100Ah-0002: BigBattery TC-4S100-V1.0, 100 Ah"
        ),
    )
    assert named() == before
    names = {one.address: "Left", other.address: "Right"}
    for address, name in names.items():
        device = device_of(hass, address)
        registry.async_update_device(device.id, name_by_user=name)
    await settle(hass)
    after = (
        "Left, cell 3",
        ["Right"],
        "- Left: Voltgo VLRV1280A, 100 Ah\n- Right: BigBattery TC-4S100-V1.0, 100 Ah",
    )
    assert named() == after
    result = await bank.open_reconfigure()
    schema = result["data_schema"]
    assert schema is not None
    assert [
        option["label"] for option in schema.schema["members"].config["options"]
    ] == ["Left (VLRV1280A)", "Right (TC-4S100-V1.0)"]
    for entry in bank.entries:
        await hass.config_entries.async_reload(entry.entry_id)
    await bank.wait_reporting(2, 60)
    assert named() == after
    for address in names:
        device = device_of(hass, address)
        registry.async_update_device(device.id, name_by_user=None)
    await settle(hass)
    assert named() == before


async def test_bank_name_in_issues_is_the_one_that_the_user_gave(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The bank's repair issues use it, too."""
    bank = await async_setup_bank(
        hass, bluetooth_env, packs(2, module_id=1), inverter=True
    )
    await wait_for_poll()
    assert bank.issues["bank_module_ids"]["bank"] == "House bank"
    dr.async_get(hass).async_update_device(bank.device.id, name_by_user="Under the bed")
    await settle(hass)
    assert bank.issues["bank_module_ids"]["bank"] == "Under the bed"
