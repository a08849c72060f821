"""An order's page and an event's: a lost race, keys that rotate, an event without a rule, a dead letter."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from sandbox.console.desk import Desk
from sandbox.console.links import event_path, order_path
from sandbox.testbed import MERCHANT, OTHER_MERCHANT
from sandbox.till import Till, ledger_act
from sandbox.triggers import trigger_of
from tests.console.test_accessibility import RUN
from tests.console.test_frame import press
from tools import axe


def test_a_lost_race_is_told_step_by_step(page: Page, desk: Desk) -> None:
    """WeChat Pay collects first: the timeline shows the refusal and the query, the page says to refund; by keyboard."""
    desk.wechat_pay.ready_to_sync(MERCHANT, "RACE-1")
    page.goto(order_path(f"{MERCHANT}#RACE-1"))
    expect(page.locator("body[data-live=true]")).to_be_visible()
    expect(page.locator("#story")).to_contain_text("no event and no message about 1230000109 RACE-1 has arrived")
    press(page, page.locator("#step-deduct"))
    expect(page.locator("#notices")).to_contain_text("Done: ")
    expect(page.locator("#step-deduct")).to_have_count(0)
    press(page, page.locator("#report"))
    expect(page.locator("#story")).to_contain_text("PAID_BY_WECHAT NEWTON: WeChat Pay has collected the money as well")
    expect(page.locator("#story")).to_contain_text("refund it at WeChat Pay by its transaction_id")
    expect(page.locator(".timeline")).to_contain_text("deleted from OrderQueue")
    rows = page.locator(".timeline tbody tr").all_inner_texts()
    words = (
        "published on the bus",
        "matched by",
        "sent to OrderQueue",
        "receive 1",
        "ORDER_DONE",
        "query: 200",
        "PAID_BY",
    )
    positions = [next(place for place, row in enumerate(rows) if word in row) for word in words]
    assert positions == sorted(positions)


def test_keys_that_rotate_are_named_until_the_secret_follows(page: Page, desk: Desk) -> None:
    """A new key at WeChat Pay: calls name the former key that signed; once the secret follows, the order is synced."""
    desk.wechat_pay.ready_to_sync(OTHER_MERCHANT, "ROTATE-1")
    page.goto("/merchants")
    page.locator(f"#rotate-{OTHER_MERCHANT}").click()
    expect(page.locator(f"#merchant-{OTHER_MERCHANT}")).to_contain_text("an earlier key: calls are refused")
    page.goto(order_path(f"{OTHER_MERCHANT}#ROTATE-1"))
    page.locator("#report").click()
    expect(page.locator("#story")).to_contain_text("RETRYING SIGN_ERROR")
    call = page.locator("#story details").last
    expect(call.locator("summary")).to_contain_text("SIGN_ERROR, signature not verified")
    call.locator("summary").click()
    expect(call).to_contain_text("it is the serial of a former key of the merchant")
    expect(call).to_contain_text("POST\\n")
    assert call.locator("pre").first.inner_text().startswith("POST\\n\n/v3/payscore/serviceorder/ROTATE-1/sync\\n")
    page.goto("/merchants")
    page.locator(f"#store-{OTHER_MERCHANT}").click()
    expect(page.locator(f"#merchant-{OTHER_MERCHANT}")).to_contain_text("the same key")
    page.goto(order_path(f"{OTHER_MERCHANT}#ROTATE-1"))
    expect(page.locator("#story")).to_contain_text(f"item {OTHER_MERCHANT}#ROTATE-1: SYNCED")
    newest = page.locator("#story details").first
    expect(newest.locator("summary")).to_contain_text("200 , signature verified")
    newest.locator("summary").click()
    expect(newest).to_contain_text("the signature covers exactly this text")


def test_an_event_that_no_rule_matched_says_why(page: Page, desk: Desk) -> None:
    """The page of an event names the field and the rule's own wish; the order's page has the same."""
    firing = Till(desk.deployment).fire(trigger_of("wrong-source"), ledger_act(desk.wechat_pay), "NO-RULE-1")
    for path in (event_path(firing.event_ids[0]), order_path(f"{MERCHANT}#NO-RULE-1")):
        page.goto(path)
        expect(page.locator("#story")).to_contain_text("wants source that starts with pos., not till.pos")
        expect(page.locator("#story")).to_contain_text("send source pos.till")


def test_a_dead_letter_is_redriven_from_the_orders_page(page: Page, desk: Desk) -> None:
    """A dead letter stands on its order's page with reason and advice; mended and redriven, the order is synced."""
    Till(desk.deployment).fire(trigger_of("order-unknown"), ledger_act(desk.wechat_pay), "MENDED-1")
    page.goto(order_path(f"{MERCHANT}#MENDED-1"))
    letter = page.locator("[id^=letter-]")
    expect(letter).to_contain_text("ORDER_NOT_EXIST")
    expect(letter).to_contain_text("WeChat Pay has no such order under this mchid")
    desk.wechat_pay.ready_to_sync(MERCHANT, "MENDED-1")
    letter.get_by_role("button").click()
    expect(page.locator("#notices")).to_contain_text("is back in OrderQueue")
    expect(page.locator("#story")).to_contain_text("SYNCED: WeChat Pay knows")
    expect(page.locator(".timeline")).to_contain_text("redriven to OrderQueue")
    expect(letter).to_have_count(0)


def test_the_timeline_is_there_as_json(page: Page, desk: Desk) -> None:
    """The page's timeline as JSON has moments, what is missing, WeChat Pay's order and the item."""
    desk.wechat_pay.ready_to_sync(MERCHANT, "JSON-1")
    page.goto(order_path(f"{MERCHANT}#JSON-1"))
    path = page.get_by_role("link", name="The timeline as JSON").get_attribute("href")
    document = page.evaluate("path => fetch(path).then(answer => answer.json())", path)
    assert document["subject"]["out_order_no"] == "JSON-1"
    assert document["order"]["collection_state"] == "USER_PAYING"
    assert document["item"] is None
    assert document["now"][0]["words"].startswith("no event and no message")


def test_a_step_that_is_not_allowed_now_is_refused(page: Page, desk: Desk) -> None:
    """A step that the order's state no longer allows is refused in one line that names the others."""
    desk.wechat_pay.ready_to_sync(MERCHANT, "LATE-STEP-1")
    page.route("**/stream*", lambda route: route.fulfill(status=204))  # the page does not learn of the change
    page.goto(order_path(f"{MERCHANT}#LATE-STEP-1"))
    desk.wechat_pay.deduct(MERCHANT, "LATE-STEP-1")
    page.locator("#step-deduct").click()
    expect(page.get_by_role("alert")).to_have_text(re.compile("The order's state does not allow that now"))


@pytest.mark.parametrize("language", ["en-GB", "zh-CN"])
def test_an_orders_page_is_accessible(open_page: Callable[..., Page], desk: Desk, language: str) -> None:
    """An order's page with its timeline and an open call has nothing that axe-core calls serious, light or dark."""
    if axe.missing():
        pytest.skip(axe.missing())
    number = f"AXE-ORDER-{language}"
    Till(desk.deployment).fire(trigger_of("won-by-wechat"), ledger_act(desk.wechat_pay), number)
    page = open_page(language=language)
    page.goto(order_path(f"{MERCHANT}#{number}"))
    expect(page.locator("#story")).to_contain_text("PAID_BY_WECHAT NEWTON")
    page.locator("#story details summary").first.click()
    page.evaluate(axe.SCRIPT.read_text(encoding="utf-8"))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        assert page.evaluate(RUN) == [], scheme
