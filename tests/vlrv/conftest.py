"""Fixtures for the tests of the battery's language."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from .harness import ADDRESS, NAME, SOURCE, Build, ClientHarness, ScriptedBattery
from custom_components.voltgo_vlrv.vlrv.client import VlrvClient
from custom_components.voltgo_vlrv.vlrv.const import Timing
from simulator.clock import FastClock
from simulator.module import Battery
from tests.radio_env import RadioEnvironment


@pytest.fixture(autouse=True)
def auto_enable_custom_integrations() -> None:
    """Set no Home Assistant up for what does not know it; nor discover the battery."""


@pytest.fixture(name="build")
async def build_fixture(
    bluetooth_env: RadioEnvironment, fast_clock: FastClock
) -> Build:
    """Return a factory of harnesses; keywords are those of a peripheral."""

    async def build(
        battery: Battery | None = None,
        *,
        timing: Timing | None = None,
        heard: bool = True,
        **kwargs: Any,
    ) -> ClientHarness:
        peripheral = await bluetooth_env.add_battery(
            battery or ScriptedBattery(), **kwargs
        )
        adapter = await bluetooth_env.add_adapter(SOURCE)
        losses: list[float] = []
        client = VlrvClient(
            NAME,
            lambda: bluetooth_env.find_device(ADDRESS),
            on_disconnect=lambda: losses.append(fast_clock.now),
            timing=timing,
        )
        if heard:
            await bluetooth_env.heard(ADDRESS)
        return ClientHarness(
            bluetooth_env, fast_clock, peripheral, adapter, client, losses
        )

    return build


@pytest.fixture(name="harness")
async def harness_fixture(build: Build) -> AsyncGenerator[ClientHarness]:
    """Return a client that is not connected yet; afterwards it disconnects."""
    harness = await build()
    yield harness
    await harness.client.disconnect()
    await harness.assert_free()


@pytest.fixture(name="connected")
async def connected_fixture(harness: ClientHarness) -> ClientHarness:
    """Return a connected client."""
    await harness.client.connect()
    return harness
