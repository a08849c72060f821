"""The hunt for a signature error in the browser: what was signed, what arrived, and the first byte that differs."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from sandbox.console.desk import Desk
from sandbox.testbed import MERCHANT
from sandbox.wechat_pay.message import Request
from tests.console.test_frame import press, tab_to
from tests.sandbox.signed import BASE, PAID, signed_request


def wrong_call(desk: Desk, number: str) -> Request:
    """A call that arrives with another body than the one that was signed."""
    desk.wechat_pay.ready_to_sync(MERCHANT, number)
    request = signed_request(desk.wechat_pay, "POST", f"{BASE}/{number}/sync", PAID)
    sent = Request(request.method, request.target, request.headers, PAID.replace(b"Order_Paid", b"Order_paid"))
    assert desk.wechat_pay.answer(sent).reply.status == 401
    return request


def test_the_hunt_by_keyboard_alone(page: Page, desk: Desk) -> None:
    """Paste header and body: the call that arrived is found, the first different byte shown, and the mistake named."""
    request = wrong_call(desk, "HUNT-1")
    page.goto("/signature")
    tab_to(page, page.locator("#authorization"))
    page.keyboard.insert_text(request.header("Authorization"))
    tab_to(page, page.locator("#body"))
    page.keyboard.insert_text(PAID.decode())
    press(page, page.locator("#hunt-request"))
    result = page.locator("#result")
    expect(result.get_by_role("heading", level=2)).to_have_text("Not verified: here is why")
    expect(result).to_contain_text(f"Compared with the call that arrived: POST {BASE}/HUNT-1/sync")
    expect(result).to_contain_text("the body that was signed is the pasted one, not the one that arrived: byte ")
    expect(page.locator("#difference-received")).to_contain_text("Order_⟦p⟧aid")
    expect(page.locator("#difference-pasted")).to_contain_text("Order_⟦P⟧aid")
    expect(page.locator("#result-signed")).to_contain_text("Order_Paid")


def test_a_whole_request_is_verified_without_scripts(
    open_page: Callable[..., Page], desk: Desk, tmp_path: Path
) -> None:
    """Without scripts, a pasted request with its body from a file is verified; a wrong URL in it is named."""
    page = open_page(java_script_enabled=False)
    request = signed_request(desk.wechat_pay, "POST", f"{BASE}/HUNT-2/sync", PAID)
    body = tmp_path / "body.json"
    body.write_bytes(PAID)
    for target, heading in ((request.target, "Verified"), (f"{request.target}?x=1", "Not verified")):
        page.goto("/signature")
        head = f"POST {target} HTTP/1.1\nAuthorization: {request.header('Authorization')}\n"
        page.locator("#authorization").fill(head)
        page.locator("#body-file").set_input_files(body)
        page.locator("#hunt-request").click()
        expect(page.locator("#result-title")).to_contain_text(heading)
    expect(page.locator("#result")).to_contain_text("the query is missing")


def test_an_answer_is_verified_as_it_was_pasted(page: Page, desk: Desk) -> None:
    """Pasted headers and body of an answer are verified; a body that was formatted on its way is named."""
    headers, body = desk.wechat_pay.notification(MERCHANT, _order(desk, "HUNT-3"))
    page.goto("/signature")
    page.locator("#answer-headers").fill("\n".join(f"{name}: {value}" for name, value in headers.items()))
    page.locator("#answer-body").fill(body.decode())
    page.locator("#hunt-answer").click()
    expect(page.locator("#result-title")).to_have_text("Verified: this signature is right")
    page.locator("#answer-body").fill(body.decode().replace('","', '", "'))
    page.locator("#hunt-answer").click()
    expect(page.locator("#result")).to_contain_text(
        "the body that was signed is another one: serialised without blanks"
    )


def _order(desk: Desk, number: str) -> str:
    desk.wechat_pay.ready_to_sync(MERCHANT, number)
    return number


def test_what_is_no_header_is_refused_in_one_line(page: Page) -> None:
    """Without an Authorization in it the page says what to paste."""
    page.goto("/signature")
    page.locator("#authorization").fill("hello")
    page.locator("#hunt-request").click()
    expect(page.get_by_role("alert")).to_contain_text("There is no Authorization in it: paste the header's value")
