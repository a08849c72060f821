"""Nothing secret is ever written: everything that the demo logs and shows is searched for it."""

import json
import logging
import re
from pathlib import Path

import pytest

from sandbox.wechat_pay import SimulatedMerchant, Simulator
from tests.conftest import DemoRun


def test_the_demo_succeeds(evidence: tuple[DemoRun, list[SimulatedMerchant]]) -> None:
    """Exit code 0, and the line that the README shows."""
    run, _ = evidence
    assert run.code == 0, run.output
    assert "10 of 10 stories ended as promised" in run.output


def test_the_function_has_told_each_outcome(evidence: tuple[DemoRun, list[SimulatedMerchant]]) -> None:
    """There is something to search: one line a message, and every outcome of the stories among them."""
    lines = [json.loads(line) for line in evidence[0].files["function.log"].splitlines() if line.startswith('{"level"')]
    told = {line.get("status", line["message"]) for line in lines}
    assert {"synced", "PAID_BY_WECHAT", "RETRYING", "REJECTED"} <= told


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
    """Not by the function, not by the embedded AWS, not on the screen."""
    assert re.findall(pattern, evidence[0].all) == []


def test_no_piece_of_a_key_is_logged(evidence: tuple[DemoRun, list[SimulatedMerchant]]) -> None:
    """Not even a line of its PEM, nor the APIv3 key."""
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
    """At DEBUG it tells lengths and digests of the signed lines, to be compared with the console's signature tool."""
    import wechatpay

    client = wechatpay.Client(**wechat_pay.merchant().secret(), base_url=wechat_pay.base_url)
    wechat_pay.ready_to_sync("1230000109", "A1")
    with caplog.at_level(logging.DEBUG, logger="wechatpay"):
        client.payscore.query(out_order_no="A1", service_id="500001", appid="wxd678efh567hg6787")
    assert "sha256" in caplog.text
    for secret in (wechat_pay.merchant().private_key[40:80], "WECHATPAY2", "openid"):
        assert secret not in caplog.text


def test_errors_hold_no_secret(wechat_pay: Simulator, tmp_path: Path) -> None:
    """Neither their text nor their repr, whatever went wrong."""
    import wechatpay

    secret = wechat_pay.merchant().secret()
    for field in ("private_key", "serial_no", "apiv3_key", "mchid"):
        with pytest.raises(wechatpay.InvalidKeyError) as caught:
            wechatpay.Client(**{**secret, field: str(secret[field])[:-9] + "*"})
        assert str(secret["private_key"])[40:80] not in f"{caught.value!r}{caught.value}"
        assert str(secret["apiv3_key"])[:20] not in f"{caught.value!r}{caught.value}"
