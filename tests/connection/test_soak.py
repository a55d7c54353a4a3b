"""Hours with eight batteries and random faults; `script/soak` has longer ones."""

from __future__ import annotations

import pytest

from homeassistant.core import HomeAssistant

from .soak import LONGEST_BUFFER, Soak
from tests.bluetooth_env import BluetoothEnvironment


@pytest.mark.parametrize("seed", [1])
async def test_soak_with_hours_of_faults_loses_nothing(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, seed: int
) -> None:
    """Every sample is true, every connection is ended, every battery recovers."""
    report = await Soak(hass, bluetooth_env, seed).run(8, 300, memory=False)
    assert report.wrong == []
    assert report.leaked == []
    assert report.unrecovered == []
    assert report.samples > 500
    assert max(report.buffers) <= LONGEST_BUFFER
    # Of each kind of fault there was some.
    assert len(report.events) == 9
    assert min(report.events.values()) >= 2
