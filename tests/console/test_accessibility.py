"""axe-core finds nothing serious on any page, in either language and either theme."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from sandbox.console import pages
from sandbox.console.desk import Desk
from sandbox.testbed import until
from sandbox.triggers import TRIGGERS
from tools import axe

PATHS = [page.path for page in pages.PAGES if page.in_navigation]
RUN = """async () => {
  const result = await axe.run(document, {resultTypes: ["violations"]});
  return result.violations
    .filter(one => ["serious", "critical"].includes(one.impact))
    .flatMap(one => one.nodes.map(node => `${one.id}: ${node.html.slice(0, 200)}`));
}"""


@pytest.fixture(scope="module")
def contents(desk: Desk) -> None:
    """Every page has something to show: an event of each kind, a fault that is on, a dead letter."""
    for name in ("paid-offline", "broken", "wrong-source"):
        desk.till.fire(TRIGGERS[name], "AXE-1")
    until(lambda: desk.letters.all() or None)


@pytest.mark.usefixtures("contents")
@pytest.mark.parametrize("language", ["en-GB", "zh-CN"])
@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_accessible(open_page: Callable[..., Page], desk: Desk, path: str, language: str) -> None:
    """A page has nothing that axe-core calls serious or critical, in light and in dark."""
    if axe.missing():
        pytest.skip(axe.missing())
    desk.wechat_pay.misbehave("system_error", out_order_no="NONE")
    page = open_page(language=language)
    page.goto(path)
    page.evaluate("document.querySelectorAll('details').forEach((one, number) => { one.open = number < 6; })")
    page.evaluate(axe.SCRIPT.read_text(encoding="utf-8"))
    problems = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        problems[scheme] = page.evaluate(RUN)
    desk.wechat_pay.behave()
    assert problems == {"light": [], "dark": []}
