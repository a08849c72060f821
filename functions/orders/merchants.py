"""The merchants' keys: the only module that reads Secrets Manager. A secret stays 300 s, its keys until it changes."""

import hashlib
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

import wechatpay
from orders.errors import MerchantUnavailableError, UnknownMerchantError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

SECRET_MAX_AGE = 300  # seconds; a 401 fetches at once
FAILURE_MAX_AGE = 1.0  # seconds
ENDPOINTS = frozenset({"direct", "partner", "acquiringbank", "payafter", "oversea"})


@dataclass(frozen=True, slots=True)
class Merchant:
    """One merchant: the client that signs for him, and what his events may leave out."""

    client: wechatpay.Client
    appid: str | None
    service_id: str | None
    endpoint: str
    digest: bytes  # of the secret's text: tells whether the keys are still the same


class Merchants:
    """Merchants by mchid, from `{prefix}/{mchid}`; safe to use from many threads.

    `client_factory` takes the key arguments of `wechatpay.Client` and adds hosts, timeouts and the shared session.
    """

    def __init__(
        self, secrets: "SecretsManagerClient", prefix: str, client_factory: Callable[..., wechatpay.Client]
    ) -> None:
        self._provider = SecretsProvider(boto3_client=secrets)
        self._prefix = prefix
        self._client_factory = client_factory
        self._known: dict[str, Merchant] = {}
        self._fetched: dict[str, float] = {}
        self._failed: dict[str, tuple[float, MerchantUnavailableError]] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def get(self, mchid: str) -> Merchant:
        """Return the merchant, parsed anew only if the secret has changed.

        Raises UnknownMerchantError where there is no secret, MerchantUnavailableError where it cannot be had or used.
        """
        with self._locks[mchid]:  # one thread fetches and parses, the others of the batch find it done
            return self._current(mchid, force_fetch=False)

    def now(self) -> float:
        """Return the clock of `refresh`."""
        return time.monotonic()

    def refresh(self, mchid: str, *, since: float) -> Merchant:
        """Fetch the secret at once, unless another thread has done so since."""
        with self._locks[mchid]:
            known = self._known.get(mchid)
            if self._fetched.get(mchid, -1.0) >= since and known:
                return known
            merchant = self._current(mchid, force_fetch=True)
            self._fetched[mchid] = time.monotonic()
            return merchant

    def _current(self, mchid: str, *, force_fetch: bool) -> Merchant:
        text = self._fetch_once(mchid, force_fetch=force_fetch)
        digest = hashlib.sha256(text.encode()).digest()
        known = self._known.get(mchid)
        if known is None or known.digest != digest:
            known = self._known[mchid] = _parse(mchid, text, digest, self._client_factory)
        return known

    def _fetch_once(self, mchid: str, *, force_fetch: bool) -> str:
        """Fetch; whoever queued behind a fetch that failed takes its failure, lest a batch wait for it in series."""
        failed_at, failure = self._failed.get(mchid, (0.0, None))
        if failure is not None and time.monotonic() - failed_at < FAILURE_MAX_AGE:
            raise failure
        try:
            return self._fetch(mchid, force_fetch=force_fetch)
        except MerchantUnavailableError as error:
            self._failed[mchid] = (time.monotonic(), error)
            raise

    def _fetch(self, mchid: str, *, force_fetch: bool) -> str:
        name = f"{self._prefix}/{mchid}"
        try:
            text = self._provider.get(name, max_age=SECRET_MAX_AGE, force_fetch=force_fetch)
        except GetParameterError as error:
            code = _error_code(error)
            if code == "ResourceNotFoundException":
                raise UnknownMerchantError(mchid, name) from None
            raise MerchantUnavailableError(mchid, f"secret {name} cannot be fetched: {code}") from None
        if not isinstance(text, str):
            raise MerchantUnavailableError(mchid, f"secret {name} is binary: store it as JSON text")
        return text


def _error_code(error: GetParameterError) -> str:
    """Secrets Manager's error code. Powertools wraps the client's error without `from`, so it is the context."""
    response: Mapping[str, Any] = getattr(error.__context__, "response", None) or {}  # None on a broken connection
    return str(response.get("Error", {}).get("Code", type(error.__context__).__name__))


def _parse(mchid: str, text: str, digest: bytes, client_factory: Callable[..., wechatpay.Client]) -> Merchant:
    try:
        secret = json.loads(text)
    except ValueError:
        raise MerchantUnavailableError(mchid, "the secret is not JSON") from None
    if not isinstance(secret, dict):
        raise MerchantUnavailableError(mchid, "the secret is not a JSON object")
    if wrong := _wrong_fields(mchid, secret):
        raise MerchantUnavailableError(mchid, f"the secret's {', '.join(wrong)} cannot be used", wrong)
    try:
        client = client_factory(
            mchid=mchid,
            serial_no=secret["serial_no"],
            private_key=secret["private_key"],
            platform_keys=secret["platform_keys"],
            apiv3_key=secret.get("apiv3_key"),
        )
    except (wechatpay.InvalidKeyError, ValueError) as error:
        raise MerchantUnavailableError(mchid, f"the secret's keys cannot be used: {error}") from None
    return Merchant(client, secret.get("appid"), secret.get("service_id"), secret.get("endpoint", "direct"), digest)


def _wrong_fields(mchid: str, secret: Mapping[str, Any]) -> list[str]:
    """Names of the fields that are missing or of the wrong kind; their values are never repeated."""
    keys = secret.get("platform_keys")
    checks = {
        "mchid": secret.get("mchid", mchid) == mchid,
        "serial_no": _is_text(secret.get("serial_no")),
        "private_key": _is_text(secret.get("private_key")),
        "platform_keys": isinstance(keys, dict) and bool(keys) and all(map(_is_text, keys.values())),
        "apiv3_key": secret.get("apiv3_key") is None or _is_text(secret["apiv3_key"]),
        "appid": secret.get("appid") is None or _is_text(secret["appid"]),
        "service_id": secret.get("service_id") is None or _is_text(secret["service_id"]),
        "endpoint": secret.get("endpoint", "direct") in ENDPOINTS,
    }
    return [name for name, fits in checks.items() if not fits]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
