"""A demo and a browser for all tests, and for each a person who sits before it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

from playwright.async_api import Browser
import pytest

from .person import Person
from simulator.homeassistant.batteries import MODELS, discovered
from simulator.homeassistant.chromium import browser, page_of
from simulator.homeassistant.client import HomeAssistant
from simulator.homeassistant.demo import temporary_folder
from simulator.homeassistant.folder import prepare
from simulator.homeassistant.log import complaints
from simulator.homeassistant.output import say
from simulator.homeassistant.server import free_port, running

WIDTH = 1280
HEIGHT = 900


@pytest.fixture(scope="session")
async def demo() -> AsyncGenerator[HomeAssistant]:
    """Run the demo, with all discovered and nothing added; its log must stay free of complaints."""
    port = free_port()
    async with temporary_folder() as folder:
        prepare(folder, port)
        async with (
            running(folder) as process,
            HomeAssistant.connected(port, process) as api,
        ):
            # Before, the simulator is not there to be asked either.
            await discovered(api, set(MODELS))
            yield api
        # Last, as stopping may complain, too.
        assert complaints(folder) == []


@pytest.fixture(scope="session")
async def chromium() -> AsyncGenerator[Browser]:
    """Run the browser."""
    async with browser() as running_browser:
        yield running_browser


@pytest.fixture
async def person(
    demo: HomeAssistant,
    chromium: Browser,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> AsyncGenerator[Person]:
    """Sit before the login form; where a test fails, a picture is kept of its end."""
    failed = request.session.testsfailed
    async with page_of(chromium, WIDTH, HEIGHT) as page:
        person = Person(page, demo)
        await person.opens("/")
        yield person
        if request.session.testsfailed > failed:
            file = tmp_path / "page.png"
            await page.screenshot(path=file)
            say(f"what was on {page.url} is in {file}")
