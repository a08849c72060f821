"""The merchants' keys: the only module that calls Secrets Manager.

A secret is kept for 300 s; its keys are loaded again only if it has changed.
"""

import hashlib
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

import wechatpay
from orders import secret
from orders.errors import MerchantUnavailableError, OrdersError, UnknownMerchantError
from wechatpay.text import printable

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

SECRET_MAX_AGE = 300.0  # seconds that a secret is kept, or the fact that there is none
FAILURE_MAX_AGE = 1.0  # seconds that a failure is kept, so that a batch does not wait for it ten times in series
FRESH_LIMIT = 6  # fetches that `refresh` may cause per merchant and minute
MOST = 1024  # merchants that are kept, unknown ones included; the least recently used goes first


class Merchant(NamedTuple):
    """One merchant: the client that signs for it, and the defaults for what its events leave out."""

    client: wechatpay.Client
    appid: str | None
    service_id: str | None
    endpoint: str
    digest: bytes  # SHA-256 of the secret's text: the same digest means the same keys

    @property
    def key_end(self) -> datetime | None:
        """When the last of WeChat Pay's certificates expires; None with its public key, which never does."""
        keys = self.client.platform_keys
        return None if keys.public_key_id else max((end for _, end in keys.validities.values()), default=None)


class _Reading(NamedTuple):
    """What a secret's text was read as; `at` is a reading of the clock."""

    digest: bytes
    result: Merchant | MerchantUnavailableError
    at: float


@dataclass(slots=True)
class _Entry:
    """What is remembered of one merchant; times are readings of the clock."""

    lock: threading.Lock = field(default_factory=threading.Lock)  # one thread fetches and reads, the others wait
    result: Merchant | UnknownMerchantError | None = None
    fetched_at: float = 0.0  # start of the fetch: what was stored before it is in the result
    failure: MerchantUnavailableError | None = None
    failed_at: float = float("-inf")  # end of the fetch: threads that waited for it share it, however long it took
    reading: _Reading | None = None  # of the last text, good or bad
    refreshes: deque[float] = field(default_factory=deque)  # when `refresh` caused a fetch, within the last minute


class Merchants:
    """Merchants by mchid, from `{prefix}/{mchid}`; safe to use from many threads.

    `client_factory` takes the key arguments of `wechatpay.Client` and adds hosts, timeouts and the shared session.
    `clock` gives seconds and measures ages; `wall_clock` gives Unix seconds, by which certificates are judged.
    `on_key_end` is called after each fetch with the merchant's `key_end`, if it has one.
    At most 1,024 merchants are kept, unknown ones included, each with its lock.
    """

    def __init__(
        self,
        secrets: "SecretsManagerClient",
        prefix: str,
        client_factory: Callable[..., wechatpay.Client],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        on_key_end: Callable[[datetime], None] = lambda _: None,
    ) -> None:
        self._secrets = secrets
        self._prefix = prefix
        self._client_factory = client_factory
        self._clock = clock
        self._wall_clock = wall_clock
        self._on_key_end = on_key_end
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._entries_lock = threading.Lock()

    def now(self) -> float:
        """Return the clock's reading, which `refresh` takes as `since`."""
        return self._clock()

    def answers_at_once(self, mchid: str) -> bool:
        """Whether `get` needs no fetch, or the merchant is one whose secret was read before.

        False is what a caller can cause at will, by naming numbers that no merchant has.
        """
        with self._entries_lock:
            entry = self._entries.get(mchid)
        if entry is None or entry.result is None:
            return False
        return isinstance(entry.result, Merchant) or self._clock() - entry.fetched_at < SECRET_MAX_AGE

    def get(self, mchid: str) -> Merchant:
        """Return the merchant from a secret that is at most 300 s old, read again only if it has changed.

        Raises:
            UnknownMerchantError: there is no secret; remembered for 300 s as well.
            MerchantUnavailableError: the secret cannot be fetched or used; fetched again after a second.
        """
        entry = self._entry(mchid)
        with entry.lock:
            return self._recent(entry, mchid)

    def refresh(self, mchid: str, *, since: float) -> Merchant:
        """Return the merchant from a secret fetched at `since`, a reading of `now()`, or later; fetch if necessary.

        All threads that wait share one fetch. The object is the same if the secret has not changed. After six fetches
        of one merchant within a minute the result is that of `get`. Raises as `get` does.
        """
        entry = self._entry(mchid)
        with entry.lock:
            if entry.result is not None and entry.fetched_at >= since:
                return _merchant(entry.result)
            if entry.failed_at >= since and (failure := self._recent_failure(entry)) is not None:
                return _merchant(failure)
            return self._fetch(entry, mchid) if self._may_refresh(entry) else self._recent(entry, mchid)

    def _entry(self, mchid: str) -> _Entry:
        with self._entries_lock:
            entry = self._entries.get(mchid)
            if entry is None:
                entry = self._entries[mchid] = _Entry()
            self._entries.move_to_end(mchid)
            while len(self._entries) > MOST:
                self._entries.popitem(last=False)
        return entry

    def _recent(self, entry: _Entry, mchid: str) -> Merchant:
        if entry.result is not None and self._clock() - entry.fetched_at < SECRET_MAX_AGE:
            return _merchant(entry.result)
        failure = self._recent_failure(entry)
        return self._fetch(entry, mchid) if failure is None else _merchant(failure)

    def _recent_failure(self, entry: _Entry) -> MerchantUnavailableError | None:
        return entry.failure if self._clock() - entry.failed_at < FAILURE_MAX_AGE else None

    def _may_refresh(self, entry: _Entry) -> bool:
        now = self._clock()
        while entry.refreshes and entry.refreshes[0] <= now - 60:
            entry.refreshes.popleft()
        if len(entry.refreshes) >= FRESH_LIMIT:
            return False
        entry.refreshes.append(now)
        return True

    def _fetch(self, entry: _Entry, mchid: str) -> Merchant:
        started = self._clock()
        try:
            text = _secret_text(self._secrets, f"{self._prefix}/{mchid}", mchid)
        except UnknownMerchantError as error:
            entry.result, entry.fetched_at, entry.failure = error, started, None
            raise
        except MerchantUnavailableError as error:  # the result before it stays usable until it is too old
            entry.failure, entry.failed_at = error, self._clock()
            raise
        match self._read(entry, mchid, text):
            case Merchant() as merchant:
                entry.result, entry.fetched_at, entry.failure = merchant, started, None
                if merchant.key_end is not None:
                    self._on_key_end(merchant.key_end)
                return merchant
            case failure:
                entry.result, entry.failure, entry.failed_at = None, failure, self._clock()
                return _merchant(failure)

    def _read(self, entry: _Entry, mchid: str, text: str) -> Merchant | MerchantUnavailableError:
        """Read the text unless it is the last one; read a faulty one again after 300 s, because dates pass."""
        digest, now = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), self._clock()
        last = entry.reading if entry.reading is not None and entry.reading.digest == digest else None
        if last is not None and (isinstance(last.result, Merchant) or now - last.at < SECRET_MAX_AGE):
            return last.result
        entry.reading = _Reading(digest, self._merchant_of(mchid, text, digest), now)
        return entry.reading.result

    def _merchant_of(self, mchid: str, text: str, digest: bytes) -> Merchant | MerchantUnavailableError:
        try:
            content = secret.read(text, mchid, datetime.fromtimestamp(self._wall_clock(), UTC))
            client = self._client_factory(
                mchid=mchid,
                serial_no=content.serial_no,
                private_key=content.private_key,
                platform_keys=content.platform_keys,
                apiv3_key=content.apiv3_key,
            )
        except MerchantUnavailableError as error:
            return error
        except ValueError as error:  # InvalidKeyError included: the client's own check of the key
            fields = [name for name in secret.FIELDS if str(error).startswith(name)]
            faults = {name: str(error) for name in fields}
            return MerchantUnavailableError(mchid, f"the secret cannot be used: {error}", fields, faults)
        return Merchant(client, content.appid, content.service_id, content.endpoint, digest)


def _secret_text(secrets: "SecretsManagerClient", name: str, mchid: str) -> str:
    """Return the text of a secret; the code and message of AWS are in the error, because they name the cause."""
    try:
        answer = secrets.get_secret_value(SecretId=name)
    except ClientError as error:
        report = error.response.get("Error", {})
        code, message = printable(str(report.get("Code", ""))), printable(str(report.get("Message", "")))
        if code == "ResourceNotFoundException" and "secret value" not in message:
            raise UnknownMerchantError(mchid, name) from None
        if code == "ResourceNotFoundException":
            problem = f"secret {name} has no value yet: store the merchant's keys in it"
        else:
            problem = f"secret {name} cannot be fetched"
        raise MerchantUnavailableError(mchid, f"{problem} ({code}: {message})") from None
    except (BotoCoreError, ResponseParserError) as error:
        cause = printable(f"{type(error).__name__}: {error}")
        raise MerchantUnavailableError(mchid, f"secret {name} cannot be fetched ({cause})") from None
    text = answer.get("SecretString")
    if not isinstance(text, str):
        problem = "is binary" if "SecretBinary" in answer else "has no text"
        raise MerchantUnavailableError(mchid, f"secret {name} {problem}: store it as JSON text (SecretString)")
    return text


def _merchant(result: Merchant | OrdersError) -> Merchant:
    """Return the merchant, or raise the error remembered in its place, without the frames of earlier raises."""
    if isinstance(result, Merchant):
        return result
    raise result.with_traceback(None)
