"""The frame around every page: language, colours, the live stream, by keyboard alone, without scripts."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from sandbox.console import pages
from sandbox.console.desk import Desk
from tests.console.browser import Misbehaviour

PATHS = [page.path for page in pages.PAGES if page.in_navigation]
MOST_TABS = 80  # presses of Tab until a page must have given the focus to what is looked for


@pytest.mark.parametrize("path", PATHS)
def test_every_page_has_its_heading_and_its_place_in_the_navigation(page: Page, path: str) -> None:
    """A page has one heading of the first level, which is its name in the navigation, and it is live."""
    page.goto(path)
    name = page.get_by_role("heading", level=1).inner_text()
    expect(page.locator("nav [aria-current=page]")).to_have_text(name)
    expect(page.locator("body[data-live=true]")).to_be_visible()
    expect(page).to_have_title(f"{name} · PayScore sandbox")


def test_language_and_colours_are_remembered(page: Page) -> None:
    """The switches change language and colours at once, lead back to the page, and both stay on the next one."""
    page.goto("/orders?search=X-1")
    page.get_by_role("button", name="中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page).to_have_url(re.compile(re.escape("/orders?search=X-1") + "$"))
    page.get_by_role("button", name="深色").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("body")).to_have_css("background-color", "rgb(20, 24, 28)")
    page.goto("/")
    expect(page.locator("html[lang=zh-CN][data-theme=dark]")).to_be_attached()
    page.get_by_role("button", name="自动").click()
    expect(page.locator("body")).to_have_css("background-color", "rgb(255, 255, 255)")


def test_a_browsers_own_language_and_colours_are_taken(open_page: Callable[..., Page]) -> None:
    """Without a choice, language and colours are those that the browser prefers."""
    page = open_page(language="zh-CN", scheme="dark")
    page.goto("/till")
    expect(page.get_by_role("heading", level=1)).to_have_text("收银")
    expect(page.locator("body")).to_have_css("background-color", "rgb(20, 24, 28)")


def test_a_stream_that_breaks_is_told_and_continues(page: Page, desk: Desk) -> None:
    """A page whose stream ends says that it is not live, and continues by itself with what it has missed."""
    page.goto("/switches")
    expect(page.locator("body[data-live=true]")).to_be_visible()
    page.evaluate("document.body.dataset.position = 'another-1'")
    page.route("**/stream*", lambda route: route.fulfill(status=204))
    page.reload()
    expect(page.locator("#connection")).to_contain_text("The page is not live")
    desk.wechat_pay.misbehave("system_error", out_order_no="NONE")
    page.unroute("**/stream*")
    expect(page.locator("#active")).to_contain_text("system_error")
    expect(page.locator("#connection")).to_be_empty()
    desk.wechat_pay.behave()
    expect(page.locator("#active")).to_contain_text("Nothing: WeChat Pay behaves.")


# What a person sets in a part that fetches itself, and that the new part would take away.
TAKEN_AWAY = "[hx-trigger*=changed-] :is(input:not([type=hidden]), select, textarea, details):not([id][hx-preserve])"


@pytest.mark.parametrize("path", PATHS)
def test_a_part_that_fetches_itself_keeps_every_field(page: Page, path: str) -> None:
    """Each field and each fold of such a part stays as a person has left it."""
    page.goto(path)
    expect(page.locator(TAKEN_AWAY)).to_have_count(0)


def test_what_is_being_typed_outlives_a_change(page: Page, desk: Desk) -> None:
    """A value that is half written stays while its part shows what a script has changed."""
    page.goto("/switches")
    page.locator("#choices-title").click()
    page.locator("#value-query_lag").fill("12")
    desk.wechat_pay.switch("second_sync", "200")
    expect(page.locator("#choice-second_sync")).to_contain_text("now 200, default: ORDER_DONE")
    expect(page.locator("#value-query_lag")).to_have_value("12")
    desk.wechat_pay.switch("second_sync", "ORDER_DONE")
    expect(page.locator("#choice-second_sync")).not_to_contain_text("now")


def test_a_form_that_cannot_be_sent_says_so(page: Page, misbehaviour: Misbehaviour) -> None:
    """Where the sandbox does not answer, the page says that nothing was sent and what to do."""
    page.goto("/switches")
    page.route("**/switches/behave", lambda route: route.abort("connectionrefused"))
    page.locator("#behave").click()
    expect(page.locator("#connection")).to_contain_text("Nothing was sent: the sandbox does not answer.")
    assert any("ERR_CONNECTION_REFUSED" in line for line in misbehaviour.lines)  # the browser and htmx say so too
    misbehaviour.lines.clear()


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the focus is on the target, and see that the focus is visible there."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            outline = target.evaluate(
                "element => getComputedStyle(element).outlineStyle + getComputedStyle(element).outlineWidth"
            )
            assert outline == "solid3px"
            return
    raise AssertionError(f"Tab does not reach {target}")


def press(page: Page, target: Locator) -> None:
    """Reach a link or a button by Tab, and press Enter."""
    tab_to(page, target)
    page.keyboard.press("Enter")


def test_the_main_story_by_keyboard_alone(page: Page) -> None:
    """With Tab and Enter alone: skip the navigation, send an event, see it synced, and follow it to the orders."""
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    press(page, page.get_by_role("link", name="Send a first event, or a broken one"))
    expect(page).to_have_url(re.compile(re.escape("/till") + "$"))
    page.wait_for_load_state()
    press(page, page.locator("#send-paid-offline"))
    expect(page.locator("#notices")).to_contain_text("sent about order PAID-OFFLINE-")
    expect(page.locator("#send-paid-offline")).to_be_focused()
    expect(page.locator("#events tbody tr").first).to_contain_text("SYNCED")
    page.goto("/till")
    press(page, page.locator("nav").get_by_role("link", name="Switches"))
    expect(page).to_have_url(re.compile(re.escape("/switches") + "$"))
    page.wait_for_load_state()
    press(page, page.locator("summary").filter(has_text="accepted_202"))
    fault = page.locator("details[open]")
    tab_to(page, fault.get_by_label("Order number"))
    page.keyboard.type("NO-SUCH-ORDER")
    press(page, fault.get_by_role("button"))
    expect(page.locator("#active")).to_contain_text("accepted_202")
    page.goto("/switches")
    press(page, page.locator("#behave"))
    expect(page.locator("#active")).to_contain_text("Nothing: WeChat Pay behaves.")
    expect(page.locator("#behave")).to_be_focused()


def test_reading_and_forms_work_without_scripts(open_page: Callable[..., Page]) -> None:
    """With scripts switched off every page can be read, an event be sent, and the line about it is shown."""
    page = open_page(java_script_enabled=False)
    for path in PATHS:
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.goto("/till")
    page.locator("#send-paid-offline").click()
    expect(page.locator("#notices")).to_contain_text("sent about order PAID-OFFLINE-")
    page.goto("/till")
    expect(page.locator("#notices p")).to_have_count(0)
    page.goto("/switches")
    page.locator("#behave").click()
    expect(page.locator("#notices")).to_have_text("Everything is off: WeChat Pay behaves.")
    expect(page).to_have_url(re.compile(re.escape("/switches") + "$"))
