"""Check a merchant's secret field by field, with the code that the function uses."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ops.stack import Deployment, OpsError
from orders.errors import MerchantUnavailableError, OrdersError
from orders.merchants import Merchant, Merchants
from orders.secret import FIELDS
from wechatpay import Client, WeChatPayError

SOON = timedelta(days=30)
"""The check reports a platform certificate that ends within this time."""

_ABSENT = {
    "apiv3_key": "absent: needed to open notifications and to download platform certificates",
    "appid": "absent: each event must name it",
    "service_id": "absent: each event must name it",
}


@dataclass(frozen=True, slots=True)
class KeysReport:
    """A secret that can be used: its client, and a line for each field. Of the values, lines contain serials only."""

    client: Client
    lines: tuple[str, ...]


def check(deployment: Deployment, mchid: str, *, wall_clock: Callable[[], float] = time.time) -> KeysReport:
    """Read the merchant's secret and build its client; OpsError with a line for each field if something is wrong.

    Calls Secrets Manager only, not WeChat Pay. `wall_clock` returns Unix seconds, for the validity of certificates.
    """
    arguments: dict[str, Any] = {"base_url": deployment.wechat_pay_url} if deployment.wechat_pay_url else {}

    def client(**keys: Any) -> Client:  # noqa: ANN401  the client's own arguments
        arguments.update(keys)
        return Client(**arguments)

    secrets = deployment.client("secretsmanager")
    merchants = Merchants(secrets, deployment.secret_prefix, client, wall_clock=wall_clock)
    try:
        merchant = merchants.get(mchid)
    except MerchantUnavailableError as error:
        raise OpsError("\n".join(_refusal(mchid, error))) from error
    except OrdersError as error:
        raise OpsError(str(error)) from error
    notes = _notes(merchant, arguments["apiv3_key"], datetime.fromtimestamp(wall_clock(), UTC))
    return KeysReport(merchant.client, tuple(_line(name, notes.get(name, "ok")) for name in FIELDS))


def _refusal(mchid: str, error: MerchantUnavailableError) -> Iterator[str]:
    """Yield what is wrong, then a line for each field if the fields could be read."""
    if not error.faults:
        yield str(error)
        return
    yield f"the secret of {mchid} cannot be used:"
    for name in FIELDS:
        faults = [fault for place, fault in error.faults.items() if place.partition("[")[0] == name]
        yield from (_line(name, fault.removeprefix(f"{name} ")) for fault in faults or ["ok"])


def _notes(merchant: Merchant, apiv3_key: str | None, now: datetime) -> Mapping[str, str]:
    """Return remarks on fields that are valid, and on optional fields that are absent."""
    keys = merchant.client.platform_keys
    ends = [f"{serial} ends on {end:%Y-%m-%d}" for serial, (_, end) in keys.validities.items() if end - now < SOON]
    values = {"apiv3_key": apiv3_key, "appid": merchant.appid, "service_id": merchant.service_id}
    notes = {name: _ABSENT[name] for name, value in values.items() if value is None}
    if ends:
        notes["platform_keys"] = f"ok, but {', '.join(ends)}: add its successor, or WeChat Pay's public key"
    return notes


def _line(name: str, words: str) -> str:
    return f"{name:<15}{words}"


def echo(client: Client) -> str:
    """Send an echo request to WeChat Pay; return its Request-ID. OpsError with WeChat Pay's own error."""
    try:
        return client.security.echo().request_id
    except WeChatPayError as error:
        raise OpsError(f"the echo request failed: {error}") from error
