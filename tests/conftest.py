"""Fixtures for all tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from datetime import datetime
from functools import partial
import logging
import os
from random import Random
from typing import Any, Final, cast, override

from hypothesis import HealthCheck, settings
import pytest

from homeassistant.components.bluetooth import DOMAIN as BLUETOOTH_DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import frame
from homeassistant.setup import async_setup_component

from .bluetooth_env import BluetoothEnvironment
from .esphome.over import OVER_ESPHOME, expect_differences
from .seeding import SEED, random_instant, seeded_random
from .translation_check import TranslationCheck, watched_translations

# Before the test package's own folder of the same name comes into the search path.
import custom_components  # noqa: F401
from simulator.clock import FastClock

if OVER_ESPHOME:
    from .esphome.integration import esphome_environment

USAGE_REPORT: Final = "Detected that custom integration"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect the tests to fail that their module lists in `KNOWN_FAULTS`."""
    for item in items:
        assert isinstance(item, pytest.Function)
        known = getattr(item.module, "KNOWN_FAULTS", {})
        if missing := [name for name in known if not hasattr(item.module, name)]:
            raise pytest.UsageError(f"{item.module.__name__} has no {missing}")
        if (reason := known.get(item.originalname)) is not None:
            item.add_marker(pytest.mark.xfail(strict=True, reason=reason))
    if OVER_ESPHOME:
        expect_differences(items)


# Both would be limits in real time.
settings.register_profile(
    "tests", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")

# Each statement of the recorder would be formatted, and what each test sets up.
for logger_name in (
    "sqlalchemy.engine",
    "homeassistant.helpers.entity_registry",
    "homeassistant.loader",
    "homeassistant.setup",
):
    logging.getLogger(logger_name).setLevel(logging.WARNING)


@pytest.fixture(autouse=True)
def auto_enable_custom_integrations(request: pytest.FixtureRequest) -> None:
    """Let Home Assistant load custom integrations, in tests that have one."""
    if "hass" in request.fixturenames:
        # Before any timer of Home Assistant.
        if "fast_clock" in request.fixturenames:
            request.getfixturevalue("fast_clock")
        request.getfixturevalue("enable_custom_integrations")


@pytest.fixture(autouse=True)
async def enable_event_loop_debug() -> None:
    """Let the event loop check its callers, without noting where each task began.

    This stands in for a fixture of the same name, with which the suite takes twice as
    long. With PYTHONASYNCIODEBUG=1 a failure tells all.
    """
    loop = cast("Any", asyncio.get_running_loop())
    loop.set_debug(True)
    if not os.environ.get("PYTHONASYNCIODEBUG"):
        # Asked by each new task, future and handle; the loop itself looks elsewhere.
        loop.get_debug = lambda: False
        # Otherwise each coroutine would note ten callers.
        loop._set_coroutine_origin_tracking(False)
        loop._set_coroutine_origin_tracking = lambda _: None
        loop._check_callback = partial(_check_new_callback, loop._check_callback)


_checked_callbacks: set[object] = set()


def _check_new_callback(
    check: Callable[[object, str], None], callback: object, method: str
) -> None:
    """Check a callback of the event loop, unless its code was checked before."""
    kind = getattr(callback, "__code__", type(callback))
    if kind not in _checked_callbacks:
        check(callback, method)
        if kind is not partial:
            _checked_callbacks.add(kind)


@pytest.fixture(name="caplog")
def caplog_fixture(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Show a test the integration's debug lines, and of all others from INFO on.

    This stands in for a fixture of the same name, which writes down each packet of the
    virtual radio.
    """
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, "custom_components")
    return caplog


class _UsageReports(logging.Handler):
    """Collect what Home Assistant reports as deprecated or wrong use of itself."""

    def __init__(self) -> None:
        """Begin without reports."""
        super().__init__(logging.WARNING)
        self.reports: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if (message := record.getMessage()).startswith(USAGE_REPORT):
            self.reports.append(message)


@pytest.fixture(autouse=True)
def usage_reports() -> Generator[list[str]]:
    """Fail a test in which Home Assistant reports how a custom integration uses it."""
    # Home Assistant reports each place once for a process.
    frame._REPORTED_INTEGRATIONS.clear()
    handler = _UsageReports()
    logger = logging.getLogger(frame.__name__)
    logger.addHandler(handler)
    yield handler.reports
    logger.removeHandler(handler)
    assert handler.reports == []


@pytest.fixture(autouse=True)
def check_translations() -> Generator[TranslationCheck]:
    """Fail where a flow, an issue or an exception has no text, or not all placeholders."""
    with watched_translations() as check:
        yield check
    assert not check.problems


@pytest.fixture
def hass_config_dir(hass_tmp_config_dir: str) -> str:
    """Keep what a test stores from all others, and from the installed packages."""
    return hass_tmp_config_dir


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> Random:
    """Return the random numbers of a test, the same in each run."""
    return Random(f"{SEED} {request.node.nodeid}")


@pytest.fixture(autouse=True)
def seeded_randomness(rng: Random) -> Generator[None]:
    """Give a test the same random numbers in each run."""
    with seeded_random(rng):
        yield


@pytest.fixture
def start(rng: Random) -> datetime | None:
    """Return when simulated time begins, None for the machine's date."""
    return random_instant(rng)


@pytest.fixture
async def fast_clock(start: datetime | None) -> AsyncGenerator[FastClock]:
    """Simulate time on the test's event loop; see `simulator.clock`."""
    with FastClock(start=start) as clock:
        yield clock


@pytest.fixture
async def bluetooth_env(
    request: pytest.FixtureRequest, fast_clock: FastClock, hass: HomeAssistant
) -> AsyncGenerator[BluetoothEnvironment]:
    """Set Home Assistant's bluetooth integration up over a virtual radio.

    With TEST_OVER=esphome, batteries are reached over simulated ESPHome proxies instead.

    Time is simulated: `asyncio.sleep` lets it pass. Neither `freezer` nor
    `async_fire_time_changed` goes with that; the latter would fire the radios' timers.
    """
    if OVER_ESPHOME:
        request.getfixturevalue("socket_enabled")
        async with esphome_environment(hass) as environment:
            yield environment
        return
    assert await async_setup_component(hass, BLUETOOTH_DOMAIN, {})
    await hass.async_block_till_done()
    bluetooth_env = BluetoothEnvironment(hass)
    yield bluetooth_env
    await bluetooth_env.close()
    await hass.async_block_till_done()
