"""A demo, a browser and a login for all tests, and a page for each."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, Page
import pytest

from .automation_pages import AutomationPages
from .user_session import UserSession
from simulator.bank import PAIR
from simulator.e2e.api import HomeAssistant
from simulator.e2e.batteries import MODELS, discovered
from simulator.e2e.chromium import browser, page_of
from simulator.e2e.demo import temporary_folder
from simulator.e2e.folder import prepare
from simulator.e2e.log import complaints
from simulator.e2e.output import print_line
from simulator.e2e.server import free_port, running

# The battery that the Voltgo app takes.
LOST = (PAIR[0]["name"],)

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
        assert complaints(folder, LOST) == []


@pytest.fixture(scope="session")
async def chromium() -> AsyncGenerator[Browser]:
    """Run the browser."""
    async with browser() as running_browser:
        yield running_browser


@pytest.fixture(scope="session")
async def logged_in(
    demo: HomeAssistant, chromium: Browser
) -> AsyncGenerator[BrowserContext]:
    """Log in once, on the login form; every page of this browser is logged in then."""
    async with page_of(chromium, WIDTH, HEIGHT) as page:
        user_session = UserSession(page, demo)
        await user_session.opens("/")
        await user_session.logs_in()
        yield page.context


@pytest.fixture
async def page(
    logged_in: BrowserContext, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncGenerator[Page]:
    """Open a page; where a test fails, a picture is kept of its end."""
    failed = request.session.testsfailed
    page = await logged_in.new_page()
    yield page
    if request.session.testsfailed > failed:
        file = tmp_path / "page.png"
        await page.screenshot(path=file)
        print_line(f"what was on {page.url} is in {file}")
    await page.close()


@pytest.fixture
async def user_session(demo: HomeAssistant, page: Page) -> UserSession:
    """Open Home Assistant's first page."""
    user_session = UserSession(page, demo)
    await user_session.opens("/")
    return user_session


@pytest.fixture
async def automation_pages(demo: HomeAssistant, page: Page) -> AutomationPages:
    """Open Home Assistant's first page, for a user who makes automations."""
    pages = AutomationPages(page, demo)
    await pages.opens("/")
    return pages
