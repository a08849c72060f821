"""Control refuses what it cannot do by name, says what it accepts, and which state was wanted."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.wechat_pay import Simulator, examples
from sandbox.wechat_pay.control import VERBS
from sandbox.wechat_pay.message import Request, as_json
from sandbox.wechat_pay.verbs import table
from sandbox.wechat_pay.views import VIEWS
from tests.sandbox.signed import BASE, MCHID, PAID, QUERY, signed_request
from tests.sandbox.test_control import do, look

S1 = {"mchid": MCHID, "out_order_no": "S1"}


def refusal(wechat_pay: Simulator, verb: str, **arguments: Any) -> dict[str, Any]:
    """The refusal of a verb as JSON."""
    answer = do(wechat_pay, verb, **arguments)
    assert answer.status_code == 400
    value: dict[str, Any] = answer.json()
    return value


@pytest.mark.parametrize(
    ("verb", "arguments", "message", "field", "nearest"),
    [
        ("compleet", {}, "there is no verb 'compleet'; did you mean complete?", None, "complete"),
        ("xyz", {}, "there is no verb 'xyz'; verbs: ", None, None),
        ("calls", {}, "calls is a view: GET /__sandbox__/calls", None, None),
        ("open", {"mchid": MCHID}, "open needs out_order_no: text", "out_order_no", None),
        ("open", {**S1, "endpont": "direct"}, "did you mean endpoint?", "endpont", "endpoint"),
        ("behave", {"now": 1}, "behave has no argument 'now'; it takes nothing", "now", None),
        ("open", {**S1, "mchid": 1}, "open: mchid must be text, not 1", "mchid", None),
        ("open", {**S1, "endpoint": "oversee"}, "endpoint must be one of direct, partner", None, None),
        ("complete", {**S1, "total_amount": "39"}, "total_amount must be a whole number, not '39'",
         "total_amount", None),
        ("complete", {**S1, "total_amount": True}, "total_amount must be a whole number", "total_amount", None),
        ("complete", {**S1, "at": "now"}, "at must be a number, not 'now'", "at", None),
        ("deducting", {**S1, "on": "yes"}, "on must be true or false, not 'yes'", "on", None),
        ("open", {**S1, "mchid": "x"}, "mchid must be 1 to 32 digits, not 'x'", None, None),
        ("misbehave", {"name": "slow", "operation": "snyc"}, "there is no operation 'snyc'; did you mean sync?",
         "operation", "sync"),
        ("misbehave", {"name": "slow", "out_order_no": 5}, "out_order_no must be text, not 5", "out_order_no", None),
        ("misbehave", {}, "misbehave needs name: text", "name", None),
        ("switch", {"name": "sync_notifys", "value": True}, "did you mean sync_notifies?", "name", "sync_notifies"),
        ("switch", {"name": "second_sync", "value": "ORDER_DON"}, "value must be one of ORDER_DONE, ", "value",
         "ORDER_DONE"),
        ("switch", {"name": "sync_notifies", "value": 1}, "value must be true or false, not 1", "value", None),
        ("switch", {"name": "calls_per_second", "value": -1}, "value must be a whole number from 0", "value", None),
        ("switch", {"name": "notifications_by_public_key", "value": 101}, "a whole number from 0 to 100", "value",
         None),
        ("switch", {"name": "query_lag", "value": True}, "value must be a number from 0", "value", None),
        ("change_merchant", {"mchid": MCHID, "kind": "publickey"}, "kind must be one of public_key, certificate, both",
         "kind", "public_key"),
        ("withdraw_certificate", {"serial": "5A"}, "serial must be one of 5", "serial", None),
        ("notification", {**S1, "event_type": "PAID"}, "event_type must be a type such as", "event_type", None),
        ("notification", {**S1, "forgery": "wrong"}, "forgery must be one of none, wrong_signature", "forgery", None),
    ],
)  # fmt: skip
def test_a_command_that_cannot_be_is_refused_with_its_remedy(
    wechat_pay: Simulator, verb: str, arguments: dict[str, Any], message: str, field: str | None, nearest: str | None
) -> None:
    """A wrong name, a missing argument and a wrong value are named, with what is accepted and the nearest name."""
    answer = refusal(wechat_pay, verb, **arguments)
    assert message in answer["error"]
    assert (answer.get("field"), answer.get("nearest")) == (field, nearest)
    assert "\n" not in answer["error"]


@pytest.mark.parametrize(
    ("steps", "verb", "message"),
    [
        (["open"], "complete", "complete needs DOING/USER_CONFIRM; S1 is CREATED: confirm it first"),
        (["open"], "deduct", "deduct needs DOING/MCH_COMPLETE; S1 is CREATED: confirm and complete it first"),
        (["open"], "deducting", "deducting needs DOING/MCH_COMPLETE; S1 is CREATED: confirm and complete it first"),
        (["open", "confirm"], "deduct", "S1 is DOING/USER_CONFIRM: complete it first"),
        (["open", "confirm"], "expire", "expire needs CREATED; S1 is DOING/USER_CONFIRM: it has passed that state"),
        (["ready_to_sync"], "confirm", "confirm needs CREATED; S1 is DOING/MCH_COMPLETE: it has passed that state"),
        (["ready_to_sync", "deduct"], "cancel", "S1 is DONE, paid by NEWTON: this state never changes again"),
        (["open", "cancel"], "complete", "S1 is REVOKED: this state never changes again; open another order"),
        (["ready_to_sync", "deducting"], "cancel", "WeChat Pay is deducting: deducting with on false ends it"),
    ],
)
def test_a_verb_in_the_wrong_state_says_which_one_was_wanted(
    wechat_pay: Simulator, steps: list[str], verb: str, message: str
) -> None:
    """The refusal names the state that was wanted, the one that the order has, and the steps between."""
    for step in steps:
        assert do(wechat_pay, step, **S1).status_code == 200
    answer = refusal(wechat_pay, verb, **S1)
    assert message in answer["error"]
    assert answer["needs"]
    assert answer["code"] in answer["error"]


def test_an_order_that_does_not_exist_is_named_with_the_nearest(wechat_pay: Simulator) -> None:
    """A wrong number is refused with the number that was probably meant, or with what to do."""
    assert "open it first; GET ledger lists the orders" in refusal(wechat_pay, "confirm", **S1)["error"]
    wechat_pay.open(MCHID, "ORDER-4711")
    answer = refusal(wechat_pay, "confirm", mchid=MCHID, out_order_no="ORDER-4117")
    assert answer["nearest"] == "ORDER-4711"
    assert "merchant 1230000109 has no order 'ORDER-4117': did you mean ORDER-4711?" in answer["error"]


@pytest.mark.parametrize("body", [b"{", b"[]", b'"open"', b"1", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(wechat_pay: Simulator, body: bytes) -> None:
    """A body that is no JSON, or no object, is refused in one line."""
    headers = {"Content-Type": "application/json"}
    reply = wechat_pay.answer(Request("POST", "/__sandbox__/open", headers, body)).reply
    assert reply.status == 400
    assert b"open: " in reply.body


def test_the_verbs_are_declared_once(wechat_pay: Simulator) -> None:
    """`GET verbs` lists every verb and view with its arguments, from the methods themselves."""
    verbs = {one["name"]: one for one in look(wechat_pay, "verbs")}
    assert verbs.keys() == VERBS
    complete = {one["name"]: one for one in verbs["complete"]["arguments"]}
    assert complete["total_amount"] == {
        "name": "total_amount", "accepts": "a whole number", "required": False, "default": 3900,
    }  # fmt: skip
    assert complete["mchid"] == {"name": "mchid", "accepts": "text", "required": True}
    assert verbs["complete"]["needs"] == "DOING/USER_CONFIRM"
    assert {one["name"] for one in look(wechat_pay, "verbs?kind=views")} == VIEWS.keys()
    assert all(one["does"] for one in verbs.values())


def test_the_page_of_the_sandbox_has_the_tables_of_verbs_and_views() -> None:
    """`sandbox/README.md` lists every verb and view with its arguments and what it does."""
    page = (Path(__file__).parents[2] / "sandbox/README.md").read_text(encoding="utf-8")
    assert table() in page
    assert table({name: one.declaration for name, one in VIEWS.items()}, "view") in page


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("call", "there is no view 'call'; did you mean calls?"),
        ("calls?outorder=1", "calls has no argument 'outorder'"),
        ("calls?limit=x", "limit must be a whole number, not 'x'"),
        ("calls?detail=maybe", "detail must be true or false"),
        ("secret?mode=x", "mode must be one of public_key, certificate, both"),
        ("secret?mchid=x", "mchid must be 1 to 32 digits"),
    ],
)
def test_a_view_that_cannot_be_is_refused_by_name(wechat_pay: Simulator, query: str, message: str) -> None:
    """A wrong name or filter of a view is refused as that of a verb."""
    assert message in look(wechat_pay, query)["error"]


def test_calls_are_filtered(wechat_pay: Simulator) -> None:
    """The view has the calls of a merchant, order, operation, status and time, the newest so many."""
    wechat_pay.ready_to_sync(MCHID, "S1", at=1_764_547_200.0)
    wechat_pay.answer(signed_request(wechat_pay, "GET", QUERY))
    wechat_pay.answer(signed_request(wechat_pay, "POST", f"{BASE}/S1/sync", PAID))
    wechat_pay.answer(signed_request(wechat_pay, "POST", f"{BASE}/S2/sync", PAID))
    at = wechat_pay.calls[1].at
    for query, operations in {
        "": ["query", "sync", "sync"],
        "?out_order_no=S1": ["query", "sync"],
        "?operation=sync": ["sync", "sync"],
        "?status=404": ["sync"],
        f"?mchid={MCHID}&status=200": ["query", "sync"],
        "?mchid=1": [],
        "?limit=1": ["sync"],
        "?limit=0": [],
        f"?since={at}": ["sync", "sync"],
        "?out_order_no=S1&operation=query": ["query"],
    }.items():
        assert [call["operation"] for call in look(wechat_pay, f"calls{query}")] == operations, query
    assert look(wechat_pay, "counts")["total"] == 3


def test_a_call_in_detail_shows_what_was_signed_and_what_was_found(wechat_pay: Simulator) -> None:
    """The detail of a call has the exact text that the signature must cover, the bytes received, and the verdict."""
    wechat_pay.ready_to_sync(MCHID, "S1", at=1_764_547_200.0)
    good = signed_request(wechat_pay, "POST", f"{BASE}/S1/sync", PAID)
    wechat_pay.answer(Request(good.method, good.target, good.headers, PAID + b" "))
    wechat_pay.answer(good)
    wechat_pay.answer(Request("GET", QUERY, {**good.headers, "Authorization": "Basic x"}, b""))
    wrong, right, malformed = look(wechat_pay, "calls?detail=true")
    assert wrong["signature"]["problem"] == "错误的签名，导致验签失败。"
    assert not wrong["signature"]["verified"]
    assert wrong["signature"]["signed_text"].endswith(PAID.decode() + " \n")
    assert base64.b64decode(wrong["body_base64"]) == PAID + b" "
    assert right["signature"]["verified"]
    assert right["signature"]["signed_text"].startswith(f"POST\n{BASE}/S1/sync\n")
    assert right["signature"]["fields"]["mchid"] == MCHID
    assert json.loads(right["answer"]["body"])["state"] == "DONE"
    assert right["headers"]["User-Agent"] == "till/1"
    assert malformed["signature"]["fields"] == {}
    assert malformed["signature"]["problem"]


def test_the_record_of_calls_is_bounded_and_their_number_exact(wechat_pay: Simulator) -> None:
    """Only the newest calls are kept, all are counted by operation and answer."""
    wechat_pay.call_log.keep(3)
    wechat_pay.open(MCHID, "S1")
    for _ in range(10):
        wechat_pay.answer(signed_request(wechat_pay, "GET", QUERY))
    assert len(wechat_pay.calls) == 3
    assert wechat_pay.call_log.total == 10
    assert look(wechat_pay, "counts") == {"total": 10, "calls": {"query 200": 10}}


def test_an_order_is_found_in_the_ledger_by_its_filters(wechat_pay: Simulator) -> None:
    """The ledger has the orders of a number or state alone where one is named."""
    wechat_pay.open(MCHID, "S1")
    wechat_pay.ready_to_sync(MCHID, "S2")
    assert [one["out_order_no"] for one in look(wechat_pay, "ledger?state=CREATED")] == ["S1"]
    assert [one["state"] for one in look(wechat_pay, "ledger?out_order_no=S2")] == ["DOING"]
    assert len(look(wechat_pay, f"ledger?mchid={MCHID}")) == 2


def test_a_script_does_over_http_what_python_does(wechat_pay: Simulator) -> None:
    """Keys, kinds, switches, automation and notifications are commands of the control port too."""
    serial = wechat_pay.merchant(MCHID).serial_no
    assert do(wechat_pay, "rotate_key", mchid=MCHID).json()["serial_no"] != serial
    assert do(wechat_pay, "change_merchant", mchid=MCHID, kind="certificate").json()["kind"] == "certificate"
    assert do(wechat_pay, "issue_certificate").json()["serial"] == wechat_pay.platform.certificate_serial
    old = wechat_pay.platform.public_key_id
    assert do(wechat_pay, "replace_public_key").json()["public_key_id"] != old
    assert do(wechat_pay, "switch", name="second_sync", value="200").json() == {}
    values = {one["name"]: one["value"] for one in look(wechat_pay, "switches")}
    assert values["second_sync"] == "200"
    assert do(wechat_pay, "automate", deduct_after=5).json()["deduct_after"] == 5
    assert do(wechat_pay, "ready_to_sync", **S1).status_code == 200
    answer = do(wechat_pay, "notification", **S1).json()
    assert answer["signed_text"] == (
        f"{answer['headers']['Wechatpay-Timestamp']}\n{answer['headers']['Wechatpay-Nonce']}\n{answer['body']}\n"
    )
    assert look(wechat_pay, "notifications") == []
    assert [one["mchid"] for one in look(wechat_pay, "merchants")] == [MCHID]
    assert list(look(wechat_pay, f"secret?mchid={MCHID}")["platform_keys"]) == list(wechat_pay.platform.certificates)


def test_a_created_order_has_the_body_that_a_page_documents(wechat_pay: Simulator) -> None:
    """An order that a signed call has created takes the verbs as one that a verb has opened."""
    wechat_pay.merchant(MCHID)
    body = as_json(examples.create("S1"))
    assert wechat_pay.answer(signed_request(wechat_pay, "POST", BASE, body)).reply.status == 200
    assert do(wechat_pay, "confirm", **S1).json()["state"] == "DOING"
