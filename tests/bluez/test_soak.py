"""Hours with eight batteries over BlueZ; `script/soak` has longer ones."""

from __future__ import annotations

from homeassistant.core import HomeAssistant

from .environment import BluezEnvironment
from .soak import BluezSoak


async def test_soak_over_bluez_finds_no_fault(
    hass: HomeAssistant, bluetooth_env: BluezEnvironment
) -> None:
    """Every sample is true, every connection is ended, every battery recovers."""
    report = await BluezSoak(hass, bluetooth_env, 1).run(4, 300, memory=False)
    assert report.wrong == []
    assert report.leaked == []
    assert report.unrecovered == []
    assert report.samples > 200
    assert len(report.events) == len(BluezSoak.events)
