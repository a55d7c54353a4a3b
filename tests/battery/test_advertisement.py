"""What is known of a battery from its advertisements, as text and as a signal."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from homeassistant.core import HomeAssistant

from custom_components.voltgo_vlrv.battery import advertisement as module
from custom_components.voltgo_vlrv.battery.advertisement import LastAdvertisement

ADDRESS = "A4:C1:37:00:00:01"


def received(name: str = "House", rssi: int = -60, raw: bytes | None = None) -> Any:
    """Return an advertisement."""
    return SimpleNamespace(name=name, address=ADDRESS, rssi=rssi, raw=raw)


def adapter(rssi: int | None) -> Any:
    """Return an adapter that has received the battery with a strength, or not."""
    data = None if rssi is None else (None, SimpleNamespace(rssi=rssi))
    asked = {ADDRESS: data}
    return SimpleNamespace(
        name="proxy-01 (AA:BB:CC:DD:EE:FF)",
        source="AA:BB:CC:DD:EE:FF",
        get_discovered_device_advertisement_data=lambda address: asked[address],
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("ZT-25.6V100Ah-1238\0\0", "ZT-25.6V100Ah-1238"),
        (" House\0 bank ", "House bank"),
        ("x" * 200, "x" * 64),
        (ADDRESS, None),
    ],
)
def test_advertised_name_is_without_control_characters(
    hass: HomeAssistant, name: str, shown: str | None
) -> None:
    """A name padded with NUL never equaled the one that was set."""
    advertisement = LastAdvertisement(hass, ADDRESS)
    assert advertisement.name is None
    advertisement.update(received(name))
    assert advertisement.name == shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"\x06\x09New\0\0", "New"),
        (b"\x02\x01\x06", "Old longer name"),
        (b"", "Old longer name"),
    ],
)
def test_advertised_name_is_that_of_the_last_packet(
    hass: HomeAssistant, raw: bytes, shown: str
) -> None:
    """Home Assistant keeps a longer one of before; a packet may have none."""
    advertisement = LastAdvertisement(hass, ADDRESS)
    advertisement.update(received("Old longer name", raw=raw))
    assert advertisement.name == shown


def test_advertised_name_follows_each_advertisement(hass: HomeAssistant) -> None:
    """The owner may rename it with the app."""
    advertisement = LastAdvertisement(hass, ADDRESS)
    for name in ("House", "Boat", "House"):
        advertisement.update(received(name))
        assert advertisement.name == name
        assert advertisement.name == name


def test_signal_strength_is_that_of_the_adapter_with_the_connection(
    hass: HomeAssistant,
) -> None:
    """As far as that has received the battery; another may be much nearer."""
    advertisement = LastAdvertisement(hass, ADDRESS)
    assert advertisement.signal_strength is advertisement.adapter_name is None
    advertisement.update(received(rssi=-50))
    assert advertisement.signal_strength == -50
    advertisement.set_adapter(None)
    assert (advertisement.signal_strength, advertisement.adapter_name) == (-50, None)
    advertisement.set_adapter(adapter(None))
    assert advertisement.signal_strength == -50
    assert advertisement.adapter_name == "proxy-01"
    advertisement.set_adapter(adapter(-88))
    assert advertisement.signal_strength == -88


def test_last_advertisement_is_kept_when_home_assistant_drops_it(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does so minutes after a connection, as the battery sends none meanwhile."""
    last: Any = None
    asked: list[tuple[Any, ...]] = []

    def service_info(*arguments: Any) -> Any:
        asked.append(arguments)
        return last

    monkeypatch.setattr(module.bluetooth, "async_last_service_info", service_info)
    advertisement = LastAdvertisement(hass, ADDRESS)
    advertisement.refresh()
    assert advertisement.signal_strength is advertisement.name is None
    last = received("House", -70)
    advertisement.refresh()
    assert (advertisement.name, advertisement.signal_strength) == ("House", -70)
    last = None
    advertisement.refresh()
    assert (advertisement.name, advertisement.signal_strength) == ("House", -70)
    # Of those that could connect to it.
    assert asked == [(hass, ADDRESS, True)] * 3
