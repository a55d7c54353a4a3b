"""A demo and a browser for all tests, and for each a session of a user."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

from playwright.async_api import Browser
import pytest

from .user_session import UserSession
from simulator.e2e.api import HomeAssistant
from simulator.e2e.batteries import MODELS, discovered
from simulator.e2e.chromium import browser, page_of
from simulator.e2e.demo import temporary_folder
from simulator.e2e.folder import prepare
from simulator.e2e.log import complaints
from simulator.e2e.output import print_line
from simulator.e2e.server import free_port, running

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
async def user_session(
    demo: HomeAssistant,
    chromium: Browser,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> AsyncGenerator[UserSession]:
    """Open the login form; where a test fails, a picture is kept of its end."""
    failed = request.session.testsfailed
    async with page_of(chromium, WIDTH, HEIGHT) as page:
        user_session = UserSession(page, demo)
        await user_session.opens("/")
        yield user_session
        if request.session.testsfailed > failed:
            file = tmp_path / "page.png"
            await page.screenshot(path=file)
            print_line(f"what was on {page.url} is in {file}")
