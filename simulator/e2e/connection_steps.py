"""Steps of the battery scenario: releasing and resuming the connection."""

from __future__ import annotations

from typing import Final

from homeassistant.util import dt as dt_util

from .api import UNAVAILABLE
from .batteries import DOMAIN, simulated
from .expected_values import LINK_STATUS
from .polling import check, wait_until
from .shown_battery import POLL_TIMEOUT, ShownBattery
from .step_log import StepLog

RECONNECT_TIMEOUT: Final = 30.0  # s
RELEASE_MINUTES: Final = 1  # min
RELEASE_TIMEOUT: Final = 2.0  # s


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
        """Check that the battery resumes by itself and was never unavailable."""
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
