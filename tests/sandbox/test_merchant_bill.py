"""The merchant's bill has what WeChat Pay has collected, encrypted for the merchant, and nothing else."""

import base64
import csv
import gzip
import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.sandbox.asking import SERVICE_ID, Asking

BILL = "/v3/payscore/merchant-bill"
QUERY = {"service_id": SERVICE_ID, "tar_type": "GZIP", "encryption_algorithm": "AEAD_AES_256_GCM"}
HOUR, DAY = "2026010111", "2025-12-31"
OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)  # noqa: S303


@pytest.fixture
def asking(key_ring: Path) -> Asking:
    """The merchant, with S1 collected by WeChat Pay at 11:00 and S2 paid at the till; it is noon."""
    asking = Asking.alone(key_ring)
    asking.clock.now -= 3600
    asking.service.ready_to_sync(asking.mchid, "S1", endpoint="direct")
    asking.service.deduct(asking.mchid, "S1")
    asking.service.ready_to_sync(asking.mchid, "S2", endpoint="direct")
    paid = {"appid": "wxd678efh567hg6787", "service_id": SERVICE_ID, "type": "Order_Paid"}
    detail = {"detail": {"paid_time": "20260101105900"}}
    assert asking.post("/v3/payscore/serviceorder/S2/sync", paid | detail).status == 200
    asking.clock.now += 3600
    return asking


def downloaded(asking: Asking, entry: dict[str, Any]) -> bytes:
    """Download a bill, decrypt and decompress it, as a merchant does."""
    answer = asking.get(entry["download_url"].removeprefix("http://localhost"))
    assert (answer.status, answer.reply.signed) == (200, False)
    key = asking.service.merchant(asking.mchid).key.decrypt(base64.b64decode(entry["encrypt_key"]), OAEP)
    return gzip.decompress(AESGCM(key).decrypt(entry["nonce"].encode(), answer.reply.body, None))


def test_a_bill_is_downloaded_decrypted_and_verified(asking: Asking) -> None:
    """The file decrypts by the merchant's key, has the SHA-1 that was announced, and one line for S1 alone."""
    body = asking.get(BILL, bill_date=HOUR, **QUERY).body
    assert body["download_bill_count"] == len(body["download_bill_list"]) == 1
    entry = body["download_bill_list"][0]
    assert (entry["bill_sequence"], entry["hash_type"]) == (1, "SHA1")
    content = downloaded(asking, entry)
    assert hashlib.sha1(content).hexdigest() == entry["hash_value"]  # noqa: S324  as documented
    lines = list(csv.reader(io.StringIO(content.decode())))
    payment = dict(zip(lines[0], lines[1], strict=True))
    order = asking.service.order(asking.mchid, "S1")
    assert (payment["商户服务订单号"], payment["微信订单号"]) == ("`S1", f"`{order.transaction_id}")
    assert (payment["交易类型"], payment["订单金额"], payment["交易时间"]) == (
        "`AUTH",
        "`39.00",
        "`2026-01-01 11:00:00",
    )
    assert payment["商户数据包"] == f"`wxzff|{order.order_id}|S1"
    assert lines[3] == ["`1", "`39.00"]


def test_a_period_without_payments_has_no_file(asking: Asking) -> None:
    """A day on which WeChat Pay has collected nothing, and another service, have no file."""
    assert asking.get(BILL, bill_date=DAY, **QUERY).body == {"download_bill_count": 0}
    assert asking.get(BILL, bill_date=HOUR, **{**QUERY, "service_id": "500002"}).body == {"download_bill_count": 0}


@pytest.mark.parametrize(
    "date", ["2026010112", "2025090112", "2026-01-01", "2025-09-30", "2026-1-1", "20260101", "2026010199", "2025-02-30"]
)
def test_a_bill_is_about_the_last_three_months(asking: Asking, date: str) -> None:
    """A period that has not ended, one of more than three months ago, or one that does not exist is refused."""
    answer = asking.get(BILL, bill_date=date, **QUERY)
    assert (answer.refusal, answer.field) == ((400, "PARAM_ERROR"), "bill_date")


def test_an_address_is_valid_for_five_minutes_and_for_its_merchant(asking: Asking) -> None:
    """After five minutes a file's address is 404; so is an address that was never given."""
    entry = asking.get(BILL, bill_date=HOUR, **QUERY).body["download_bill_list"][0]
    target = entry["download_url"].removeprefix("http://localhost")
    asking.clock.now += 300
    assert asking.get(target).status == 200
    asking.clock.now += 1
    assert asking.get(target).refusal == (404, "RESOURCE_NOT_EXISTS")
    asking.get(BILL, bill_date=HOUR, **QUERY)
    assert asking.get(target).refusal == (404, "RESOURCE_NOT_EXISTS")
    assert asking.get("/v3/payscore/bill/downloadurl?token=x").refusal == (404, "RESOURCE_NOT_EXISTS")
