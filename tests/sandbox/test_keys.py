"""Merchants of each kind, and keys that come and go: what a merchant sees of it at the hosts."""

import json
from pathlib import Path

import pytest

from sandbox.wechat_pay.keys import Mode
from sandbox.wechat_pay.message import Request
from sandbox.wechat_pay.service import SimulatedService
from sandbox.wechat_pay.verbs import CommandError
from tests.sandbox.signed import MCHID, QUERY, signed_request

CERTIFICATES = "/v3/certificates"


@pytest.fixture
def service(key_ring: Path) -> SimulatedService:
    """A service with one order."""
    service = SimulatedService(keys=key_ring)
    service.ready_to_sync(MCHID, "S1")
    return service


def serial_of_answer(service: SimulatedService, asks: str) -> str:
    """The serial that signs the answer to a request with this Wechatpay-Serial."""
    request = signed_request(service, "GET", QUERY)
    headers = {**request.headers, "Wechatpay-Serial": asks}
    return service.answer(Request(request.method, request.target, headers, b"")).reply.headers["Wechatpay-Serial"]


@pytest.mark.parametrize(
    ("kind", "asks", "by_public_key"),
    [
        ("public_key", "", True),
        ("public_key", "PUB_KEY_ID_1", True),
        ("certificate", "PUB_KEY_ID_1", False),
        ("certificate", "", False),
        ("both", "PUB_KEY_ID_1", True),
        ("both", "", False),
    ],
)
def test_the_key_of_an_answer_is_that_of_the_merchants_kind(
    service: SimulatedService, kind: Mode, asks: str, by_public_key: bool
) -> None:
    """The public key signs for its merchants, a certificate for its own, in a migration the header decides."""
    service.change_merchant(MCHID, kind=kind)
    serial = serial_of_answer(service, asks)
    assert (serial == service.platform.public_key_id) == by_public_key
    assert serial in service.merchant(MCHID).platform_keys(kind)


def test_a_merchant_without_certificates_finds_none(service: SimulatedService) -> None:
    """New merchants have the public key alone: the download ends in 404 RESOURCE_NOT_EXISTS (doc 4012551764)."""
    service.change_merchant(MCHID, kind="public_key")
    reply = service.answer(signed_request(service, "GET", CERTIFICATES)).reply
    assert (reply.status, reply.code) == (404, "RESOURCE_NOT_EXISTS")
    assert "无可用的平台证书" in json.loads(reply.body)["message"]


def test_a_merchant_without_apiv3_key_cannot_download(service: SimulatedService) -> None:
    """Without an APIv3 key the download is refused in WeChat Pay's words (doc 4012072670)."""
    service.change_merchant(MCHID, has_apiv3_key=False)
    reply = service.answer(signed_request(service, "GET", CERTIFICATES)).reply
    assert (reply.status, reply.code) == (401, "SIGN_ERROR")
    assert json.loads(reply.body)["message"] == "商户未设置APIv3密钥。"
    service.change_merchant(MCHID, has_apiv3_key=True)
    assert service.answer(signed_request(service, "GET", CERTIFICATES)).reply.status == 200


def test_a_new_certificate_signs_and_the_old_one_is_handed_out(service: SimulatedService) -> None:
    """After an issue both are in the download, and the newest signs; a withdrawal turns it back."""
    first = serial_of_answer(service, "")
    second = service.issue_certificate()["serial"]
    assert serial_of_answer(service, "") == second
    reply = service.answer(signed_request(service, "GET", CERTIFICATES)).reply
    assert [entry["serial_no"] for entry in json.loads(reply.body)["data"]] == [first, second]
    service.withdraw_certificate()
    assert serial_of_answer(service, "") == first
    assert list(service.merchant(MCHID).platform_keys("certificate")) == [first]


def test_when_all_certificates_are_withdrawn_the_public_key_signs(service: SimulatedService) -> None:
    """Without any certificate the download ends in 404, every answer is the public key's, and none can be withdrawn."""
    service.change_merchant(MCHID, kind="certificate")
    service.withdraw_certificate()
    assert service.platform.certificate_serial == ""
    assert serial_of_answer(service, "") == service.platform.public_key_id
    assert service.answer(signed_request(service, "GET", CERTIFICATES)).reply.status == 404
    with pytest.raises(CommandError, match="issue_certificate first"):
        service.withdraw_certificate()
    assert serial_of_answer(service, "") == service.platform.public_key_id
    assert service.issue_certificate()["serial"] == serial_of_answer(service, "")


def test_a_replaced_public_key_is_unknown(service: SimulatedService) -> None:
    """After a replacement the new id signs, and the old key is held by none."""
    old = service.platform.public_key_id
    new = service.replace_public_key()["public_key_id"]
    assert old != new == serial_of_answer(service, old)
    assert list(service.merchant(MCHID).platform_keys()) == [new]


def test_the_old_key_of_a_merchant_is_refused(service: SimulatedService) -> None:
    """After a rotation the old key's signature is refused by its serial, the new one's accepted."""
    request = signed_request(service, "GET", QUERY)
    assert service.rotate_key(MCHID)["serial_no"] == service.merchant(MCHID).serial_no
    reply = service.answer(request).reply
    assert (reply.status, json.loads(reply.body)["message"]) == (401, "商户证书序列号有误。")
    assert service.answer(signed_request(service, "GET", QUERY)).reply.status == 200


def test_the_secret_is_that_of_the_merchants_kind(service: SimulatedService) -> None:
    """A secret has the keys of the merchant's kind: the public key, the certificates, in a migration the public key."""
    keys = {}
    for kind in ("public_key", "certificate", "both"):
        service.change_merchant(MCHID, kind=kind)
        keys[kind] = list(service.merchant(MCHID).secret()["platform_keys"])
    assert keys["public_key"] == keys["both"] == [service.platform.public_key_id]
    assert keys["certificate"] == list(service.platform.certificates)
    service.change_merchant(MCHID, has_apiv3_key=False)
    assert service.merchant(MCHID).secret()["apiv3_key"] is None
