"""Platform certificates: downloaded, verified, renewed in the background, never lost."""

import base64
import json
import math
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
    """An answer to `GET /v3/certificates`."""

    headers: Mapping[str, str]
    content: bytes


@dataclass
class SimulatedDownloads:
    """WeChat Pay's side of a download: its certificates, the key that signs, its failure, the number of calls."""

    signed: Sign
    key: rsa.RSAPrivateKey
    certificates: dict[str, str]
    serial: str = CERTIFICATE_SERIAL
    now: float = NOW
    failure: wechatpay.WeChatPayError | None = None
    calls: int = 0
    gate: threading.Event = field(default_factory=threading.Event)

    def fetch(self, until: float = math.inf) -> Download:
        """Answer a download, when the gate is open."""
        self.calls += 1
        assert self.gate.wait(PATIENCE)
        if self.failure:
            raise self.failure
        content = json.dumps({"data": [self.entry(serial, pem) for serial, pem in self.certificates.items()]}).encode()
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
def downloads(signed: Sign, certificate_key: rsa.RSAPrivateKey, certificate: str) -> SimulatedDownloads:
    """WeChat Pay with one certificate, answering at once."""
    simulated = SimulatedDownloads(signed, certificate_key, {CERTIFICATE_SERIAL: certificate})
    simulated.gate.set()
    return simulated


type Make = Callable[..., PlatformCertificates]


@pytest.fixture
def make(downloads: SimulatedDownloads) -> Make:
    """Make the keys of a merchant that configured `fixed`."""

    def make_certificates(fixed: Mapping[str, str] | None = None, **options: Any) -> PlatformCertificates:
        keys = PlatformKeys(fixed or {})
        clock = lambda: downloads.now  # noqa: E731
        return PlatformCertificates(
            keys, downloads.fetch, Cipher(APIV3_KEY), clock=clock, jitter=lambda: 0.5, **options
        )

    return make_certificates


def renew(certificates: PlatformCertificates) -> None:
    """Prepare a call, and wait for the renewal that it may have started."""
    certificates.prepare()
    for thread in threading.enumerate():
        if thread.name == "wechatpay-certificates":
            thread.join(PATIENCE)


def test_without_a_key_the_first_call_downloads(make: Make, downloads: SimulatedDownloads) -> None:
    """The first download is decrypted with the APIv3 key and verified with a certificate that it contains."""
    certificates = make()
    assert dict(certificates.held) == {}
    certificates.prepare()
    certificates.prepare()
    assert list(certificates.held) == [CERTIFICATE_SERIAL]
    assert downloads.calls == 1


def test_with_a_certificate_at_hand_nothing_is_downloaded(
    make: Make, downloads: SimulatedDownloads, certificate: str
) -> None:
    """A cold start with a configured certificate makes no download that an order has to wait for."""
    certificates = make({CERTIFICATE_SERIAL: certificate})
    renew(certificates)
    assert downloads.calls == 0


def test_certificates_are_renewed_beside_the_calls_in_less_than_twelve_hours(
    make: Make, downloads: SimulatedDownloads, certificate: str, certificate_key: rsa.RSAPrivateKey
) -> None:
    """A call that starts a renewal goes on with the current keys."""
    certificates = make({CERTIFICATE_SERIAL: certificate})
    downloads.certificates[NEWER_SERIAL] = certificate_pem(certificate_key, NEWER_SERIAL)
    downloads.now += RENEWAL + 1801
    assert RENEWAL + 3600 < 12 * 3600
    downloads.gate.clear()
    certificates.prepare()
    assert list(certificates.held) == [CERTIFICATE_SERIAL], "the renewal has not ended"
    certificates.prepare()
    downloads.gate.set()
    renew(certificates)
    assert list(certificates.held) == [CERTIFICATE_SERIAL, NEWER_SERIAL]
    assert downloads.calls == 1


def test_the_renewals_of_many_processes_do_not_coincide(
    make: Make, downloads: SimulatedDownloads, certificate: str
) -> None:
    """Each process adds up to an hour of jitter to the time of its renewal."""
    certificates = make({CERTIFICATE_SERIAL: certificate})
    downloads.now += RENEWAL + 1799
    renew(certificates)
    assert downloads.calls == 0


def test_a_failed_renewal_drops_nothing_and_is_tried_again_a_minute_later(
    make: Make, downloads: SimulatedDownloads, certificate: str, caplog: pytest.LogCaptureFixture
) -> None:
    """After a failed renewal the current keys stay in use; the next try follows a minute later."""
    certificates = make({CERTIFICATE_SERIAL: certificate})
    downloads.now += RENEWAL + 3601
    downloads.failure = wechatpay.UnansweredError("no answer", sent=True)
    renew(certificates)
    renew(certificates)
    assert (list(certificates.held), downloads.calls) == ([CERTIFICATE_SERIAL], 1)
    assert "1 keys stay in use: no answer" in caplog.text
    downloads.now, downloads.failure = downloads.now + RESPITE, None
    renew(certificates)
    assert downloads.calls == 2


def test_an_unknown_serial_is_asked_for_once_by_all_who_meet_it(
    make: Make, downloads: SimulatedDownloads, certificate: str, certificate_key: rsa.RSAPrivateKey
) -> None:
    """Threads that meet an unknown serial share one download; for a minute after it there is no other."""
    certificates = make({CERTIFICATE_SERIAL: certificate})
    downloads.certificates[NEWER_SERIAL] = certificate_pem(certificate_key, NEWER_SERIAL)
    with ThreadPoolExecutor(20) as threads:
        results = list(threads.map(certificates.keys_for, [NEWER_SERIAL] * 20))
    assert all(NEWER_SERIAL in keys for keys in results)
    assert "UNKNOWN" not in certificates.keys_for("UNKNOWN")
    assert downloads.calls == 1
    downloads.now += RESPITE + 1
    certificates.keys_for("UNKNOWN")
    assert downloads.calls == 2


def test_an_unknown_public_key_cannot_be_downloaded(
    make: Make, downloads: SimulatedDownloads, certificate: str
) -> None:
    """An unknown public key, which comes from the merchant console, causes no download."""
    make({CERTIFICATE_SERIAL: certificate}).keys_for("PUB_KEY_ID_0000000000000000000000000000000001")
    assert downloads.calls == 0


def test_while_a_merchant_migrates_nothing_is_renewed_by_the_clock(
    make: Make, downloads: SimulatedDownloads, certificate: str, platform_pem: str
) -> None:
    """A merchant in migration makes no download by the clock: WeChat Pay takes it as a sign that it is not done."""
    certificates = make({CERTIFICATE_SERIAL: certificate, PUBLIC_KEY_ID: platform_pem})
    downloads.now += 100 * RENEWAL
    renew(certificates)
    assert downloads.calls == 0


def test_configured_keys_stay(make: Make, downloads: SimulatedDownloads, platform_pem: str) -> None:
    """Downloaded certificates are added to the configured keys."""
    certificates = make({PUBLIC_KEY_ID: platform_pem})
    assert list(certificates.keys_for(CERTIFICATE_SERIAL)) == [PUBLIC_KEY_ID, CERTIFICATE_SERIAL]


def test_a_list_that_neither_a_held_nor_an_enclosed_key_has_signed_is_refused(
    make: Make, downloads: SimulatedDownloads, foreign_key: rsa.RSAPrivateKey
) -> None:
    """A list that is signed with an unknown key is refused: an attacker cannot add keys of its own."""
    downloads.key = foreign_key
    with pytest.raises(wechatpay.UntrustedError) as caught:
        make().prepare()
    assert caught.value.reason == "signature"


def test_a_leaked_apiv3_key_brings_certificates_of_its_own(
    make: Make, downloads: SimulatedDownloads, foreign_key: rsa.RSAPrivateKey
) -> None:
    """A list under a leaked APIv3 key, signed by a certificate in it, is accepted, as SECURITY.md says."""
    certificates = make({CERTIFICATE_SERIAL: downloads.certificates[CERTIFICATE_SERIAL]})
    downloads.certificates = {NEWER_SERIAL: certificate_pem(foreign_key, NEWER_SERIAL)}
    downloads.key, downloads.serial = foreign_key, NEWER_SERIAL
    assert certificates.keys_for(NEWER_SERIAL)[NEWER_SERIAL] == foreign_key.public_key()
    without = make({PUBLIC_KEY_ID: public_pem(downloads.key)})
    assert PUBLIC_KEY_ID in without.keys_for("PUB_KEY_ID_02"), "a public key is never downloaded"
    assert downloads.calls == 1


def test_a_leaked_apiv3_key_replaces_no_configured_key(
    make: Make, downloads: SimulatedDownloads, certificate_key: rsa.RSAPrivateKey, foreign_key: rsa.RSAPrivateKey
) -> None:
    """A downloaded certificate never replaces a configured one of the same serial."""
    certificates = make(dict(downloads.certificates))
    for serial in (CERTIFICATE_SERIAL, NEWER_SERIAL):
        downloads.certificates[serial] = certificate_pem(foreign_key, serial)
    downloads.key, downloads.serial = foreign_key, NEWER_SERIAL
    assert certificates.keys_for(NEWER_SERIAL)[CERTIFICATE_SERIAL] == certificate_key.public_key()


def test_a_list_under_a_current_serial_is_verified_with_the_current_key(
    make: Make, downloads: SimulatedDownloads, certificate_key: rsa.RSAPrivateKey, foreign_key: rsa.RSAPrivateKey
) -> None:
    """A list cannot replace the key of a serial that was downloaded before."""
    certificates = make()
    certificates.prepare()
    downloads.certificates = {CERTIFICATE_SERIAL: certificate_pem(foreign_key, CERTIFICATE_SERIAL)}
    downloads.key, downloads.now = foreign_key, NOW + 2 * RESPITE
    assert dict(certificates.keys_for(NEWER_SERIAL)) == {CERTIFICATE_SERIAL: certificate_key.public_key()}
    assert downloads.calls == 2


def test_an_expired_certificate_is_left_out(
    make: Make, downloads: SimulatedDownloads, certificate_key: rsa.RSAPrivateKey
) -> None:
    """A certificate that has expired by its own X.509 is left out; dates in the list may differ (doc 4012068829)."""
    downloads.certificates[NEWER_SERIAL] = certificate_pem(certificate_key, NEWER_SERIAL, days=99)
    certificates = make()
    certificates.prepare()
    assert list(certificates.held) == [CERTIFICATE_SERIAL]


def test_a_changed_apiv3_key_is_named(
    make: Make, downloads: SimulatedDownloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error about a list that cannot be decrypted names the APIv3 key."""
    monkeypatch.setattr(f"{__name__}.APIV3_KEY", "another key of exactly 32 bytes!")
    certificates = PlatformCertificates(
        PlatformKeys({}), downloads.fetch, Cipher("0123456789abcdefghijklmnopqrstuv"), clock=lambda: NOW
    )
    with pytest.raises(wechatpay.UndecryptableError, match="APIv3"):
        certificates.prepare()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"data":[]}', b'{"data":[1]}', b'{"data":[{"serial_no":"A"}]}', b"\xff"]
)
def test_a_malformed_list_is_refused(make: Make, downloads: SimulatedDownloads, signed: Sign, content: bytes) -> None:
    """A body that is not a list of certificates raises MalformedError."""
    downloads.fetch = lambda until=0.0: Download(signed(content), content)  # type: ignore[method-assign]
    certificates = PlatformCertificates(PlatformKeys({}), downloads.fetch, Cipher(APIV3_KEY), clock=lambda: NOW)
    with pytest.raises(wechatpay.MalformedError, match="list of certificates"):
        certificates.prepare()


def test_calls_that_wait_for_a_download_share_its_failure(make: Make, downloads: SimulatedDownloads) -> None:
    """A batch does not wait for a silent host once per call."""
    downloads.failure = wechatpay.UnansweredError("no answer", sent=True)
    certificates = make()
    with ThreadPoolExecutor(10) as threads:
        waiting = [threads.submit(certificates.prepare) for _ in range(10)]
    assert all(isinstance(one.exception(), wechatpay.UnansweredError) for one in waiting)
    assert downloads.calls == 1


def test_a_store_spares_the_next_process_the_download(make: Make, downloads: SimulatedDownloads) -> None:
    """Certificates that one process saved are loaded by the next one."""
    store = MemoryStore()
    make(store=store).prepare()
    assert list(make(store=store).held) == [CERTIFICATE_SERIAL]
    assert downloads.calls == 1


def test_a_store_that_cannot_save_costs_no_payment(
    make: Make, downloads: SimulatedDownloads, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that raises is logged, and the downloaded keys are used."""

    class Broken(MemoryStore):
        def save(self, certificates: Mapping[str, str], /) -> None:
            raise OSError("disk full")

    certificates = make(store=Broken())
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
    """Make a client with these keys."""
    secret: dict[str, Any] = wechat_pay.merchant(MCHID).secret() | {"platform_keys": keys}
    hosts: dict[str, Any] = {"base_url": wechat_pay.base_url, "backup_url": wechat_pay.backup_url}
    return wechatpay.Client(**secret, **hosts, session=session)


def operations(wechat_pay: Simulator) -> list[str]:
    """Return the operations that were called so far."""
    return [call.operation for call in wechat_pay.calls]


def test_a_client_without_any_key_downloads_them(wechat_pay: Simulator, session: wechatpay.Session) -> None:
    """A client with an APIv3 key and no platform key downloads certificates before its first call."""
    wechat_pay.ready_to_sync(MCHID, "A1")
    client = a_client(wechat_pay, {}, session)
    order = client.payscore.query(out_order_no="A1", service_id="500001", appid="wxd678efh567hg6787")
    assert order.state == "DOING"
    assert list(client.platform_keys) == [wechat_pay.platform.certificate_serial]
    assert operations(wechat_pay) == ["certificates", "query"]


def test_a_new_platform_certificate_costs_one_download_and_no_order(
    wechat_pay: Simulator, session: wechatpay.Session
) -> None:
    """An answer with a new certificate is verified after one download; the call is not sent again."""
    wechat_pay.ready_to_sync(MCHID, "A1")
    client = a_client(wechat_pay, wechat_pay.platform.certificates, session)
    newer = wechat_pay.platform.issue_certificate()
    answer = client.v3.payscore.serviceorder.get(
        params={"service_id": "500001", "appid": "wxd678efh567hg6787", "out_order_no": "A1"}
    )
    assert answer.serial == newer
    assert operations(wechat_pay) == ["query", "certificates"]


def test_an_unknown_serial_is_named_with_the_trusted_ones(wechat_pay: Simulator, session: wechatpay.Session) -> None:
    """An unknown serial is refused after one download, which the next such answer does not repeat."""
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
    """A client with WeChat Pay's public key alone makes no download, not even for an unknown serial."""
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
    """A refused download has a note that names the public key as the remedy."""
    client = a_client(wechat_pay, {}, session)
    wechat_pay.misbehave("unsigned_error", operation="certificates", status=status, code=code, message=message)
    with pytest.raises(wechatpay.RefusedError, match=message) as caught:
        client.v3.payscore.serviceorder.get()
    assert "PUB_KEY_ID_" in caught.value.__notes__[0]


def test_a_notification_with_a_new_certificate_opens(wechat_pay: Simulator, session: wechatpay.Session) -> None:
    """A notification with a new certificate causes a download, as an answer does."""
    wechat_pay.ready_to_sync(MCHID, "A1")
    client = a_client(wechat_pay, wechat_pay.platform.certificates, session)
    newer = wechat_pay.platform.issue_certificate()
    notification = client.notification(*wechat_pay.notification(MCHID, "A1", serial=newer))
    assert notification.serial == newer


def test_a_download_takes_no_longer_than_the_call_that_waits_for_it(
    wechat_pay: Simulator, session: wechatpay.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A download for an answer ends with the limit of time of its call."""
    wechat_pay.ready_to_sync(MCHID, "A1")
    client = a_client(wechat_pay, wechat_pay.platform.certificates, session)
    limits: list[float] = []

    def record(route: transport.Route, *args: Any, **kwargs: Any) -> transport.Reply:
        limits.append(route.end)
        return transport.exchange(route, *args, **kwargs)

    monkeypatch.setattr(wechatpay.sender, "exchange", record)
    wechat_pay.platform.issue_certificate()
    client.payscore.query(out_order_no="A1", service_id="500001", appid="wxd678efh567hg6787")
    assert operations(wechat_pay) == ["query", "certificates"]
    assert len(set(limits)) == 1


def test_a_call_waits_for_another_threads_download_within_its_limit(make: Make, downloads: SimulatedDownloads) -> None:
    """A call that waits for the download of another thread ends with its own limit of time."""
    downloads.gate.clear()
    certificates = make()
    first = threading.Thread(target=certificates.prepare)
    first.start()
    until(lambda: downloads.calls or None, state="the download has begun")
    with pytest.raises(wechatpay.UnansweredError, match="has not ended yet") as caught:
        certificates.prepare(time.monotonic() + 0.05)  # the limit, which the gate outlasts
    assert caught.value.sent is False
    downloads.gate.set()
    first.join(PATIENCE)
    certificates.prepare(time.monotonic())
    assert downloads.calls == 1


def test_a_wrong_call_downloads_nothing(wechat_pay: Simulator, session: wechatpay.Session) -> None:
    """A call with wrong arguments is refused before certificates are downloaded."""
    client = a_client(wechat_pay, {}, session)
    with pytest.raises(TypeError):
        client.chain("v3/{id}").get()
    with pytest.raises(ValueError, match="null"):
        client.chain("v3/x").post(json={"a": None})
    assert operations(wechat_pay) == []


def test_without_an_apiv3_key_nothing_can_be_downloaded(wechat_pay: Simulator) -> None:
    """A client without APIv3 key and without platform keys is refused."""
    secret = wechat_pay.merchant(MCHID).secret() | {"platform_keys": {}, "apiv3_key": None}
    with pytest.raises(ValueError, match="platform_keys is empty"):
        wechatpay.Client(**secret)
