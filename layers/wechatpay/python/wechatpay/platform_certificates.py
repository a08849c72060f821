"""Platform certificates that come by themselves: downloaded, verified, kept, renewed (docs 4012551764, 4012069411).

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
from typing import Any, Protocol

from wechatpay.answer import decode_json, tidy
from wechatpay.cipher import Cipher
from wechatpay.errors import MalformedError, UnansweredError, WeChatPayError
from wechatpay.platform_keys import PUBLIC_KEY_ID, PlatformKeys
from wechatpay.verification import verify

logger = logging.getLogger("wechatpay")

RENEWAL = 10 * 3600
"""Seconds until certificates are fetched again, plus up to an hour of jitter: WeChat Pay asks for less than 12 h."""

RESPITE = 60
"""Seconds between two downloads that an unknown serial, or a renewal that failed, may cause."""


class CertificateStore(Protocol):
    """Where downloaded certificates survive the process, one store per merchant; what it returns is trusted."""

    def load(self) -> Mapping[str, str]:
        """Return the certificates kept so far, PEM by serial; empty where there are none."""

    def save(self, certificates: Mapping[str, str], /) -> None:
        """Keep these certificates, PEM by serial, in place of those before."""


class MemoryStore:
    """Certificates that live as long as the process; the default."""

    def __init__(self) -> None:
        self._certificates: Mapping[str, str] = {}

    def load(self) -> Mapping[str, str]:
        """Return what was saved last."""
        return self._certificates

    def save(self, certificates: Mapping[str, str], /) -> None:
        """Keep them."""
        self._certificates = dict(certificates)


class Reply(Protocol):
    """The download's answer as it came, not verified yet."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers."""

    @property
    def content(self) -> bytes:
        """Its exact bytes."""


class PlatformCertificates:
    """The keys of one merchant's WeChat Pay, renewed in time; safe to use from many threads.

    `fixed` are the keys that the merchant gave: they stay whatever is downloaded. `fetch` makes the signed call
    `GET /v3/certificates`. While a renewal runs, and where it fails, the keys held so far go on being used. With
    WeChat Pay's public key among `fixed`, a merchant in migration, nothing is renewed by the clock: WeChat Pay counts
    such calls as proof that the migration is not done.
    """

    def __init__(
        self,
        fixed: PlatformKeys,
        fetch: Callable[[], Reply],
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
        self._keys = self._joined(self._store.load())

    @property
    def held(self) -> PlatformKeys:
        """The keys as they stand, without a call."""
        return self._keys

    @property
    def _lock(self) -> threading.Lock:
        """Held while a download runs; of each process its own: a parent's may be held for ever in its child."""
        return self._locks.setdefault(os.getpid(), threading.Lock())

    def prepare(self, until: float = math.inf) -> None:
        """Before a call: download if there is no key at all; start a renewal that is due, which no call waits for.

        Raises what the download raises, and only where there is no key at all. It waits for another thread's download
        no longer than `until` (`time.monotonic`).
        """
        if not self._keys:
            self._download(unless_tried_since=self._clock(), until=until)
        elif self._clock() >= self._renew_at and self._lock.acquire(blocking=False):
            threading.Thread(target=self._renewed, name="wechatpay-certificates", daemon=True).start()

    def keys_for(self, serial: str, until: float = math.inf) -> PlatformKeys:
        """Return the keys, after one download if this serial is not among them: WeChat Pay may have a new one.

        All who wait for it share one download, each no longer than `until` (`time.monotonic`); for a minute after it
        there is none. A failed one changes nothing.
        """
        if serial not in self._keys and not serial.startswith(PUBLIC_KEY_ID):
            try:
                self._download(unless_tried_since=self._clock() - RESPITE, until=until)
            except WeChatPayError:
                return self._keys
        return self._keys

    def _download(self, unless_tried_since: float, until: float) -> None:
        """Fetch now, unless another thread has tried since then, and share its failure."""
        if not self._lock.acquire(timeout=min(max(until - time.monotonic(), 0.0), threading.TIMEOUT_MAX)):
            raise UnansweredError("the download of platform certificates has not ended yet", sent=False)
        try:
            if self._tried_at < unless_tried_since:
                self._try()
            if self._failure is not None:
                raise self._failure
        finally:
            self._lock.release()

    def _renewed(self) -> None:
        """Renew in the background; the thread that started this one holds the lock for it."""
        try:
            self._try()
        finally:
            self._lock.release()

    def _try(self) -> None:
        self._tried_at = self._clock()
        try:
            certificates = self._verified(self._fetch())
            self._keys = self._joined(certificates)
        except WeChatPayError as error:
            logger.warning("platform certificates not renewed, %d keys go on being used: %s", len(self._keys), error)
            self._failure = error
            self._renew_at = max(self._renew_at, self._tried_at + RESPITE)
        else:
            self._failure = None
            self._renew_at = self._next_renewal()
            self._save(certificates)

    def _save(self, certificates: Mapping[str, str]) -> None:
        try:
            self._store.save(certificates)
        except Exception:  # whatever the store is: a payment does not fail for it
            logger.exception("the store of platform certificates cannot save")

    def _next_renewal(self) -> float:
        if self._fixed.public_key_id:
            return float("inf")
        return self._clock() + RENEWAL + 3600 * self._jitter()

    def _verified(self, reply: Reply) -> dict[str, str]:
        """Open the answer, and believe it only if a key held before, or one that came with it, has signed it."""
        certificates = dict(self._opened(entry) for entry in _entries(reply.content))
        keys = self._keys | PlatformKeys(certificates) | self._keys  # one held already cannot be replaced by its serial
        verify(reply.headers, reply.content, keys, self._clock())
        return certificates

    def _opened(self, entry: Mapping[str, Any]) -> tuple[str, str]:
        sealed, serial = entry.get("encrypt_certificate"), entry.get("serial_no")
        if not isinstance(sealed, dict) or not isinstance(serial, str):
            raise MalformedError("the list of certificates has an entry without serial_no or encrypt_certificate")
        parts = {name: str(sealed.get(name) or "") for name in ("ciphertext", "nonce", "associated_data")}
        return serial, self._cipher.open(**parts).decode("utf-8", "replace")

    def _joined(self, certificates: Mapping[str, str]) -> PlatformKeys:
        """Join the merchant's own keys and the downloaded certificates that are valid by their own X.509."""
        downloaded = PlatformKeys(certificates).valid_at(datetime.fromtimestamp(self._clock(), UTC))
        return self._fixed | downloaded | self._fixed  # in this order; what the merchant gave is not replaced


def _entries(content: bytes) -> list[Mapping[str, Any]]:
    try:
        body = tidy(decode_json(content))
    except ValueError as error:
        raise MalformedError(f"the list of certificates is not JSON ({error})") from None
    entries = body.get("data") if isinstance(body, dict) else None
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise MalformedError("the list of certificates is empty or no list")
    return entries
