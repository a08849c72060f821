"""Platform certificates that come by themselves: downloaded, verified, renewed beside the calls, never lost."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import wechatpay
from sandbox.waiting import PATIENCE, until
from sandbox.wechat_pay import Simulator
from wechatpay import transport
from wechatpay.cipher import Cipher
from wechatpay.platform_certificates import RENEWAL, RESPITE, MemoryStore, PlatformCertificates
from wechatpay.platform_keys import PlatformKeys

from .conftest import CERTIFICATE_SERIAL, NOW, PUBLIC_KEY_ID, Sign, certificate_pem, public_pem

APIV3_KEY = "0123456789abcdefghijklmnopqrstuv"
MCHID = "1230000109"
NEWER_SERIAL = "7132D72A03E93CDDF8C03BBD1F37EEDF00A1B2FF"


@dataclass
class Download:
    """What `GET /v3/certificates` answers."""

    headers: Mapping[str, str]
    content: bytes


@dataclass
class WeChatPay:
    """The other side: the certificates it hands out, who signs, whether it answers, how often it was asked."""

    signed: Sign
    key: rsa.RSAPrivateKey
    certificates: dict[str, str]
    serial: str = CERTIFICATE_SERIAL
    now: float = NOW
    failure: wechatpay.WeChatPayError | None = None
    asked: int = 0
    gate: threading.Event = field(default_factory=threading.Event)

    def fetch(self) -> Download:
        """Answer."""
        self.asked += 1
        assert self.gate.wait(PATIENCE)
        if self.failure:
            raise self.failure
        content = json.dumps({"data": [self.entry(*held) for held in self.certificates.items()]}).encode()
        return Download(self.signed(content, key=self.key, serial=self.serial, at=int(self.now)), content)

    def entry(self, serial: str, pem: str) -> dict[str, Any]:
        """Encrypt one certificate as WeChat Pay does, with the blanks of its own samples."""
        nonce = "0123456789ab"
        sealed = AESGCM(APIV3_KEY.encode()).encrypt(nonce.encode(), pem.encode(), b"certificate")
        return {
            "serial_no ": serial,
            "effective_time ": "2018-06-08T10:34:56+08:00",
            "encrypt_certificate": {
                "algorithm": "AEAD_AES_256_GCM",
                "nonce": nonce,
                "associated_data": "certificate",
                "ciphertext": base64.b64encode(sealed).decode(),
            },
        }


@pytest.fixture
def other_side(signed: Sign, certificate_key: rsa.RSAPrivateKey, certificate: str) -> WeChatPay:
    """WeChat Pay with one certificate, answering at once."""
    there = WeChatPay(signed, certificate_key, {CERTIFICATE_SERIAL: certificate})
    there.gate.set()
    return there


type Made = Callable[..., PlatformCertificates]


@pytest.fixture
def made(other_side: WeChatPay) -> Made:
    """Make the keys of a merchant who gave `fixed`."""

    def make(fixed: Mapping[str, str] | None = None, **options: Any) -> PlatformCertificates:
        given = PlatformKeys(fixed or {})
        clock = lambda: other_side.now  # noqa: E731
        return PlatformCertificates(
            given, other_side.fetch, Cipher(APIV3_KEY), clock=clock, jitter=lambda: 0.5, **options
        )

    return make


def renewed(certificates: PlatformCertificates) -> None:
    """Let a call pass, and wait for the renewal that it may have started."""
    certificates.prepare()
    for thread in threading.enumerate():
        if thread.name == "wechatpay-certificates":
            thread.join(PATIENCE)


def test_without_a_key_the_first_call_downloads(made: Made, other_side: WeChatPay) -> None:
    """Opened with the APIv3 key, believed for the signature of the certificate that was just opened."""
    certificates = made()
    assert dict(certificates.held) == {}
    certificates.prepare()
    certificates.prepare()
    assert list(certificates.held) == [CERTIFICATE_SERIAL]
    assert other_side.asked == 1


def test_with_a_certificate_at_hand_nobody_waits_and_nothing_is_asked(
    made: Made, other_side: WeChatPay, certificate: str
) -> None:
    """A cold start makes no call that an order has to wait for."""
    certificates = made({CERTIFICATE_SERIAL: certificate})
    renewed(certificates)
    assert other_side.asked == 0


def test_certificates_are_renewed_beside_the_calls_in_less_than_twelve_hours(
    made: Made, other_side: WeChatPay, certificate: str, certificate_key: rsa.RSAPrivateKey
) -> None:
    """The call that finds a renewal due goes on with the keys held so far."""
    certificates = made({CERTIFICATE_SERIAL: certificate})
    other_side.certificates[NEWER_SERIAL] = certificate_pem(certificate_key, NEWER_SERIAL)
    other_side.now += RENEWAL + 1801
    assert RENEWAL + 3600 < 12 * 3600
    other_side.gate.clear()
    certificates.prepare()
    assert list(certificates.held) == [CERTIFICATE_SERIAL], "the renewal is still on its way"
    certificates.prepare()
    other_side.gate.set()
    renewed(certificates)
    assert list(certificates.held) == [CERTIFICATE_SERIAL, NEWER_SERIAL]
    assert other_side.asked == 1


def test_the_renewals_of_many_processes_do_not_coincide(made: Made, other_side: WeChatPay, certificate: str) -> None:
    """Each adds up to an hour of its own."""
    certificates = made({CERTIFICATE_SERIAL: certificate})
    other_side.now += RENEWAL + 1799
    renewed(certificates)
    assert other_side.asked == 0


def test_a_failed_renewal_drops_nothing_and_is_tried_again_a_minute_later(
    made: Made, other_side: WeChatPay, certificate: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What verified before verifies on."""
    certificates = made({CERTIFICATE_SERIAL: certificate})
    other_side.now += RENEWAL + 3601
    other_side.failure = wechatpay.UnansweredError("no answer", sent=True)
    renewed(certificates)
    renewed(certificates)
    assert (list(certificates.held), other_side.asked) == ([CERTIFICATE_SERIAL], 1)
    assert "1 keys go on being used: no answer" in caplog.text
    other_side.now, other_side.failure = other_side.now + RESPITE, None
    renewed(certificates)
    assert other_side.asked == 2


def test_an_unknown_serial_is_asked_for_once_by_all_who_meet_it(
    made: Made, other_side: WeChatPay, certificate: str, certificate_key: rsa.RSAPrivateKey
) -> None:
    """One download, however many threads wait for it; and none for a minute, however often the serial is met."""
    certificates = made({CERTIFICATE_SERIAL: certificate})
    other_side.certificates[NEWER_SERIAL] = certificate_pem(certificate_key, NEWER_SERIAL)
    with ThreadPoolExecutor(20) as threads:
        found = list(threads.map(certificates.keys_for, [NEWER_SERIAL] * 20))
    assert all(NEWER_SERIAL in keys for keys in found)
    assert "UNHEARD0F" not in certificates.keys_for("UNHEARD0F")
    assert other_side.asked == 1
    other_side.now += RESPITE + 1
    certificates.keys_for("UNHEARD0F")
    assert other_side.asked == 2


def test_an_unknown_public_key_cannot_be_downloaded(made: Made, other_side: WeChatPay, certificate: str) -> None:
    """It comes from the merchant console; asking for certificates would be in vain."""
    made({CERTIFICATE_SERIAL: certificate}).keys_for("PUB_KEY_ID_0000000000000000000000000000000001")
    assert other_side.asked == 0


def test_while_a_merchant_migrates_nothing_is_renewed_by_the_clock(
    made: Made, other_side: WeChatPay, certificate: str, platform_pem: str
) -> None:
    """WeChat Pay takes such downloads for a proof that the migration is not done."""
    certificates = made({CERTIFICATE_SERIAL: certificate, PUBLIC_KEY_ID: platform_pem})
    other_side.now += 100 * RENEWAL
    renewed(certificates)
    assert other_side.asked == 0


def test_keys_that_the_merchant_gave_stay(made: Made, other_side: WeChatPay, platform_pem: str) -> None:
    """Whatever is downloaded is added to them."""
    certificates = made({PUBLIC_KEY_ID: platform_pem})
    assert list(certificates.keys_for(CERTIFICATE_SERIAL)) == [PUBLIC_KEY_ID, CERTIFICATE_SERIAL]


def test_a_list_that_neither_a_held_nor_an_enclosed_key_has_signed_is_refused(
    made: Made, other_side: WeChatPay, foreign_key: rsa.RSAPrivateKey
) -> None:
    """Whoever can answer in WeChat Pay's place cannot bring keys of his own."""
    other_side.key = foreign_key
    with pytest.raises(wechatpay.UntrustedError) as caught:
        made().prepare()
    assert caught.value.reason == "signature"


def test_a_leaked_apiv3_key_brings_certificates_of_its_own(
    made: Made, other_side: WeChatPay, foreign_key: rsa.RSAPrivateKey
) -> None:
    """What SECURITY.md says about it: sealed with the key and signed by what it encloses, a list is believed."""
    certificates = made({CERTIFICATE_SERIAL: other_side.certificates[CERTIFICATE_SERIAL]})
    other_side.certificates = {NEWER_SERIAL: certificate_pem(foreign_key, NEWER_SERIAL)}
    other_side.key, other_side.serial = foreign_key, NEWER_SERIAL
    assert certificates.keys_for(NEWER_SERIAL)[NEWER_SERIAL] == foreign_key.public_key()
    without = made({PUBLIC_KEY_ID: public_pem(other_side.key)})
    assert PUBLIC_KEY_ID in without.keys_for("PUB_KEY_ID_02"), "a public key is never downloaded"
    assert other_side.asked == 1


def test_a_leaked_apiv3_key_replaces_no_key_that_the_merchant_gave(
    made: Made, other_side: WeChatPay, certificate_key: rsa.RSAPrivateKey, foreign_key: rsa.RSAPrivateKey
) -> None:
    """A certificate of the same serial with another key does not take its place."""
    certificates = made(dict(other_side.certificates))
    for serial in (CERTIFICATE_SERIAL, NEWER_SERIAL):
        other_side.certificates[serial] = certificate_pem(foreign_key, serial)
    other_side.key, other_side.serial = foreign_key, NEWER_SERIAL
    assert certificates.keys_for(NEWER_SERIAL)[CERTIFICATE_SERIAL] == certificate_key.public_key()


def test_a_list_under_a_serial_that_is_held_is_verified_with_the_key_that_is_held(
    made: Made, other_side: WeChatPay, certificate_key: rsa.RSAPrivateKey, foreign_key: rsa.RSAPrivateKey
) -> None:
    """Not with the one that it brings along under that serial; what was downloaded before stays."""
    certificates = made()
    certificates.prepare()
    other_side.certificates = {CERTIFICATE_SERIAL: certificate_pem(foreign_key, CERTIFICATE_SERIAL)}
    other_side.key, other_side.now = foreign_key, NOW + 2 * RESPITE
    assert dict(certificates.keys_for(NEWER_SERIAL)) == {CERTIFICATE_SERIAL: certificate_key.public_key()}
    assert other_side.asked == 2


def test_a_certificate_that_has_ended_is_left_out(
    made: Made, other_side: WeChatPay, certificate_key: rsa.RSAPrivateKey
) -> None:
    """By its own dates: those in the list may differ (doc 4012068829)."""
    other_side.certificates[NEWER_SERIAL] = certificate_pem(certificate_key, NEWER_SERIAL, days=99)
    certificates = made()
    certificates.prepare()
    assert list(certificates.held) == [CERTIFICATE_SERIAL]


def test_a_changed_apiv3_key_is_told(made: Made, other_side: WeChatPay, monkeypatch: pytest.MonkeyPatch) -> None:
    """The most usual reason why a list does not open."""
    monkeypatch.setattr(f"{__name__}.APIV3_KEY", "another key of exactly 32 bytes!")
    certificates = PlatformCertificates(
        PlatformKeys({}), other_side.fetch, Cipher("0123456789abcdefghijklmnopqrstuv"), clock=lambda: NOW
    )
    with pytest.raises(wechatpay.UndecryptableError, match="APIv3"):
        certificates.prepare()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"data":[]}', b'{"data":[1]}', b'{"data":[{"serial_no":"A"}]}', b"\xff"]
)
def test_a_list_that_is_none_is_told(made: Made, other_side: WeChatPay, signed: Sign, content: bytes) -> None:
    """In one line."""
    other_side.fetch = lambda: Download(signed(content), content)  # type: ignore[method-assign]
    certificates = PlatformCertificates(PlatformKeys({}), other_side.fetch, Cipher(APIV3_KEY), clock=lambda: NOW)
    with pytest.raises(wechatpay.MalformedError, match="list of certificates"):
        certificates.prepare()


def test_those_who_wait_for_a_download_share_its_failure(made: Made, other_side: WeChatPay) -> None:
    """A batch does not wait for a silent host in series."""
    other_side.failure = wechatpay.UnansweredError("no answer", sent=True)
    certificates = made()
    with ThreadPoolExecutor(10) as threads:
        waiting = [threads.submit(certificates.prepare) for _ in range(10)]
    assert all(isinstance(one.exception(), wechatpay.UnansweredError) for one in waiting)
    assert other_side.asked == 1


def test_a_store_spares_the_next_process_the_download(made: Made, other_side: WeChatPay) -> None:
    """What one process downloaded, the next one loads."""
    store = MemoryStore()
    made(store=store).prepare()
    assert list(made(store=store).held) == [CERTIFICATE_SERIAL]
    assert other_side.asked == 1


def test_a_store_that_cannot_save_costs_no_payment(
    made: Made, other_side: WeChatPay, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told in the log."""

    class Broken(MemoryStore):
        def save(self, certificates: Mapping[str, str], /) -> None:
            raise OSError("disk full")

    certificates = made(store=Broken())
    certificates.prepare()
    assert list(certificates.held) == [CERTIFICATE_SERIAL]
    assert "disk full" in caplog.text


# ---- the same through a client ---------------------------------------------------------------------------------------


@pytest.fixture
def session() -> Iterator[wechatpay.Session]:
    """Connections of this test."""
    with wechatpay.Session() as session:
        yield session


def a_client(wechat_pay: Simulator, keys: Mapping[str, str], session: wechatpay.Session) -> wechatpay.Client:
    """A client that holds these keys."""
    secret: dict[str, Any] = wechat_pay.merchant(MCHID).secret() | {"platform_keys": keys}
    hosts: dict[str, Any] = {"base_url": wechat_pay.base_url, "backup_url": wechat_pay.backup_url}
    return wechatpay.Client(**secret, **hosts, session=session)


def operations(wechat_pay: Simulator) -> list[str]:
    """What was called so far."""
    return [call.operation for call in wechat_pay.calls]


def test_a_client_without_any_key_downloads_them(wechat_pay: Simulator, session: wechatpay.Session) -> None:
    """In certificate mode an APIv3 key is enough to begin with."""
    wechat_pay.ready_to_sync(MCHID, "A1")
    client = a_client(wechat_pay, {}, session)
    order = client.payscore.query(out_order_no="A1", service_id="500001", appid="wxd678efh567hg6787")
    assert order.state == "DOING"
    assert list(client.platform_keys) == [wechat_pay.platform.certificate_serial]
    assert operations(wechat_pay) == ["certificates", "query"]


def test_a_new_platform_certificate_costs_one_download_and_no_order(
    wechat_pay: Simulator, session: wechatpay.Session
) -> None:
    """The answer that came with it is verified after all: it is not thrown away, nothing is sent twice."""
    wechat_pay.ready_to_sync(MCHID, "A1")
    client = a_client(wechat_pay, wechat_pay.platform.certificates, session)
    newer = wechat_pay.platform.issue_certificate()
    answer = client.v3.payscore.serviceorder.get(
        params={"service_id": "500001", "appid": "wxd678efh567hg6787", "out_order_no": "A1"}
    )
    assert answer.serial == newer
    assert operations(wechat_pay) == ["query", "certificates"]


def test_a_serial_that_nobody_knows_is_told_beside_those_held(
    wechat_pay: Simulator, session: wechatpay.Session
) -> None:
    """After one download, which is not repeated for the next such answer."""
    wechat_pay.ready_to_sync(MCHID, "A1")
    client = a_client(wechat_pay, wechat_pay.platform.certificates, session)
    wechat_pay.misbehave("foreign_serial", operation="query")
    for _ in range(3):
        with pytest.raises(wechatpay.UntrustedError) as caught:
            client.payscore.query(out_order_no="A1", service_id="500001", appid="wxd678efh567hg6787")
    assert caught.value.reason == "unknown_serial"
    assert caught.value.serial
    assert caught.value.held == tuple(wechat_pay.platform.certificates)
    assert operations(wechat_pay) == ["query", "certificates", "query", "query"]


def test_pure_public_key_mode_downloads_nothing(wechat_pay: Simulator, session: wechatpay.Session) -> None:
    """Not even for an unknown serial: a new merchant has no platform certificates."""
    wechat_pay.ready_to_sync(MCHID, "A1")
    client = a_client(wechat_pay, wechat_pay.merchant(MCHID).platform_keys("public_key"), session)
    wechat_pay.misbehave("foreign_serial", operation="query")
    with pytest.raises(wechatpay.UntrustedError):
        client.payscore.query(out_order_no="A1", service_id="500001", appid="wxd678efh567hg6787")
    assert operations(wechat_pay) == ["query"]


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [(404, "RESOURCE_NOT_EXISTS", "无可用的平台证书"), (403, "NO_AUTH", "商户号使用微信支付公钥")],
)
def test_a_merchant_without_certificates_is_told_to_use_the_public_key(
    wechat_pay: Simulator, session: wechatpay.Session, status: int, code: str, message: str
) -> None:
    """WeChat Pay's 404 or 403 alone would not say it in English."""
    client = a_client(wechat_pay, {}, session)
    wechat_pay.misbehave("unsigned_error", operation="certificates", status=status, code=code, message=message)
    with pytest.raises(wechatpay.RefusedError, match=message) as caught:
        client.v3.payscore.serviceorder.get()
    assert "PUB_KEY_ID_" in caught.value.__notes__[0]


def test_a_notification_with_a_new_certificate_opens(wechat_pay: Simulator, session: wechatpay.Session) -> None:
    """It asks for the certificate, as an answer does."""
    wechat_pay.ready_to_sync(MCHID, "A1")
    client = a_client(wechat_pay, wechat_pay.platform.certificates, session)
    newer = wechat_pay.platform.issue_certificate()
    notification = client.notification(*wechat_pay.notification(MCHID, "A1", serial=newer))
    assert notification.serial == newer


def test_a_download_takes_no_longer_than_the_call_that_waits_for_it(
    wechat_pay: Simulator, session: wechatpay.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key of an answer that came late cannot be asked for in a second whole limit of time."""
    wechat_pay.ready_to_sync(MCHID, "A1")
    client = a_client(wechat_pay, wechat_pay.platform.certificates, session)
    limits: list[float] = []

    def noted(route: transport.Route, *args: Any, **kwargs: Any) -> transport.Reply:
        limits.append(route.end)
        return transport.exchange(route, *args, **kwargs)

    monkeypatch.setattr(wechatpay.sender, "exchange", noted)
    wechat_pay.platform.issue_certificate()
    client.payscore.query(out_order_no="A1", service_id="500001", appid="wxd678efh567hg6787")
    assert operations(wechat_pay) == ["query", "certificates"]
    assert len(set(limits)) == 1


def test_a_call_does_not_wait_for_ever_for_another_threads_download(made: Made, other_side: WeChatPay) -> None:
    """Its own limit of time ends the waiting."""
    other_side.gate.clear()
    certificates = made()
    first = threading.Thread(target=certificates.prepare)
    first.start()
    until(lambda: other_side.asked or None, state="the download has begun")
    with pytest.raises(wechatpay.UnansweredError, match="has not ended yet") as caught:
        certificates.prepare(time.monotonic() + 0.05)  # the limit, which the gate outlasts
    assert caught.value.sent is False
    other_side.gate.set()
    first.join(PATIENCE)
    certificates.prepare(time.monotonic())
    assert other_side.asked == 1


def test_a_wrong_call_downloads_nothing(wechat_pay: Simulator, session: wechatpay.Session) -> None:
    """It is refused before anything is sent, certificates included."""
    client = a_client(wechat_pay, {}, session)
    with pytest.raises(TypeError):
        client.chain("v3/{id}").get()
    with pytest.raises(ValueError, match="null"):
        client.chain("v3/x").post(json={"a": None})
    assert operations(wechat_pay) == []


def test_without_an_apiv3_key_nothing_can_be_downloaded(wechat_pay: Simulator) -> None:
    """So some key must be given."""
    secret = wechat_pay.merchant(MCHID).secret() | {"platform_keys": {}, "apiv3_key": None}
    with pytest.raises(ValueError, match="platform_keys is empty"):
        wechatpay.Client(**secret)
