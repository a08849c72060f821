"""The environment of this function, read once; no other module of it reads it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from orders.errors import SettingsError
from orders.settings import ca_bundle, positive, required, url

CALL_SHARE = 5  # a call of AWS may take a fifth of the time to connect, and a fifth to be answered


@dataclass(frozen=True, slots=True)
class Settings:
    """What `template.yaml` sets; times are seconds.

    `collected_days` is how long an order that no till has reported is remembered; `answer_within` is WeChat Pay's own
    limit.
    """

    orders_table: str
    merchant_secret_prefix: str
    aws_ca_bundle: str | None
    wechatpay_base_url: str
    wechatpay_backup_url: str
    collected_days: int
    answer_within: float

    @property
    def timeout(self) -> tuple[float, float]:
        """The seconds to connect and to wait for an answer, of each call."""
        return self.answer_within / CALL_SHARE, self.answer_within / CALL_SHARE

    @property
    def call_limit(self) -> float:
        """The longest time of one call of AWS, with a reserve for the answer to the front."""
        return sum(self.timeout) + self.answer_within / 20

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read and check every variable; raises SettingsError naming the first that is missing or unusable."""
        return cls(
            orders_table=required(environ, "ORDERS_TABLE"),
            merchant_secret_prefix=required(environ, "MERCHANT_SECRET_PREFIX").rstrip("/"),
            aws_ca_bundle=ca_bundle(environ),
            wechatpay_base_url=url(environ, "WECHATPAY_BASE_URL", "https://api.mch.weixin.qq.com"),
            wechatpay_backup_url=url(environ, "WECHATPAY_BACKUP_URL", "https://api2.mch.weixin.qq.com"),
            collected_days=_days(environ.get("COLLECTED_DAYS", "14")),
            answer_within=positive("ANSWER_WITHIN", environ.get("ANSWER_WITHIN", "5")),
        )


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 10_000):
        raise SettingsError("COLLECTED_DAYS", "must be a whole number of days above zero")
    return int(text)
