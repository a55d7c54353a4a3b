"""Fixtures for long times over the radio."""

from __future__ import annotations

import logging

import pytest

from homeassistant.core import HomeAssistant

from simulator.clock import FastClock


@pytest.fixture
async def fast_clock(hass: HomeAssistant, fast_clock: FastClock) -> FastClock:
    """Live through hours: what asyncio notes of every timer would take most of it."""
    hass.loop.set_debug(False)
    logging.getLogger("bumble").setLevel(logging.INFO)
    fast_clock.limit = 3 * 86_400.0
    return fast_clock
