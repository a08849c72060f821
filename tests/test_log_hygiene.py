"""No secret is ever written: all output of the demo is searched for secrets."""

import json
import logging
import re
from pathlib import Path

import pytest

from orders.items import item_of
from orders.order import Facts, Refusal, Status
from sandbox.waiting import until
from sandbox.wechat_pay import SimulatedMerchant, Simulator
from tests.conftest import DemoRun
from tests.lambda_runtime import a_function
from tests.orders.values import an_order


def test_the_demo_succeeds(evidence: tuple[DemoRun, list[SimulatedMerchant]]) -> None:
    """The demo ends with exit code 0 and the line that the README shows."""
    run, _ = evidence
    assert run.code == 0, run.output
    assert "12 of 12 stories ended as promised" in run.output


def test_the_function_has_logged_each_outcome(evidence: tuple[DemoRun, list[SimulatedMerchant]]) -> None:
    """The log has one line for each message, and every outcome of the stories is among them."""
    lines = [json.loads(line) for line in evidence[0].files["orders.log"].splitlines() if line.startswith('{"level"')]
    outcomes = {line.get("status", line["message"]) for line in lines}
    assert {"synced", "PAID_BY_WECHAT", "RETRYING", "REJECTED"} <= outcomes


@pytest.mark.parametrize(
    "pattern",
    [
        r"PRIVATE KEY",
        r"PUBLIC KEY-",
        r"BEGIN CERTIFICATE",
        r"WECHATPAY2-SHA256-RSA2048",
        r"(?i)authorization",
        r"(?i)wechatpay-signature",
        r"(?i)openid",
        r"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
        r"(?i)apiv3",
        r"nonce_str",
        r'"body"\s*:\s*"\{',
    ],
)
def test_no_secret_header_body_or_openid_is_logged(
    evidence: tuple[DemoRun, list[SimulatedMerchant]], pattern: str
) -> None:
    """Neither the function nor the embedded AWS nor the screen shows a secret, a header, a body or an openid."""
    assert re.findall(pattern, evidence[0].all) == []


def test_the_outcomes_functions_log_has_no_identity_of_a_customer(tmp_path: Path) -> None:
    """Of an item with WeChat Pay's whole answer, the log of the third function has the key and words alone."""
    openid = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
    facts = Facts({"openid": openid, "attach": "13800138000"}, "DONE", transaction_id="4200001")
    order = an_order(Status.SYNCED, attempts=1, facts=facts, last_error=Refusal("X", f"said {openid}"))
    broken = item_of(order) | {"history": {"S": openid}}
    images = [item_of(order), broken]
    records = [{"dynamodb": {"SequenceNumber": str(place), "NewImage": image}} for place, image in enumerate(images, 1)]
    with a_function(tmp_path / "output") as function:  # whose AWS is down: it also logs why nothing was taken
        function.kill()
        function.start("outcomes.handler")
        kind, answer = function.api.invoke({"Records": records})
        lines = until(lambda: [line for line in function.log_lines() if "problem" in line], state="both lines")
    assert (kind, answer) == ("response", {"batchItemFailures": [{"itemIdentifier": "1"}]})
    assert {line["message"] for line in lines} == {
        "no outcome event: unreadable item",
        "outcome event not taken, comes again",
    }
    output = (tmp_path / "output").read_text(encoding="utf-8")
    assert order.key in output
    assert [word for word in (openid, "openid", "13800138000", "4200001") if word in output] == []


def test_no_piece_of_a_key_is_logged(evidence: tuple[DemoRun, list[SimulatedMerchant]]) -> None:
    """No line of a private key's PEM and no APIv3 key is in the output."""
    run, merchants = evidence
    assert merchants
    for merchant in merchants:
        lines = [line for line in merchant.private_key.splitlines() if len(line) > 40]
        assert lines
        assert not [line for line in lines if line in run.all]
        assert merchant.apiv3_key not in run.all


def test_the_library_describes_what_it_signed_without_showing_it(
    wechat_pay: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG the library logs lengths and digests of the signed lines, which the console's signature tool shows."""
    import wechatpay

    client = wechatpay.Client(**wechat_pay.merchant().secret(), base_url=wechat_pay.base_url)
    wechat_pay.ready_to_sync("1230000109", "A1")
    with caplog.at_level(logging.DEBUG, logger="wechatpay"):
        client.payscore.query(out_order_no="A1", service_id="500001", appid="wxd678efh567hg6787")
    assert "sha256" in caplog.text
    for secret in (wechat_pay.merchant().private_key[40:80], "WECHATPAY2", "openid"):
        assert secret not in caplog.text


def test_errors_hold_no_secret(wechat_pay: Simulator, tmp_path: Path) -> None:
    """Neither the text nor the repr of an error shows a part of a key."""
    import wechatpay

    secret = wechat_pay.merchant().secret()
    for field in ("private_key", "serial_no", "apiv3_key", "mchid"):
        with pytest.raises(wechatpay.InvalidKeyError) as caught:
            wechatpay.Client(**{**secret, field: str(secret[field])[:-9] + "*"})
        assert str(secret["private_key"])[40:80] not in f"{caught.value!r}{caught.value}"
        assert str(secret["apiv3_key"])[:20] not in f"{caught.value!r}{caught.value}"
