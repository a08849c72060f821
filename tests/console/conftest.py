"""A console on the shared sandbox and a Chromium for the tests of a module; each test has a profile of its own.

Each module has its own console, which ends with it: its threads call what tests elsewhere replace, or count.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from sandbox import ports
from sandbox.console.desk import Desk
from sandbox.console.server import ADDRESS, serving
from sandbox.testbed import Testbed
from tests.console.browser import LIMIT, MISSING, Misbehaviour, chromium, context_of

SCREENSHOTS = Path(__file__).parents[2] / "build/console"


@pytest.fixture(scope="module")
def desk(world: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The desk of the console of a module."""
    with Desk.of(world, tmp_path_factory.mktemp("console")) as desk:
        yield desk


@pytest.fixture(scope="module")
def console(desk: Desk) -> Iterator[str]:
    """The address of the console of a module."""
    with serving(desk, ports.listen(ADDRESS, 0)) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium for a module: while it runs, Playwright's event loop does, and nothing else may await."""
    if MISSING:
        pytest.skip(MISSING)
    expect.set_options(timeout=LIMIT)
    with chromium() as browser:
        yield browser


@pytest.fixture
def misbehaviour(console: str) -> Iterator[Misbehaviour]:
    """What goes wrong in the browsers of a test: at its end nothing has, and no other host was asked for anything."""
    misbehaviour = Misbehaviour(console)
    yield misbehaviour
    assert misbehaviour.lines == []
    assert misbehaviour.foreign == []


@pytest.fixture
def open_page(browser: Browser, console: str, misbehaviour: Misbehaviour) -> Iterator[Callable[..., Page]]:
    """Open a page in a profile of its own, as a person with this language and these preferences."""
    contexts = []

    def open_page(**preferences: Any) -> Page:
        context = context_of(browser, console, **preferences)
        contexts.append(context)
        page = context.new_page()
        misbehaviour.watch(page)
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """A page of a person who reads English."""
    return open_page()


@pytest.fixture
def keep(page: Page) -> Callable[[str], object]:
    """Keep a picture of the page's content, as it is, under a name."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    # Playwright hides the caret by an inline style, which the console's policy forbids.
    return lambda name: page.locator("main").screenshot(path=SCREENSHOTS / f"{name}.png", caret="initial")
