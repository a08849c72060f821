"""Check a merchant's secret field by field, with the code that the function uses; with WeChat Pay if asked to."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ops.findings import Finding, State, any_failed, failed, not_checked, ok, warning
from ops.stack import Deployment, OpsError
from orders.errors import MerchantUnavailableError, OrdersError
from orders.merchants import Merchant, Merchants
from orders.secret import FIELDS, parse
from wechatpay import Client, InvalidKeyError, UnansweredError, WeChatPayError
from wechatpay.certificate import load_certificate

SOON = timedelta(days=30)
"""The check reports a certificate that ends within this time."""

CERTIFICATE = "certificate"
"""The field of a secret in which `merchant add` stores apiclient_cert.pem. Only `ops` reads it, for its dates."""

WHOLE = "secret"
"""The subject of the finding about a secret that is absent, or is no JSON object."""

ECHO = "echo"
"""The subject of the finding about an echo request."""

_ABSENT = {
    "apiv3_key": "absent: needed to open notifications and to download platform certificates",
    "appid": "absent: each event must name it",
    "service_id": "absent: each event must name it",
}
_REMEDIES = {
    "platform_keys": "add its successor, or WeChat Pay's public key",
    CERTIFICATE: "request its successor at pay.weixin.qq.com, then run merchant rotate",
}

_ECHO_REMEDY = (
    "private_key and serial_no must be of one certificate, valid and of this merchant: compare with --certificate"
)


class UnusableKeysError(OpsError):
    """The function cannot use a merchant's secret.

    `findings` has each field, or the whole secret if it has none. It is empty if the secret could not be fetched: then
    nothing is known about it.
    """

    def __init__(self, text: str, findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(text)
        self.findings = findings


@dataclass(frozen=True, slots=True)
class KeysReport:
    """A secret that the function can use: the merchant, and a finding for each field, without any value.

    `ends` has the last moment of each certificate by serial: those among the platform keys, and the merchant's own if
    the secret or the caller has it.
    """

    merchant: Merchant
    findings: tuple[Finding, ...]
    ends: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def client(self) -> Client:
        """The merchant's client of WeChat Pay."""
        return self.merchant.client

    @property
    def failed(self) -> bool:
        """Whether a check failed, although the function can use the secret: the certificate does not fit or ended."""
        return any_failed(self.findings)

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each field."""
        return tuple(map(line, self.findings))


def line(finding: Finding) -> str:
    """Return a finding about a field of a secret as a line of `keys check`."""
    words = f"{finding.words}: {finding.remedy}" if finding.remedy else finding.words
    return f"{finding.subject:<15}{words}"


def check(
    deployment: Deployment,
    mchid: str,
    *,
    certificate: bytes | None = None,
    wall_clock: Callable[[], float] = time.time,
) -> KeysReport:
    """Read the merchant's secret, build its client and judge each field.

    Calls Secrets Manager only, not WeChat Pay. The client has signed once, and its own public key has verified that.

    Args:
        deployment: The stack, for the secret's name and WeChat Pay's host.
        mchid: The merchant.
        certificate: The content of apiclient_cert.pem, to be compared with the secret; by default the secret's own.
        wall_clock: Returns Unix seconds, for the validity of certificates.

    Raises:
        UnusableKeysError: the function cannot use the secret; the text has a line for each field.
    """
    secrets, arguments = _Secrets(deployment.client("secretsmanager")), _host(deployment)

    def client(**keys: Any) -> Client:  # noqa: ANN401  the client's own arguments
        arguments.update(keys)
        return Client(**arguments)

    merchants = Merchants(secrets, deployment.secret_prefix, client, wall_clock=wall_clock)  # type: ignore[arg-type]  # the one call of it that is used
    try:
        merchant = merchants.get(mchid)
    except MerchantUnavailableError as error:
        faults = tuple(_faults(error)) or ((_whole(error),) if secrets.text else ())
        raise UnusableKeysError("\n".join(_refusal(mchid, error)), faults) from error
    except OrdersError as error:  # there is no secret
        finding = failed(WHOLE, str(error), f"merchant add {mchid} creates it")
        raise UnusableKeysError(f"{error} ({finding.remedy})", (finding,)) from error
    document = parse(secrets.text, mchid)
    now = datetime.fromtimestamp(wall_clock(), UTC)
    ends = {serial: end for serial, (_, end) in merchant.client.platform_keys.validities.items()}
    values = {"apiv3_key": arguments["apiv3_key"], "appid": merchant.appid, "service_id": merchant.service_id}
    absent = frozenset(name for name, value in values.items() if value is None)
    findings = [_field(name, absent, ends, now) for name in FIELDS]
    if (source := certificate or document.get(CERTIFICATE)) is not None:
        finding, own = judge_certificate(source, merchant.client, now)
        findings.append(finding)
        ends |= own
    return KeysReport(merchant, tuple(findings), ends)


class _Secrets:
    """A client of Secrets Manager that keeps the text it has read."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401  boto3 creates its clients at run time
        self._client = client
        self.text = ""

    def get_secret_value(self, **arguments: str) -> Any:  # noqa: ANN401  as above
        """Return the answer of Secrets Manager."""
        answer = self._client.get_secret_value(**arguments)
        self.text = answer.get("SecretString") or ""
        return answer


def _host(deployment: Deployment) -> dict[str, Any]:
    """Return the client's argument for another host than WeChat Pay's own."""
    return {"base_url": deployment.wechat_pay_url} if deployment.wechat_pay_url else {}


def _refusal(mchid: str, error: MerchantUnavailableError) -> Iterator[str]:
    """Yield what is wrong, then a line for each field if the fields could be read."""
    if not error.faults:
        yield str(error)
        return
    yield f"the secret of {mchid} cannot be used:"
    yield from map(line, _faults(error))


def _whole(error: MerchantUnavailableError) -> Finding:
    """Return the finding about a secret that is no JSON object."""
    return Finding(WHOLE, State.FAILED, str(error))


def _faults(error: MerchantUnavailableError) -> Iterator[Finding]:
    """Yield a finding for each field, and for each fault of a field that has several."""
    for name in FIELDS if error.faults else ():
        faults = [fault for place, fault in error.faults.items() if place.partition("[")[0] == name]
        yield from (Finding(name, State.FAILED, fault.removeprefix(f"{name} ")) for fault in faults)
        if not faults:
            yield ok(name, "ok")


def _field(name: str, absent: frozenset[str], ends: Mapping[str, datetime], now: datetime) -> Finding:
    """Judge a field that the function accepts."""
    if name in absent:
        return ok(name, _ABSENT[name])
    soon = [f"{serial} ends on {end:%Y-%m-%d}" for serial, end in ends.items() if end - now < SOON]
    if name == "platform_keys" and soon:
        return warning(name, f"ok, but {', '.join(soon)}", _REMEDIES[name])
    return ok(name, "ok")


def judge_certificate(source: object, client: Client, now: datetime) -> tuple[Finding, dict[str, datetime]]:
    """Judge a merchant's own certificate (PEM) against its secret; return its end by serial as well."""
    try:
        certificate = load_certificate(source, CERTIFICATE)  # type: ignore[arg-type]  # it refuses what is not text
        client.merchant.check(source)  # type: ignore[arg-type]  # as above
    except InvalidKeyError as error:
        remedy = "take private_key, serial_no and certificate from one download of the merchant platform"
        return failed(CERTIFICATE, str(error).removeprefix(f"{CERTIFICATE} "), remedy), {}
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return _validity(begin, end, now), {client.merchant.serial_no: end}


def _validity(begin: datetime, end: datetime, now: datetime) -> Finding:
    if end <= now:
        words = f"ended on {end:%Y-%m-%d}: WeChat Pay refuses what it signs"
        return failed(CERTIFICATE, words, _REMEDIES[CERTIFICATE])
    if begin > now:
        return failed(CERTIFICATE, f"begins on {begin:%Y-%m-%d}", "check the clock of this machine")
    words = f"belongs to private_key, serial_no and mchid, ends on {end:%Y-%m-%d} (in {(end - now).days} days)"
    if end - now < SOON:
        return warning(CERTIFICATE, f"ok, but {words}", _REMEDIES[CERTIFICATE])
    return ok(CERTIFICATE, f"ok, {words}")


def echo(client: Client) -> Finding:
    """Send an echo request to WeChat Pay, which verifies the signature; the finding has the Request-ID."""
    try:
        return ok(ECHO, client.security.echo().request_id)
    except UnansweredError as error:
        return not_checked(ECHO, f"WeChat Pay did not answer: {error}", "check this machine's way out, then try again")
    except WeChatPayError as error:
        return failed(ECHO, f"the echo request failed: {error}", _ECHO_REMEDY)


def verdict_line(finding: Finding) -> str:
    """Return a finding about a call to WeChat Pay as a line of `keys check`."""
    remedy = f": {finding.remedy}" if finding.remedy else ""
    return f"{finding.subject:<15}{finding.state}: {finding.words}{remedy}"
