"""Notifications through the deployed template: the front, the second function, the table, and a till's report."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from ops import attention
from orders.order import Order, Status
from sandbox.journal import Journal
from sandbox.testbed import MERCHANT, SHORT_WAITS, Testbed
from sandbox.waiting import until

PAID = "PAYSCORE.USER_PAID"


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    """The template, deployed with a front for notifications."""
    waits = {**SHORT_WAITS, "RetryScale": "1"}  # so that no retry comes before WeChat Pay tells
    with Testbed.open(tmp_path_factory.mktemp("notifications"), parameters=waits, doorways=True) as bed:
        bed.wechat_pay.notify_url = None  # the tests send notifications themselves
        yield bed


def _notify(bed: Testbed, number: str, event_type: str = PAID, **changes: Any) -> int:
    """Send a notification about an order as WeChat Pay does; return the status of the answer."""
    headers, body = bed.wechat_pay.notification(MERCHANT, number, event_type)
    return _post(bed, MERCHANT, {**headers, "Content-Type": "application/json", **changes}, body)


def _post(bed: Testbed, mchid: str, headers: dict[str, str], body: bytes) -> int:
    assert bed.front is not None
    return requests.post(bed.front.notify_url(mchid), data=body, headers=headers, timeout=60).status_code


def _report(bed: Testbed, number: str) -> None:
    payload = {"mchid": MERCHANT, "out_order_no": number, "detail": {"paid_time": "20260101120000"}}
    queue = bed.stack.outputs["OrderQueueUrl"]
    bed.cloud.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(payload))


def _becomes(bed: Testbed, number: str, status: Status) -> Order:
    def look() -> Order | None:
        order = bed.order(number)
        return order if order is not None and order.status is status else None

    return until(look, state=f"{number}: {status}", instead=lambda: bed.order(number))


def _calls(bed: Testbed, number: str) -> list[str]:
    return [call.operation for call in bed.wechat_pay.calls if call.out_order_no == number]


def test_a_double_payment_is_in_the_item_when_wechat_pay_has_its_answer(bed: Testbed) -> None:
    """An order that a till has reported, and that is retried, is PAID_BY_WECHAT once the notification is answered."""
    number = "TOLD-AFTER-1"
    bed.ready(number)
    bed.wechat_pay.deducting(MERCHANT, number)
    _report(bed, number)
    _becomes(bed, number, Status.RETRYING)
    bed.wechat_pay.deduct(MERCHANT, number)
    assert _notify(bed, number) == 204
    order = bed.order(number)
    assert order is not None
    assert (order.status, order.reason, order.source) == (Status.PAID_BY_WECHAT, "NEWTON", "sqs")
    assert order.facts is not None
    assert order.facts.transaction_id == bed.wechat_pay.order(MERCHANT, number).transaction_id
    assert [line.outcome for line in order.history] == [Status.RETRYING, Status.PAID_BY_WECHAT]
    assert _calls(bed, number) == ["sync"]


def test_a_double_payment_is_visible_wherever_someone_looks(bed: Testbed) -> None:
    """What WeChat Pay tells of a double payment is in the item, a metric, an outcome event and the list of orders."""
    number, journal = "VISIBLE-1", Journal(bed.cloud.endpoint_url)
    bed.ready(number)
    bed.wechat_pay.deducting(MERCHANT, number)
    _report(bed, number)
    _becomes(bed, number, Status.RETRYING)
    before = journal.entries()[-1].n
    transaction_id = bed.wechat_pay.deduct(MERCHANT, number).transaction_id
    assert _notify(bed, number) == 204
    assert [one.facts.transaction_id for one in (bed.order(number),) if one and one.facts] == [transaction_id]
    double_payments = attention.items(bed.deployment, [Status.PAID_BY_WECHAT])
    assert f"{MERCHANT}#{number}" in {item.key for item in double_payments}

    def details() -> list[Any]:
        entries = [entry.fields for entry in journal.entries(before) if entry.kind == "event_published"]
        return [one["detail"] for one in entries if one["detail_type"] == "OrderPaidByWeChat"]

    [detail] = until(lambda: details() or None, state="the outcome event")
    assert (detail["out_order_no"], detail["transaction_id"]) == (number, transaction_id)

    def metrics() -> list[str]:
        lines = bed.cloud.logs(bed.functions["notifications"])
        return [line for line in lines if '"DoublePaymentNotified":[1.0]' in line.replace(" ", "")]

    until(metrics, state="the metric")


def test_a_report_after_the_notification_is_answered_from_the_item(bed: Testbed) -> None:
    """An order that WeChat Pay told of first is COLLECTED; a till's report makes it PAID_BY_WECHAT without a call."""
    number = "TOLD-BEFORE-1"
    bed.ready(number)
    bed.wechat_pay.deduct(MERCHANT, number)
    assert _notify(bed, number) == 204
    order = bed.order(number)
    assert order is not None
    assert (order.status, order.payment.paid_time) == (Status.COLLECTED, "")
    assert order.expires_at is not None
    assert order.expires_at > time.time() + 13 * 86_400
    _report(bed, number)
    order = _becomes(bed, number, Status.PAID_BY_WECHAT)
    assert (order.expires_at, order.payment.paid_time, order.source) == (None, "20260101120000", "sqs")
    assert _calls(bed, number) == []
    lines = until(lambda: [line for line in bed.lines(number) if line.get("remembered")], state="the log line")
    assert [line["message"] for line in lines] == ["the customer has paid twice: refund"]


def test_a_forged_notification_is_refused_without_a_word(bed: Testbed) -> None:
    """Changed bytes, another merchant's path and a missing header get 401 without detail, and leave no item."""
    number = "FORGED-1"
    bed.ready(number)
    bed.wechat_pay.deduct(MERCHANT, number)
    headers, body = bed.wechat_pay.notification(MERCHANT, number, PAID)
    assert bed.front is not None
    answer = requests.post(bed.front.notify_url(MERCHANT), data=body + b" ", headers=headers, timeout=60)
    assert (answer.status_code, answer.json()) == (401, {"code": "FAIL", "message": "失败"})
    assert _post(bed, "1999999999", headers, body) == 401
    assert _post(bed, MERCHANT, {"Wechatpay-Serial": headers["Wechatpay-Serial"]}, body) == 401
    assert bed.order(number) is None


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/1230000109", 404), ("POST", "/a/b", 404)])
def test_the_front_has_one_route(bed: Testbed, method: str, path: str, status: int) -> None:
    """The front passes on POST with one part in its path, and answers anything else by itself."""
    assert bed.front is not None
    assert requests.request(method, bed.front.url + path, timeout=60).status_code == status


def test_what_the_second_function_logs_has_no_secret(bed: Testbed) -> None:
    """Its log lines have words and numbers; no header, body, key or openid."""
    lines = bed.cloud.logs(bed.stack.outputs["NotificationsFunctionName"])
    assert any("notification refused" in line for line in lines)
    text = "\n".join(lines).lower()
    merchant = bed.wechat_pay.merchant(MERCHANT)
    for secret in ("wechatpay-", "openid", "ciphertext", "private key", "oupf8", merchant.apiv3_key.lower()):
        assert secret not in text
