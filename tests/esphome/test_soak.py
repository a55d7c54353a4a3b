"""Hours with eight batteries over proxies; `script/soak` has longer ones."""

from __future__ import annotations

from homeassistant.core import HomeAssistant

from .environment import EsphomeEnvironment
from .soak import ProxySoak


async def test_soak_over_esphome_finds_no_fault(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment
) -> None:
    """Every sample is true, every connection is ended, every battery recovers."""
    report = await ProxySoak(hass, bluetooth_env, 1).run(6, 300, memory=False)
    assert report.wrong == []
    assert report.leaked == []
    assert report.unrecovered == []
    assert report.samples > 400
    assert report.due > 200
    assert len(report.events) == len(ProxySoak.events)
