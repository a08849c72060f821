"""Log lines and metrics of the second function: words and numbers, never what a caller sent."""

import io
import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from aws_lambda_powertools import Logger, Metrics

from notifications.endings import Effect, Ending, Failed, Reason, Received, Refused, Trouble
from notifications.reading import PAID
from notifications.report import report
from orders.order import Status
from tests.notifications.conftest import Doorway
from tests.orders.values import an_order

type Reported = Callable[[Ending], tuple[list[dict[str, Any]], dict[str, Any]]]


@pytest.fixture
def reported(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Reported:
    """Report an ending; return the log lines, and the metrics by name with their dimensions."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "stack")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "WeChatPayScore")

    def run(ending: Ending) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        stream = io.StringIO()
        logger = Logger(service=secrets.token_hex(8), location=None, timestamp=None, stream=stream, level="DEBUG")
        logger.remove_keys(["service"])  # Powertools keeps one logger for each service
        report(ending, logger, Metrics())
        blobs = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [json.loads(line) for line in stream.getvalue().splitlines()], _metrics(blobs)

    return run


def _metrics(blobs: list[dict[str, Any]]) -> dict[str, Any]:
    dimensions: dict[str, Any] = {}
    for blob in blobs:
        [directive] = blob["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "WeChatPayScore"
        for metric in directive["Metrics"]:
            dimensions[metric["Name"]] = {name: blob[name] for name in directive["Dimensions"][0]}
    return dimensions


def _received(effect: Effect) -> Received:
    return Received("1", PAID, effect, "A1", order=an_order(Status.PAID_BY_WECHAT, event_id="e1", reason="NEWTON"))


@pytest.mark.parametrize("effect", Effect)
def test_each_notification_is_counted_by_event_and_outcome(reported: Reported, effect: Effect) -> None:
    """The metric Notifications has the event's type and the outcome as dimensions, next to the stack's own."""
    _, metrics = reported(_received(effect))
    assert metrics["Notifications"] == {"service": "stack", "event": PAID, "outcome": effect.value}


@pytest.mark.parametrize("effect", [Effect.PAID_BY_WECHAT, Effect.REPEATED])
def test_a_double_payment_raises_the_alarm(reported: Reported, effect: Effect) -> None:
    """A double payment is an error in the log, counted as one that a till's report has shown; a repetition as well."""
    [line], metrics = reported(_received(effect))
    assert metrics["PaidByWeChat"] == metrics["DoublePaymentNotified"] == {"service": "stack"}
    assert (line["level"], line["message"]) == ("ERROR", "the customer has paid twice: refund")
    assert (line["out_order_no"], line["event_id"], line["status"]) == ("A1", "e1", "PAID_BY_WECHAT")


def test_a_contradiction_raises_the_alarm(reported: Reported) -> None:
    """A contradiction counts as a double payment, as one between two answers does."""
    [line], metrics = reported(_received(Effect.CONTRADICTION))
    assert "PaidByWeChat" in metrics
    assert line["message"] == "verdicts contradict each other, see the order's history"


def test_an_unknown_word_raises_its_alarm(reported: Reported) -> None:
    """A payment in words that this version does not know is counted as such an answer is."""
    [line], metrics = reported(_received(Effect.NOT_UNDERSTOOD))
    assert "UnknownWord" in metrics
    assert line["level"] == "WARNING"


@pytest.mark.parametrize("reason", sorted(set(Reason) - {Reason.PROBE}))
def test_a_refusal_is_a_word_and_a_merchant(reported: Reported, reason: Reason) -> None:
    """The line of a refusal has the reason and the merchant of the path; refusals about keys are counted."""
    [line], metrics = reported(Refused(reason, "1230000109"))
    assert line == {"level": "WARNING", "message": "notification refused"} | {
        "reason": reason.value,
        "mchid": "1230000109",
    }
    assert ("NotificationsUntrusted" in metrics) is reason.is_about_keys
    assert metrics["Notifications"]["outcome"] == "refused"


def test_a_signature_test_is_no_forgery(reported: Reported) -> None:
    """WeChat Pay's own test of signatures is counted apart, and raises no alarm."""
    _, metrics = reported(Refused(Reason.PROBE, "1"))
    assert metrics == {"Notifications": {"service": "stack", "event": "NONE", "outcome": "probe"}}


@pytest.mark.parametrize("trouble", Trouble)
def test_what_is_sent_again_is_counted(reported: Reported, trouble: Trouble) -> None:
    """What could not be dealt with is an error with its reason, and counted for its alarm."""
    [line], metrics = reported(Failed(trouble, "1"))
    assert (line["level"], line["reason"]) == ("ERROR", trouble.value)
    assert "NotificationsFailed" in metrics
    assert ("UnreadableItem" in metrics) is (trouble is Trouble.UNREADABLE_ITEM)


def test_no_line_has_what_a_caller_sent(reported: Reported, doorway: Doorway) -> None:
    """Neither a header nor a body, a key or an openid is in any line, for genuine and forged notifications."""
    headers, body = doorway.notification(doorway.collected("A1"))
    forged = [(headers, body + b" "), ({**headers, "Wechatpay-Serial": "SECRET-SERIAL"}, body), (headers, body)]
    output = str([reported(doorway.deliver(*one)) for one in forged])
    order = doorway.wechat_pay.order("1230000109", "A1").answer()
    secret = doorway.wechat_pay.merchant().secret()
    words = [headers["Wechatpay-Signature"], headers["Wechatpay-Nonce"], "SECRET-SERIAL", "ciphertext"]
    for word in [*words, order["openid"], order.get("transaction_id", "openid")]:
        assert word not in output
    assert secret["apiv3_key"] not in output
