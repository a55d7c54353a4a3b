"""The advertised name reaches states and the registry only as text."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from homeassistant.core import HomeAssistant

from custom_components.voltgo_vlrv.battery.advertisement import LastAdvertisement

ADDRESS = "A4:C1:37:00:00:01"


@pytest.mark.parametrize(
    ("received", "name"),
    [
        ("ZT-25.6V100Ah-1238\0\0", "ZT-25.6V100Ah-1238"),
        (" House\0 bank ", "House bank"),
        ("x" * 200, "x" * 64),
        (ADDRESS, None),
    ],
)
def test_advertised_name_is_without_control_characters(
    hass: HomeAssistant, received: str, name: str | None
) -> None:
    """A name padded with NUL never equaled the one that was set."""
    advertisement = LastAdvertisement(hass, ADDRESS)
    info: Any = SimpleNamespace(name=received, address=ADDRESS, rssi=-60, raw=None)
    advertisement.update(info)
    assert advertisement.name == name
