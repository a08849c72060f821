"""The console's stories in a real browser: send, duplicate, broken, no rule matched, outage, redrive, delete, steps."""

import itertools
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from orders.order import Status
from sandbox.console.desk import Desk
from sandbox.testbed import MERCHANT, until
from sandbox.wechat_pay.switches import ARGUMENTS
from tests.sandbox.handler import listening

pytestmark = pytest.mark.usefixtures("console")

numbers = itertools.count(1)


@pytest.fixture
def number() -> str:
    """The number of an order that no other test has."""
    return f"BROWSER-{next(numbers):03}"


def send(page: Page, trigger: str, number: str = "") -> None:
    """Fire a trigger at the till."""
    page.goto("/till")
    page.get_by_label("Order number").fill(number)
    page.locator(f"#send-{trigger}").click()
    expect(page.locator("#notices")).to_contain_text("sent about order")


def row(page: Page, number: str) -> Locator:
    """The rows of an order in the till's list."""
    return page.locator("#events tbody tr").filter(has_text=number)


def dead_letter(desk: Desk, page: Page, number: str) -> None:
    """Send an event about an order that WeChat Pay does not have, and wait until it is a dead letter."""
    page.goto("/till")
    page.locator("summary", has_text="Your own JSON").click()
    page.locator("#own-text").fill(event_about(number))
    page.locator("#send-own").click()
    expect(page.locator("#notices")).to_contain_text(f"sent about order {number}")
    page.goto("/dead-letters")
    expect(letter(page, number)).to_contain_text("ORDER_NOT_EXIST")


def letter(page: Page, number: str) -> Locator:
    """The row of an order in the list of dead letters."""
    return page.locator("#letters tr").filter(has=page.get_by_role("link", name=f"{MERCHANT}#{number}", exact=True))


def test_a_valid_event_is_synced(page: Page, keep: Callable[[str], object], desk: Desk) -> None:
    """An event that is sent at the till is seen as SYNCED without a reload, and the picture counts it."""
    send(page, "paid-offline")
    text = page.locator("#notices").inner_text()
    match = re.search(r"order (PAID-OFFLINE-\S+)\.", text)
    assert match is not None
    expect(row(page, match[1])).to_contain_text("SYNCED")
    keep("till")
    page.goto("/")
    expect(page.locator("#station-table [data-number=SYNCED]")).not_to_have_text("0")
    expect(page.locator("#station-wechat_pay")).to_contain_text("median")
    assert page.get_by_role("link", name="Till (POS)").get_attribute("href") == "/till"


def test_the_same_event_twice_is_one_sync(page: Page, desk: Desk, number: str) -> None:
    """An event that is sent twice is synced once."""
    send(page, "same-event-twice", number)
    expect(row(page, number).filter(has_text="SYNCED")).to_have_count(2)
    until(lambda: page.evaluate("1") and _is_quiet(desk))
    assert desk.wechat_pay.order(MERCHANT, number).syncs == 1


def _is_quiet(desk: Desk) -> bool:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    url = desk.deployment.outputs["OrderQueueUrl"]
    answer = desk.deployment.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
    return all(int(answer["Attributes"][name]) == 0 for name in names)


def test_a_late_event_is_synced(page: Page, number: str) -> None:
    """A payment of half an hour ago is synced as one of this moment is."""
    send(page, "late", number)
    expect(row(page, number)).to_contain_text("SYNCED")


@pytest.mark.parametrize("endpoint", ["partner", "payafter"])
def test_the_till_sends_for_an_endpoint(page: Page, number: str, endpoint: str, desk: Desk) -> None:
    """The till names what the chosen endpoint needs, and the order is one of that endpoint."""
    page.goto("/till")
    page.get_by_label("Order number").fill(number)
    page.get_by_label("Endpoint").select_option(endpoint)
    page.locator("#send-paid-offline").click()
    expect(row(page, number)).to_contain_text("SYNCED")
    assert (
        desk.wechat_pay.order(MERCHANT, number, sub_mchid="1900000109" if endpoint == "partner" else "").endpoint
        == endpoint
    )


def test_a_broken_event_becomes_a_dead_letter_with_its_reason(page: Page, number: str) -> None:
    """A payload without paid_time becomes a dead letter that names the field, and can be deleted after a question."""
    send(page, "broken", number)
    row(page, number).get_by_role("link", name="a dead letter: why?").click()
    letters = page.locator("#letters tbody tr").filter(has_text="paid_time: is missing")
    expect(letters).not_to_have_count(0)
    message_id = letters.first.get_by_role("checkbox").get_attribute("value")
    page.locator("#delete-chosen").click()
    expect(page.get_by_role("alert")).to_contain_text("tick at least one letter first")
    letters.first.get_by_role("checkbox").check()
    page.locator("#delete-chosen").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Delete dead letters?")
    page.locator("#delete").click()
    expect(page.locator("#jobs")).to_contain_text("1 message(s) are deleted and kept in")
    page.goto("/dead-letters")
    expect(page.locator(f"#letters [value='{message_id}']")).to_have_count(0)


def test_an_event_that_no_rule_matches_says_why(page: Page, number: str, keep: Callable[[str], object]) -> None:
    """An event of another source goes nowhere, and the page names the field and what the rule takes."""
    send(page, "wrong-source", number)
    row(page, number).get_by_role("link", name="no rule matched: why?").click()
    event = page.locator("#events .card").filter(has_text=number)
    expect(event).to_contain_text('source is till.pos, and the rule takes [{"prefix": "pos."}]')
    send(page, "wrong-detail-type")
    expect(page.locator("#events .card").filter(has_text="order_paid").first).to_contain_text(
        "detail-type is order_paid"
    )
    keep("no-rule-matched")


def test_what_the_bus_refuses_is_one_line(page: Page) -> None:
    """The bus's own words about an event that it refuses stand in one line, with what to do."""
    page.goto("/till")
    page.locator("summary", has_text="Your own JSON").click()
    page.locator("#own-text").fill("not JSON")
    page.locator("#send-own").click()
    expect(page.get_by_role("alert")).to_have_text(
        "It was not sent: MalformedDetail: Detail is malformed.. Correct it and send it again."
    )
    page.locator("#own-text").fill("")
    page.locator("#send-own").click()
    expect(page.get_by_role("alert")).to_have_text("Nothing was sent: type a payload first.")


def test_an_outage_is_switched_on_and_off(page: Page, number: str, desk: Desk, keep: Callable[[str], object]) -> None:
    """While WeChat Pay refuses connections an order waits; after `behave` it is synced, and the page shows both."""
    page.goto("/switches")
    page.locator("summary").filter(has_text="connection_refused").click()
    page.get_by_role("button", name="Switch on connection_refused").click()
    expect(page.locator("#active")).to_contain_text("connection_refused backup")
    keep("switches")
    send(page, "paid-offline", number)
    expect(row(page, number)).to_contain_text("RETRYING")
    page.goto("/switches")
    page.locator("#behave").click()
    expect(page.locator("#active")).to_contain_text("Nothing: WeChat Pay behaves.")
    page.goto("/till")
    expect(row(page, number)).to_contain_text("SYNCED")


def test_a_switch_takes_its_options(page: Page, number: str, desk: Desk) -> None:
    """A fault is switched on for one order and one call with an option; a wrong option is refused in one line."""
    page.goto("/switches")
    fault = page.locator("details").filter(has=page.locator("summary code", has_text=re.compile("^slow$")))
    fault.locator("summary").click()
    fault.get_by_label("seconds").fill("0.01")
    fault.get_by_label("For how many calls").fill("1")
    fault.get_by_label("Order number").fill(number)
    fault.get_by_role("button").click()
    expect(page.locator("#active")).to_contain_text("seconds=0.01")
    expect(page.locator("#active")).to_contain_text("for 1 more call(s)")
    [active] = desk.wechat_pay.active_faults
    assert (active.kind.name, active.times, active.out_order_no, active.options["seconds"]) == ("slow", 1, number, 0.01)
    silent = page.locator("details").filter(has=page.locator("summary code", has_text="stale_timestamp"))
    silent.locator("summary").click()
    silent.get_by_label("For how many calls").evaluate("field => field.type = 'text'")
    silent.get_by_label("For how many calls").fill("many")
    silent.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_have_text("Nothing was switched on: many is no number of calls.")
    page.locator("#behave").click()
    expect(page.locator("#active")).to_contain_text("Nothing: WeChat Pay behaves.")


def test_chosen_and_all_dead_letters_are_redriven(page: Page, desk: Desk, keep: Callable[[str], object]) -> None:
    """Letters are analysed; once their cause is mended the ticked one is redriven and synced, then all."""
    first, second = f"BROWSER-{next(numbers):03}", f"BROWSER-{next(numbers):03}"
    dead_letter(desk, page, first)
    dead_letter(desk, page, second)
    page.locator("#analyse").click()
    expect(page.locator("#letters tr").filter(has_text="ORDER_NOT_EXIST").first).to_contain_text("mend the cause first")
    for number in (first, second):
        desk.testbed.ready(number)
    page.locator("#analyse").click()
    expect(page.locator("#letters tr").filter(has_text="ORDER_NOT_EXIST").first).to_contain_text("mended: redrive")
    keep("dead-letters")
    page.get_by_role("checkbox", name=f"Tick the letter of {MERCHANT}#{first}").check()
    page.locator("#redrive-chosen").click()
    expect(page.locator("#jobs")).to_contain_text("1 message(s) are back in OrderQueue (1 of the plan's 1)")
    expect(letter(page, first)).to_have_count(0)
    expect(letter(page, second)).to_have_count(1)
    page.locator("#redrive-all").click()
    expect(letter(page, second)).to_have_count(0)
    for number in (first, second):
        until(lambda number=number: (order := desk.testbed.order(number)) and order.status is Status.SYNCED)  # type: ignore[misc]


def test_a_tick_stays_while_the_list_changes(page: Page, desk: Desk) -> None:
    """A letter that is ticked stays ticked when another arrives, and an empty choice is refused in one line."""
    first, second = f"BROWSER-{next(numbers):03}", f"BROWSER-{next(numbers):03}"
    dead_letter(desk, page, first)
    page.locator("#redrive-chosen").click()
    expect(page.get_by_role("alert")).to_have_text("Nothing was done: tick at least one letter first.")
    tick = page.get_by_role("checkbox", name=f"Tick the letter of {MERCHANT}#{first}")
    tick.check()
    desk.till.send_own(event_about(second), "queue")
    expect(letter(page, second)).to_have_count(1)
    expect(tick).to_be_checked()
    expect(tick).to_be_focused()


def event_about(number: str) -> str:
    """An event about an order that WeChat Pay does not have."""
    return f'{{"mchid": "{MERCHANT}", "out_order_no": "{number}", "detail": {{"paid_time": "20260101120000"}}}}'


def test_an_order_takes_the_steps_that_its_state_allows(
    page: Page, number: str, desk: Desk, keep: Callable[[str], object]
) -> None:
    """An order is opened, confirmed, completed with an amount, and deducted, each by its button, without a reload."""
    page.goto("/orders")
    page.get_by_label("Order number", exact=True).fill(number)
    page.get_by_label("State").select_option("open")
    page.locator("#create-order").click()
    line = page.locator("#orders tr").filter(has=page.get_by_role("link", name=number, exact=True))
    expect(line).to_contain_text("CREATED")
    expect(line.get_by_role("button")).to_have_text(["Confirm", "Cancel", "Expire"])
    line.get_by_role("button", name="Confirm").click()
    expect(line).to_contain_text("USER_CONFIRM")
    line.get_by_label("Amount, yuan").fill("three")
    line.get_by_role("button", name="Complete").click()
    expect(page.get_by_role("alert")).to_have_text("Nothing was done: three is no amount, write yuan such as 39.00.")
    line.get_by_label("Amount, yuan").fill("12.5")
    desk.testbed.ready(f"{number}-NEXT")
    expect(page.locator("#orders tr").filter(has_text=f"{number}-NEXT")).to_have_count(
        1
    )  # the table has changed meanwhile
    line.get_by_role("button", name="Complete").click()
    expect(line).to_contain_text("12.50")
    line.get_by_role("button", name="Begin to deduct").click()
    expect(line).to_contain_text("is deducting")
    line.get_by_role("button", name="End without the money").click()
    line.get_by_role("button", name="Deduct", exact=True).click()
    expect(line).to_contain_text("NEWTON")
    expect(line).to_contain_text("none")
    keep("orders")
    page.get_by_label("Order number contains").fill(number)
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#orders tbody tr")).to_have_count(2)


def test_a_step_that_is_no_longer_allowed_says_which_state_it_needs(page: Page, number: str, desk: Desk) -> None:
    """A button that was overtaken is answered in one line that says which state was wanted."""
    desk.testbed.ready(number)
    page.route("**/stream*", lambda route: route.fulfill(status=204))  # the page does not learn of the change
    page.goto(f"/orders?search={number}")
    button = page.get_by_role("button", name="Deduct", exact=True)
    desk.wechat_pay.deduct(MERCHANT, number)
    button.click()
    expect(page.get_by_role("alert")).to_contain_text("deduct needs DOING/MCH_COMPLETE;")


def test_a_hundred_orders_show_their_progress(page: Page, keep: Callable[[str], object]) -> None:
    """A hundred orders are sent in the background; the page counts them up to the end, and can be used meanwhile."""
    page.goto("/till")
    page.locator("#send-hundred").click()
    expect(page.locator("#notices")).to_contain_text("A hundred orders are on their way.")
    expect(page.locator("#jobs")).to_contain_text("100 of 100")
    page.goto("/")
    expect(page.locator("#station-queue [data-number=in_flight]")).to_have_text("0")
    page.locator("#dismiss-jobs").click()
    expect(page.locator("#jobs li")).to_have_count(0)
    keep("overview")


def test_outcomes_are_listed_as_they_go(page: Page, desk: Desk) -> None:
    """An event of the function about an outcome appears without a reload."""
    page.goto("/outcomes")
    detail = '{"mchid": "1", "out_order_no": "OUTCOME-1", "status": "SYNCED"}'
    entry = {"Source": "payscore.orders", "DetailType": "Order_Synced", "Detail": detail}
    bus = desk.deployment.outputs["EventBusName"]
    desk.deployment.client("events").put_events(Entries=[entry | {"EventBusName": bus}])
    expect(page.locator("#outcomes")).to_contain_text("OUTCOME-1 SYNCED")


def test_a_notification_is_followed_to_its_handler(
    page: Page, number: str, desk: Desk, keep: Callable[[str], object]
) -> None:
    """A customer's confirmation is told to the order's notify_url; each attempt has its answer, and is sent again."""
    with listening(500, 204) as handler:
        page.goto("/orders")
        page.get_by_label("Order number", exact=True).fill(number)
        page.get_by_label("State").select_option("open")
        page.get_by_label("Notifications go to").fill(handler.url)
        page.locator("#create-order").click()
        line = page.locator("#orders tr").filter(has_text=number)
        line.get_by_role("button", name="Confirm").click()
        page.goto("/outcomes")
        notification = page.locator("#notifications tr").filter(has_text=number)
        expect(notification).to_contain_text("PAYSCORE.USER_CONFIRM")
        expect(notification).to_contain_text("answered 500: only 200 and 204 accept")
        expect(notification).to_contain_text("accepted")
        keep("outcomes")
        page.goto(f"/order/{MERCHANT}/{number}")
        of_the_order = page.locator("#notifications tbody tr")
        expect(of_the_order).to_have_count(1)
        of_the_order.get_by_role("button", name="Send again").click()
        expect(of_the_order.locator("li")).to_have_count(3)
    assert len(handler.calls) == 3


def test_an_order_goes_by_itself(page: Page, number: str, desk: Desk) -> None:
    """The form of `automate` has its declared fields: the order is deducted by itself; a wrong value is one line."""
    desk.testbed.ready(number)
    page.goto(f"/order/{MERCHANT}/{number}")
    page.locator("summary").filter(has_text="Let an order be confirmed").click()
    failures = page.get_by_label("failures")
    failures.fill("1.5")
    page.locator("#do-automate").click()
    expect(page.get_by_role("alert")).to_have_text("automate: failures must be a whole number, not '1.5'")
    failures.fill("0")
    page.get_by_label("deduct_after").fill("0")
    page.locator("#do-automate").click()
    expect(page.locator("#notices")).to_contain_text("Done: Let an order be confirmed")
    expect(page.locator("#step-deduct")).to_have_count(0)
    assert desk.wechat_pay.order(MERCHANT, number).paid_type == "NEWTON"


def test_a_named_switch_is_set_and_is_refused_in_one_line(page: Page, desk: Desk) -> None:
    """The switch has the field that it declares; what it does not take is refused; its default stays in sight."""
    page.goto("/switches")
    page.locator("#choices-title").click()
    expect(page.locator("#choices tbody tr")).to_have_count(len(ARGUMENTS))
    page.locator("#value-second_sync").select_option("200")
    page.locator("#choose-second_sync").click()
    expect(page.locator("#choice-second_sync")).to_contain_text("now 200, default: ORDER_DONE")
    assert desk.wechat_pay.switches.second_sync == "200"
    page.locator("#value-query_lag").fill("-1")
    page.locator("#choose-query_lag").click()
    expect(page.get_by_role("alert")).to_have_text("switch query_lag: value must be a number from 0, not -1.0")
    page.locator("#value-second_sync").select_option("ORDER_DONE")
    page.locator("#choose-second_sync").click()
    expect(page.locator("#choice-second_sync")).not_to_contain_text("default:")


def test_a_merchant_changes_its_kind_and_wechat_pay_its_certificates(
    page: Page, desk: Desk, keep: Callable[[str], object]
) -> None:
    """A merchant changes its kind, and WeChat Pay issues and withdraws a certificate, each without a reload."""
    mchid = "1900000101"
    desk.wechat_pay.merchant(mchid)
    before = len(desk.wechat_pay.platform.certificates)
    page.goto("/merchants")
    page.locator(f"#kind-{mchid}").select_option("certificate")
    page.locator(f"#change-{mchid}").click()
    expect(page.locator("#notices")).to_contain_text("Done: Make a merchant one of another kind")
    expect(page.locator(f"#kind-now-{mchid}")).to_have_text("platform certificates")
    page.locator("#issue-certificate").click()
    expect(page.locator("#certificates li")).to_have_count(before + 1)
    keep("merchants")
    page.locator("#certificates li").last.get_by_role("button").click()
    expect(page.locator("#certificates li")).to_have_count(before)
    page.locator("#more-open_service summary").click()
    page.locator("#more-open_service").get_by_label("mchid", exact=True).fill(mchid)
    page.locator("#more-open_service").get_by_label("openid", exact=True).fill("oBROWSER")
    page.locator("#do-open_service").click()
    expect(page.locator("#permissions")).to_contain_text("oBROWSER")
    page.locator("#permissions").get_by_role("button", name="The user closes it").click()
    expect(page.locator("#permissions")).to_contain_text("UNAVAILABLE")
