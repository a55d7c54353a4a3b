"""Steps that tests of flows share."""

from __future__ import annotations

from homeassistant.config_entries import SOURCE_USER, ConfigFlowResult
from homeassistant.const import CONF_ADDRESS
from homeassistant.core import HomeAssistant

from custom_components.voltgo_vlrv.const import DOMAIN
from simulator.battery import SimulatedBattery
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import finish_progress

REFUSAL = bytes.fromhex("018302c0f1")  # no such registers


async def bring_near(
    bluetooth_env: BluetoothEnvironment, pack: SimulatedBattery
) -> None:
    """Let one adapter hear the battery."""
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    await bluetooth_env.heard(pack.address)


async def start_user_flow(hass: HomeAssistant) -> ConfigFlowResult:
    """Open "Add integration"."""
    return await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}
    )


async def pick(
    hass: HomeAssistant, result: ConfigFlowResult, address: str
) -> ConfigFlowResult:
    """Pick a device and wait until it was tried."""
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {CONF_ADDRESS: address}
    )
    return await finish_progress(hass, result)


def offered(result: ConfigFlowResult) -> list[str]:
    """Return the addresses on offer, in order."""
    schema = result["data_schema"]
    assert schema is not None
    (selector,) = schema.schema.values()
    return [option["value"] for option in selector.config["options"]]


class BrokenBattery(SimulatedBattery):
    """A battery that answers every status read with something wrong."""

    answer: bytes

    def handle(self, frame: bytes) -> bytes | None:
        """Answer as told."""
        return self.answer
