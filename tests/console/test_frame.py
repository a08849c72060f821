"""The frame around every page: navigation, language, colours, the live stream."""

from playwright.sync_api import Page, expect


def test_the_overview_opens_and_is_live(page: Page) -> None:
    """The first page has its heading, its navigation, and a stream that is open."""
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    expect(page.locator("body[data-live=true]")).to_be_visible()


def test_language_and_colours_are_remembered(page: Page) -> None:
    """The switches change language and colours at once, and both stay on the next page."""
    page.goto("/")
    page.get_by_role("button", name="中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.get_by_role("button", name="深色").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto("/")
    expect(page.locator("html[lang=zh-CN][data-theme=dark]")).to_be_attached()
