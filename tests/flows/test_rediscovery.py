"""How often a device whose probe failed is discovered again, and how many of them."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

import pytest

from homeassistant.components import bluetooth
from homeassistant.core import HomeAssistant

from custom_components.voltgo_vlrv.rediscovery import (
    FIRST_DELAY,
    MAX_ADDRESSES,
    MAX_DOUBLINGS,
    FailedProbes,
    async_schedule_rediscovery,
)


def test_failed_probes_of_one_address_double_its_delay_to_an_hour() -> None:
    """A phone may hold the battery all evening."""
    failed_probes = FailedProbes()
    delays = [failed_probes.add("A") for _ in range(9)]
    assert delays[:3] == [60, 120, 240]
    assert delays[MAX_DOUBLINGS:] == [3840] * 3
    assert failed_probes.add("B") == FIRST_DELAY


def test_failed_probes_after_success_start_again() -> None:
    """The failures before a successful probe say nothing of the next one."""
    failed_probes = FailedProbes()
    failed_probes.add("A")
    failed_probes.remove("A")
    failed_probes.remove("B")
    assert failed_probes.add("A") == FIRST_DELAY


def test_failed_probes_of_many_addresses_drop_the_oldest() -> None:
    """Any device can advertise as many addresses as it likes."""
    failed_probes = FailedProbes()
    for address in ("first", "second", "first"):
        failed_probes.add(address)
    for number in range(MAX_ADDRESSES - 1):
        failed_probes.add(str(number))
    assert failed_probes.add("first") == 4 * FIRST_DELAY
    assert failed_probes.add("second") == FIRST_DELAY


@pytest.mark.usefixtures("fast_clock")
async def test_rediscovery_of_many_addresses_keeps_the_newest_scheduled(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood of devices must not fill the memory with timers."""
    rediscover = Mock()
    monkeypatch.setattr(bluetooth, "async_rediscover_address", rediscover)
    addresses = [f"A4:C1:37:00:00:{number:02X}" for number in range(MAX_ADDRESSES + 2)]
    for address in addresses:
        async_schedule_rediscovery(hass, address)
    await asyncio.sleep(FIRST_DELAY + 1)
    called = [call.args[1] for call in rediscover.call_args_list]
    assert sorted(called) == addresses[2:]


@pytest.mark.usefixtures("fast_clock")
async def test_rediscovery_scheduled_twice_happens_once(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that appears repeatedly does not collect several discoveries."""
    rediscover = Mock()
    monkeypatch.setattr(bluetooth, "async_rediscover_address", rediscover)
    for _ in range(2):
        async_schedule_rediscovery(hass, "A4:C1:37:00:00:01")
    await asyncio.sleep(FIRST_DELAY + 1)
    assert not rediscover.called
    await asyncio.sleep(FIRST_DELAY)
    rediscover.assert_called_once_with(hass, "A4:C1:37:00:00:01")
