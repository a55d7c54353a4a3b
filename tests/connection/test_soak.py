"""Hours with eight batteries and random faults; `script/soak` has longer ones."""

from __future__ import annotations

import pytest

from homeassistant.core import HomeAssistant

from .soak import LONGEST_BUFFER, Soak
from tests.bluetooth_env import BluetoothEnvironment


@pytest.mark.parametrize("seed", [1])
async def test_hours_of_faults_leave_nothing_wrong_or_lost(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, seed: int
) -> None:
    """Every sample true, every link given back, every battery back in the end."""
    report = await Soak(hass, bluetooth_env, seed).run(8, 300, memory=False)
    assert report.wrong == []
    assert report.leaked == []
    assert report.unrecovered == []
    assert report.samples > 500
    assert max(report.buffers) <= LONGEST_BUFFER
    # Of each kind of fault there was some.
    assert len(report.events) == 9
    assert min(report.events.values()) >= 2
