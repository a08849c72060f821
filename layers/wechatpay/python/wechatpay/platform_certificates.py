"""Platform certificates: downloaded, verified, stored and renewed in the background (docs 4012551764, 4012069411).

Only for merchants in certificate mode. A new merchant has WeChat Pay's public key and no certificate to download;
with the public key alone nothing here is called.
"""

import logging
import math
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

from wechatpay.answer import decode_json
from wechatpay.cipher import Cipher
from wechatpay.errors import MalformedError, UnansweredError, WeChatPayError
from wechatpay.platform_keys import PUBLIC_KEY_ID, PlatformKeys
from wechatpay.verification import verify

logger = logging.getLogger("wechatpay")

RENEWAL = 10 * 3600
"""Seconds until certificates are downloaded again, plus up to an hour of jitter: WeChat Pay asks for less than 12 h."""

RESPITE = 60
"""The least seconds between two downloads that an unknown serial, or a renewal that failed, causes."""


class CertificateStore(Protocol):
    """Storage that outlives the process for downloaded certificates, one per merchant; what it returns is trusted."""

    def load(self) -> Mapping[str, str]:
        """Return the certificates saved last, PEM by serial; empty where there are none."""

    def save(self, certificates: Mapping[str, str], /) -> None:
        """Save these certificates, PEM by serial, in place of the last ones."""


class MemoryStore:
    """Storage in memory, which ends with the process; the default."""

    def __init__(self) -> None:
        self._certificates: Mapping[str, str] = {}

    def load(self) -> Mapping[str, str]:
        """Return the certificates saved last."""
        return self._certificates

    def save(self, certificates: Mapping[str, str], /) -> None:
        """Save these certificates."""
        self._certificates = dict(certificates)


class Reply(Protocol):
    """The answer to a download as it came, not verified yet."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""

    @property
    def content(self) -> bytes:
        """The exact bytes of the body."""


class PlatformCertificates:
    """WeChat Pay's keys for one merchant, renewed in time; safe to use from many threads.

    `fixed` are the keys that the merchant configured; no download replaces them. `fetch` makes the signed call `GET
    /v3/certificates` and ends by the time that it gets (`time.monotonic`). While a renewal runs, and after one that
    failed, the current keys stay in use. With WeChat Pay's public key among `fixed`, a merchant in migration,
    nothing is renewed by the clock: WeChat Pay takes such calls as a sign that the migration is not done.
    """

    def __init__(
        self,
        fixed: PlatformKeys,
        fetch: Callable[[float], Reply],
        cipher: Cipher,
        *,
        store: CertificateStore | None = None,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._fixed = fixed
        self._fetch = fetch
        self._cipher = cipher
        self._store = MemoryStore() if store is None else store
        self._clock = clock
        self._jitter = jitter
        self._locks: dict[int, threading.Lock] = {}
        self._tried_at = float("-inf")
        self._failure: WeChatPayError | None = None
        self._renew_at = self._next_renewal()
        self._keys = self._join(self._store.load())

    @property
    def held(self) -> PlatformKeys:
        """The current keys, without a call."""
        return self._keys

    @property
    def _lock(self) -> threading.Lock:
        """The lock of a running download, one per process: the parent's may stay locked for ever in a child."""
        return self._locks.setdefault(os.getpid(), threading.Lock())

    def prepare(self, until: float = math.inf) -> None:
        """Prepare for a call: download if there is no key at all; start a renewal that is due in the background.

        Raise what the download raises, and only where there is no key at all. Wait for another thread's download no
        longer than `until` (`time.monotonic`).
        """
        if not self._keys:
            self._download(unless_tried_since=self._clock(), until=until)
        elif self._clock() >= self._renew_at and self._lock.acquire(blocking=False):
            threading.Thread(target=self._renew, name="wechatpay-certificates", daemon=True).start()

    def keys_for(self, serial: str, until: float = math.inf) -> PlatformKeys:
        """Return the keys, after one download if this serial is not among them: WeChat Pay may have a new one.

        Threads share one download and wait for it no longer than `until` (`time.monotonic`); for `RESPITE` seconds
        after it there is no other. A failed download changes nothing.
        """
        if serial not in self._keys and not serial.startswith(PUBLIC_KEY_ID):
            try:
                self._download(unless_tried_since=self._clock() - RESPITE, until=until)
            except WeChatPayError:
                return self._keys
        return self._keys

    def _download(self, unless_tried_since: float, until: float) -> None:
        """Download now, unless another thread has tried since `unless_tried_since`; raise that thread's error."""
        if not self._lock.acquire(timeout=min(max(until - time.monotonic(), 0.0), threading.TIMEOUT_MAX)):
            raise UnansweredError("the download of platform certificates has not ended yet", sent=False)
        try:
            if self._tried_at < unless_tried_since:
                self._replace_keys(until)
            if self._failure is not None:
                raise self._failure
        finally:
            self._lock.release()

    def _renew(self) -> None:
        """Renew in the background; the thread that started this one has taken the lock for it."""
        try:
            self._replace_keys(math.inf)
        finally:
            self._lock.release()

    def _replace_keys(self, until: float) -> None:
        """Download once, within `until`; remember the error, or the new keys. The caller has taken the lock."""
        self._tried_at = self._clock()
        try:
            certificates = self._verify(self._fetch(until))
            self._keys = self._join(certificates)
        except WeChatPayError as error:
            logger.warning("platform certificates not renewed, %d keys stay in use: %s", len(self._keys), error)
            self._failure = error
            self._renew_at = max(self._renew_at, self._tried_at + RESPITE)
        else:
            self._failure = None
            self._renew_at = self._next_renewal()
            self._save(certificates)

    def _save(self, certificates: Mapping[str, str]) -> None:
        try:
            self._store.save(certificates)
        except Exception:  # of any store: no payment fails for it
            logger.exception("the store of platform certificates cannot save")

    def _next_renewal(self) -> float:
        if self._fixed.public_key_id:
            return float("inf")
        return self._clock() + RENEWAL + 3600 * self._jitter()

    def _verify(self, reply: Reply) -> dict[str, str]:
        """Return the certificates of an answer that is signed with a current key, or with one that it contains."""
        certificates = decrypt_certificates(reply.content, self._cipher)
        keys = self._keys | PlatformKeys(certificates) | self._keys  # a downloaded key never replaces a current one
        verify(reply.headers, reply.content, keys, self._clock())
        return certificates

    def _join(self, certificates: Mapping[str, str]) -> PlatformKeys:
        """Join the configured keys and the downloaded certificates that are valid by their own X.509."""
        downloaded = PlatformKeys(certificates).valid_at(datetime.fromtimestamp(self._clock(), UTC))
        return self._fixed | downloaded | self._fixed  # the order of `_fixed` first, and no configured key replaced


def decrypt_certificates(content: bytes, cipher: Cipher) -> dict[str, str]:
    """Return the certificates of an answer to `GET /v3/certificates`, PEM by serial, not verified yet.

    Raise MalformedError for another body, UndecryptableError where the APIv3 key is another one.
    """
    return dict(_decrypt(entry, cipher) for entry in _entries(content))


def _decrypt(entry: Mapping[str, object], cipher: Cipher) -> tuple[str, str]:
    resource, serial = entry.get("encrypt_certificate"), entry.get("serial_no")
    if not isinstance(resource, dict) or not isinstance(serial, str):
        raise MalformedError("the list of certificates has an entry without serial_no or encrypt_certificate")
    parts = {name: str(resource.get(name) or "") for name in ("ciphertext", "nonce", "associated_data")}
    return serial, cipher.open(**parts).decode("utf-8", "replace")


def _entries(content: bytes) -> list[Mapping[str, object]]:
    try:
        body = decode_json(content, tidied=True)
    except ValueError as error:
        raise MalformedError(f"the list of certificates is not JSON ({error})") from None
    entries = body.get("data") if isinstance(body, dict) else None
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise MalformedError("the list of certificates is empty or no list")
    return entries
