"""One console on the shared sandbox for all tests of it, and one Chromium; each test has a profile of its own."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from sandbox import ports
from sandbox.console.desk import Desk
from sandbox.console.server import ADDRESS, serving
from sandbox.testbed import Testbed
from tests.console.browser import LIMIT, MISSING, Misbehaviour, chromium, context_of


@pytest.fixture(scope="session")
def desk(world: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """The desk of the console that all tests share."""
    return Desk.of(world, tmp_path_factory.mktemp("console"))


@pytest.fixture(scope="session")
def console(desk: Desk) -> Iterator[str]:
    """The address of the console that all tests share."""
    with serving(desk, ports.listen(ADDRESS, 0)) as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium for all tests."""
    if MISSING:
        pytest.skip(MISSING)
    expect.set_options(timeout=LIMIT)
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, console: str) -> Iterator[Page]:
    """A page in a profile of its own; at the end of a test it has had no error and no request to anywhere else."""
    context = context_of(browser, console)
    misbehaviour = Misbehaviour()
    page = context.new_page()
    misbehaviour.watch(page, console)
    yield page
    context.close()
    assert misbehaviour.lines == []
    assert misbehaviour.foreign == []
