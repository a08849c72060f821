"""The environment, read once; no other module reads it."""

import os
from collections.abc import Mapping
from typing import NamedTuple, Self

from orders.errors import SettingsError

NEVER = 1 << 31  # more receives than any message gets
_THIS_MACHINE = ("http://127.0.0.1:", "http://localhost:", "http://host.docker.internal:")


class Settings(NamedTuple):
    """What `template.yaml` sets; times are seconds.

    `max_receive_count` is the queue's: SQS gives a message up after this receive. Without it no receive is the last.
    `function_version` is the published version that runs, which Lambda itself sets; empty outside Lambda.
    """

    orders_table: str
    order_queue_url: str
    merchant_secret_prefix: str
    aws_ca_bundle: str | None
    wechatpay_base_url: str
    wechatpay_backup_url: str
    connect_timeout: float
    read_timeout: float
    backoff_cap: float
    retry_scale: float
    max_receive_count: int
    function_version: str = ""

    @property
    def call_budget(self) -> float:
        """The longest time of one HTTP call: connecting to both hosts, then one answer; the library keeps to it."""
        return 2 * self.connect_timeout + self.read_timeout

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read and check every variable; raises SettingsError naming the first that is missing or unusable."""
        connect, read = timeouts(environ.get("WECHATPAY_TIMEOUT", "3,8"))
        return cls(
            orders_table=required(environ, "ORDERS_TABLE"),
            order_queue_url=required(environ, "ORDER_QUEUE_URL"),
            merchant_secret_prefix=required(environ, "MERCHANT_SECRET_PREFIX").rstrip("/"),
            aws_ca_bundle=ca_bundle(environ),
            wechatpay_base_url=url(environ, "WECHATPAY_BASE_URL", "https://api.mch.weixin.qq.com"),
            wechatpay_backup_url=url(environ, "WECHATPAY_BACKUP_URL", "https://api2.mch.weixin.qq.com"),
            connect_timeout=connect,
            read_timeout=read,
            backoff_cap=positive("BACKOFF_CAP", environ.get("BACKOFF_CAP", "3600")),
            retry_scale=positive("RETRY_SCALE", environ.get("RETRY_SCALE", "1")),
            max_receive_count=count(environ, "MAX_RECEIVE_COUNT"),
            function_version=environ.get("AWS_LAMBDA_FUNCTION_VERSION", ""),
        )


def required(environ: Mapping[str, str], name: str) -> str:
    """Return a variable; raise SettingsError if it is missing or blank."""
    value = environ.get(name, "").strip()
    if not value:
        raise SettingsError(name, "is missing: the template sets it")
    return value


def ca_bundle(environ: Mapping[str, str]) -> str | None:
    """Return the file of certificate authorities that boto3 takes too; None for the usual ones."""
    return environ.get("AWS_CA_BUNDLE") or environ.get("REQUESTS_CA_BUNDLE")


def url(environ: Mapping[str, str], name: str, default: str) -> str:
    """Return the URL of a host, https except towards a sandbox; SettingsError for any other."""
    value = environ.get(name, "").strip().rstrip("/") or default
    plain_allowed = "AWS_ENDPOINT_URL" in environ or value.startswith(_THIS_MACHINE)
    if not value.startswith("https://") and not (plain_allowed and value.startswith("http://")):
        raise SettingsError(name, "must be an https:// URL (plain http only towards a sandbox)")
    return value


def timeouts(text: str) -> tuple[float, float]:
    """Return the seconds to connect and to read, from `connect,read`; SettingsError for another text."""
    connect, comma, read = text.partition(",")
    if not comma:
        raise SettingsError("WECHATPAY_TIMEOUT", "must be 'connect,read' in seconds, such as 3,8")
    return positive("WECHATPAY_TIMEOUT", connect), positive("WECHATPAY_TIMEOUT", read)


def count(environ: Mapping[str, str], name: str) -> int:
    """Return a whole number above zero, NEVER without the variable; SettingsError for another text."""
    text = environ.get(name, "").strip()
    if not text:
        return NEVER
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise SettingsError(name, "must be a whole number above zero")
    return int(text)


def positive(name: str, text: str) -> float:
    """Return a number above zero; SettingsError for another text."""
    try:
        value = float(text)
    except ValueError:
        raise SettingsError(name, "must be a number") from None
    if not 0 < value < float("inf"):
        raise SettingsError(name, "must be greater than zero")
    return value
