"""Steps of the battery scenario: releasing and resuming the connection."""

from __future__ import annotations

from typing import Final

from homeassistant.util import dt as dt_util

from .api import UNAVAILABLE
from .batteries import DOMAIN, SOLAR, WINTER, simulated
from .expected_values import FAULTS, LINK_STATUS
from .polling import check, wait_until
from .shown_battery import ShownBattery
from .step_log import StepLog

MAX_ENTITIES: Final = 30  # enabled ones, of a battery with four cells
FOUR_CELLS: Final = (SOLAR, WINTER)

POLL_TIMEOUT: Final = 15.0  # s; a poll every 10
SETTLE_TIMEOUT: Final = 90.0  # s; a time is shown after a minute under load
RECONNECT_TIMEOUT: Final = 30.0  # s
RECORDER_TIMEOUT: Final = 15.0  # s until the recorder has what the logbook reads
RELOAD_TIMEOUT: Final = (
    45.0  # s; Home Assistant does it 30 s after an entity was enabled
)
OFF_TIME: Final = 0.5  # s
RELEASE_MINUTES: Final = 1  # min
RELEASE_TIMEOUT: Final = 2.0  # s

# Far from what the battery is at, and no longer than a night.
FROST: Final = -25.0  # °C
HEAT: Final = 45.0  # °C
STEP: Final = 15  # min
MAX_MINUTES: Final = 12 * 60  # min
MILD: Final = 27.0  # °C; with the next, as it was before
SUN: Final = 31.5  # A

# Key of the text that says why the protocols cannot be set.
NEEDS_MODULE_ID: Final = "protocol_needs_module_id"

PASSWORD: Final = "zt123"  # manual, 6.3
VERSION: Final = "Z01T21"
FILE: Final = f"ZTHV-M_{VERSION}.bin"
SIZE: Final = 8 * 1024  # bytes; enough for dozens of packages
RESTART: Final = 3.0  # s
PERCENTAGES: Final = 10  # seen while it is transferred, at least

REFUSAL: Final = 70  # characters that are printed

UTP: Final = FAULTS["charge_ut"]


class ConnectionSteps(StepLog):
    """Releases a battery and resumes its connection."""

    async def test_release(self, battery: ShownBattery) -> int:
        """Release the battery for a minute; return the number of events before."""
        async with self._step("releases a battery for a minute") as observed:
            since = len(self._api.events)
            await battery.act(
                f"{DOMAIN}.release_connection",
                "voltage",
                duration={"minutes": RELEASE_MINUTES},
            )
            await battery.shows(
                0, **{LINK_STATUS: "released", "bluetooth_connection": "off"}
            )
            await self._link(battery, connected=False, within=RELEASE_TIMEOUT)
            observed.append("released, free for the phone app")
            until_ = (await battery.state(LINK_STATUS))["attributes"]["released_until"]
            left = (
                dt_util.parse_datetime(until_, raise_on_error=True) - dt_util.utcnow()
            )
            check(0 < left.total_seconds() <= 60 * RELEASE_MINUTES, f"{left} are left")
            observed.append(f"until {until_[11:19]} UTC")
        return since

    async def test_resume(self, battery: ShownBattery, since: int) -> None:
        """See the battery come back by itself; nothing was unavailable meanwhile."""
        async with self._step("gets the released battery back") as observed:
            await self._link(
                battery,
                connected=True,
                within=60 * RELEASE_MINUTES + RECONNECT_TIMEOUT,
            )
            await battery.shows(
                POLL_TIMEOUT, **{LINK_STATUS: "connected", "bluetooth_connection": "on"}
            )
            observed.append("connected by itself")
            own = {entity["entity_id"] for entity in battery.entities.values()}
            lost = [
                event.entity_id
                for event in self._api.events[since:]
                if event.entity_id in own and event.state == UNAVAILABLE
            ]
            check(not lost, f"unavailable meanwhile: {lost}")
            observed.append("nothing was unavailable")

    async def test_connection_switch(self, battery: ShownBattery) -> None:
        """Release the battery with the switch, and resume with it."""
        for action, status in (("turn_off", "released"), ("turn_on", "connected")):
            async with self._step(f'uses "Bluetooth connection": {action}') as observed:
                await battery.act(f"switch.{action}", "bluetooth_connection")
                await battery.shows(RECONNECT_TIMEOUT, **{LINK_STATUS: status})
                await self._link(
                    battery, connected=status == "connected", within=RECONNECT_TIMEOUT
                )
                observed.append(status)

    async def _link(
        self, battery: ShownBattery, *, connected: bool, within: float
    ) -> None:
        async def right() -> bool:
            simulated_ = (await simulated(self._api))[battery.address]
            return bool(simulated_["connected"] is connected)

        await wait_until(
            right, within, lambda: f"the battery is not {connected=} in {within:g} s"
        )
