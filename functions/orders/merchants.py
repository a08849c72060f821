"""The merchants' keys: the only module that reads Secrets Manager. A secret stays 300 s, its keys until it changes."""

import hashlib
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

import wechatpay
from orders import secret
from orders.errors import MerchantUnavailableError, OrdersError, UnknownMerchantError
from wechatpay.text import printable

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

SECRET_MAX_AGE = 300.0  # seconds that a secret, or that there is none, is believed
FAILURE_MAX_AGE = 1.0  # seconds that a failure is shared, so that a batch does not wait for it ten times in series
FRESH_LIMIT = 6  # fetches that `refresh` may cause per merchant and minute
MOST = 1024  # merchants that are remembered, unknown ones included; the one used longest ago goes first


@dataclass(frozen=True, slots=True)
class Merchant:
    """One merchant: the client that signs for it, and what its events may leave out."""

    client: wechatpay.Client
    appid: str | None
    service_id: str | None
    endpoint: str
    digest: bytes  # of the secret's text: tells whether the keys are still the same


@dataclass(slots=True)
class _Entry:
    """What is known about one merchant; times are readings of the clock."""

    lock: threading.Lock = field(default_factory=threading.Lock)  # one thread fetches and parses, the others wait
    held: Merchant | UnknownMerchantError | None = None
    held_at: float = 0.0  # start of the fetch: what was stored before it is in it
    failure: MerchantUnavailableError | None = None
    failed_at: float = float("-inf")  # end of the fetch: those who waited for it share it, however long it took
    digest: bytes = b""  # of the text parsed last, what came of it, and when
    parsed: Merchant | MerchantUnavailableError | None = None
    parsed_at: float = 0.0
    forced_at: deque[float] = field(default_factory=deque)


class Merchants:
    """Merchants by mchid, from `{prefix}/{mchid}`; safe to use from many threads.

    `client_factory` takes the key arguments of `wechatpay.Client` and adds hosts, timeouts and the shared session.
    `clock` gives seconds and measures ages; `wall_clock` gives Unix seconds, by which certificates are judged.
    At most 1,024 merchants are remembered, unknown ones included, each with its lock.
    """

    def __init__(
        self,
        secrets: "SecretsManagerClient",
        prefix: str,
        client_factory: Callable[..., wechatpay.Client],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._secrets = secrets
        self._prefix = prefix
        self._client_factory = client_factory
        self._clock = clock
        self._wall_clock = wall_clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._entries_lock = threading.Lock()

    def now(self) -> float:
        """Read the clock that `refresh` compares `since` with."""
        return self._clock()

    def get(self, mchid: str) -> Merchant:
        """Return the merchant from a secret that is at most 300 s old, parsed again only if it has changed.

        Raises UnknownMerchantError where there is no secret (believed for 300 s as well), MerchantUnavailableError
        where it cannot be fetched or used (fetched again after a second).
        """
        entry = self._entry(mchid)
        with entry.lock:
            return self._recent(entry, mchid)

    def refresh(self, mchid: str, *, since: float) -> Merchant:
        """Return the merchant from a secret fetched at `since`, a reading of `now()`, or later; fetch if need be.

        All who wait share one fetch. The object is the same where the secret has not changed. After six fetches of
        one merchant within a minute the answer is that of `get`. Raises as `get` does.
        """
        entry = self._entry(mchid)
        with entry.lock:
            if entry.held is not None and entry.held_at >= since:
                return _given(entry.held)
            if entry.failed_at >= since and (failure := self._recent_failure(entry)) is not None:
                return _given(failure)
            return self._fetched(entry, mchid) if self._may_force(entry) else self._recent(entry, mchid)

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
        if entry.held is not None and self._clock() - entry.held_at < SECRET_MAX_AGE:
            return _given(entry.held)
        failure = self._recent_failure(entry)
        return self._fetched(entry, mchid) if failure is None else _given(failure)

    def _recent_failure(self, entry: _Entry) -> MerchantUnavailableError | None:
        return entry.failure if self._clock() - entry.failed_at < FAILURE_MAX_AGE else None

    def _may_force(self, entry: _Entry) -> bool:
        now = self._clock()
        while entry.forced_at and entry.forced_at[0] <= now - 60:
            entry.forced_at.popleft()
        if len(entry.forced_at) >= FRESH_LIMIT:
            return False
        entry.forced_at.append(now)
        return True

    def _fetched(self, entry: _Entry, mchid: str) -> Merchant:
        started = self._clock()
        try:
            text = self._fetch(mchid)
        except UnknownMerchantError as error:
            entry.held, entry.held_at, entry.failure = error, started, None
            raise
        except MerchantUnavailableError as error:  # what is held may still be used until it is too old
            entry.failure, entry.failed_at = error, self._clock()
            raise
        match self._parsed(entry, mchid, text):
            case Merchant() as merchant:
                entry.held, entry.held_at, entry.failure = merchant, started, None
                return merchant
            case failure:
                entry.held, entry.failure, entry.failed_at = None, failure, self._clock()
                return _given(failure)

    def _fetch(self, mchid: str) -> str:
        """Return the secret's text; AWS's own code and message are in the error, for it knows the cause."""
        name = f"{self._prefix}/{mchid}"
        try:
            answer: Mapping[str, Any] = self._secrets.get_secret_value(SecretId=name)
        except ClientError as error:
            code, message = (printable(str(error.response.get("Error", {}).get(part, ""))) for part in _WORDS)
            if code == "ResourceNotFoundException" and "secret value" not in message:
                raise UnknownMerchantError(mchid, name) from None
            if code == "ResourceNotFoundException":
                problem = f"secret {name} has no value yet: store the merchant's keys in it"
            else:
                problem = f"secret {name} cannot be fetched"
            raise MerchantUnavailableError(mchid, f"{problem} ({code}: {message})") from None
        except (BotoCoreError, ResponseParserError) as error:
            words = printable(f"{type(error).__name__}: {error}")
            raise MerchantUnavailableError(mchid, f"secret {name} cannot be fetched ({words})") from None
        text = answer.get("SecretString")
        if not isinstance(text, str):
            problem = "is binary" if "SecretBinary" in answer else "has no text"
            raise MerchantUnavailableError(mchid, f"secret {name} {problem}: store it as JSON text (SecretString)")
        return text

    def _parsed(self, entry: _Entry, mchid: str, text: str) -> Merchant | MerchantUnavailableError:
        """Parse, unless the text is that of the last time; a fault is looked for again after 300 s: dates pass."""
        digest, now = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), self._clock()
        parsed = entry.parsed if entry.digest == digest else None
        if parsed is None or (not isinstance(parsed, Merchant) and now - entry.parsed_at >= SECRET_MAX_AGE):
            parsed = self._parse(mchid, text, digest)
            entry.digest, entry.parsed_at, entry.parsed = digest, now, parsed
        return parsed

    def _parse(self, mchid: str, text: str, digest: bytes) -> Merchant | MerchantUnavailableError:
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
        except ValueError as error:  # InvalidKeyError included: the client's own test of the key
            fields = [name for name in secret.FIELDS if str(error).startswith(name)]
            faults = {name: str(error) for name in fields}
            return MerchantUnavailableError(mchid, f"the secret cannot be used: {error}", fields, faults)
        return Merchant(client, content.appid, content.service_id, content.endpoint, digest)


_WORDS = ("Code", "Message")


def _given(result: Merchant | OrdersError) -> Merchant:
    """Return the merchant, or raise what is remembered instead, without the frames of those who met it before."""
    if isinstance(result, Merchant):
        return result
    raise result.with_traceback(None)
