"""What is to be stored for a merchant, and whether it belongs together: pure, with the rules of the function itself."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ops.keys import CERTIFICATE
from ops.merchant.files import Credentials
from ops.stack import OpsError
from orders import secret
from orders.errors import MerchantUnavailableError
from wechatpay import InvalidKeyError, PlatformKeys
from wechatpay.certificate import read_common_name, read_public_key

type Document = Mapping[str, object]
"""A secret as an object."""

_IDENTIFIER = re.compile(
    r"PUB_KEY_ID_\w*|[0-9A-Za-z_\-]{1,31}|[0-9A-F]{40}", re.ASCII
)  # never 32 characters: an APIv3 key


@dataclass(frozen=True, slots=True)
class Material:
    """What the files and options of a command contain; None and empty mean not given."""

    credentials: Credentials | None = None
    platform_keys: Mapping[str, str] = field(default_factory=dict)
    apiv3_key: str | None = field(default=None, repr=False)
    appid: str | None = None
    service_id: str | None = None
    endpoint: str | None = None
    drop: tuple[str, ...] = ()


def document(mchid: str, material: Material, before: Document | None = None) -> dict[str, object]:
    """Return the secret after the change; fields that the material does not have stay as they are in `before`.

    The platform keys of both are kept, except those to drop. Raises OpsError if one to drop is not there.
    """
    values: dict[str, object] = {"mchid": mchid, **(before or {})}
    if material.credentials:
        values["serial_no"] = material.credentials.serial_no
        values["private_key"] = material.credentials.private_key_pem
        values[CERTIFICATE] = material.credentials.certificate_pem
    if material.platform_keys or material.drop:
        values["platform_keys"] = _platform_keys(platform_keys(before or {}), material)
    options = {name: getattr(material, name) for name in ("apiv3_key", "appid", "service_id", "endpoint")}
    return values | {name: value for name, value in options.items() if value is not None}


def platform_keys(values: Document) -> dict[str, object]:
    """Return the platform keys of a secret by name in upper case, also if they are stored as JSON text."""
    keys = values.get("platform_keys")
    if isinstance(keys, str):
        try:
            keys = json.loads(keys, strict=False)
        except (ValueError, RecursionError):
            keys = None
    return {str(name).strip().upper(): key for name, key in keys.items()} if isinstance(keys, dict) else {}


def _platform_keys(before: Mapping[str, object], material: Material) -> dict[str, object]:
    keys = {**before, **material.platform_keys}
    for name in material.drop:
        if name.strip().upper() not in keys:
            names = ", ".join(map(display, before)) or "none"
            raise OpsError(f"--drop-platform-key {display(name)}: the secret has no such key, only {names}")
        del keys[name.strip().upper()]
    if not keys:
        raise OpsError("--drop-platform-key would leave no platform key: give its successor in the same command")
    return keys


def require_fit(mchid: str, values: Document, credentials: Credentials | None, now: datetime) -> None:
    """Raise OpsError with a line for each fault, unless the function can use this secret and its parts fit."""
    faults = list(_misfits(mchid, credentials, now)) if credentials else []
    try:
        secret.read(json.dumps(values), mchid, now)
    except MerchantUnavailableError as error:
        faults += [fault for fault in error.faults.values() if fault not in faults] or [str(error)]
    if faults:
        raise OpsError("\n".join((f"nothing was written: the keys of {mchid} do not fit:", *faults)))


def _misfits(mchid: str, credentials: Credentials, now: datetime) -> Iterator[str]:
    """Yield what does not fit between the mchid, the certificate, its private key and the time."""
    certificate = credentials.certificate
    try:
        if read_public_key(certificate, "certificate") != credentials.private_key.public_key():
            yield "certificate and private_key were not made together: give both files of one download"
        if (name := read_common_name(certificate, "certificate")) != mchid:
            owner = f"merchant {name[:32]}" if name.isascii() and name.isdigit() else "no merchant"
            yield f"certificate was issued to {owner}, not to {mchid}: give apiclient_cert.pem of this merchant"
    except InvalidKeyError as error:
        yield str(error)
    if certificate.not_valid_after_utc <= now:
        yield (
            f"certificate ended on {certificate.not_valid_after_utc:%Y-%m-%d}: request a new one at pay.weixin.qq.com, "
            "账户中心, API安全"
        )
    elif certificate.not_valid_before_utc > now:
        begin = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        yield f"certificate begins on {begin}: check the clock of this machine, or wait"


# ---- what a person sees before it is written -------------------------------------------------------------------------


def describe(values: Document, now: datetime) -> dict[str, str]:
    """Return what a secret has, by field: numbers, names and dates; of a key no more than that there is one."""
    keys = PlatformKeys({})
    for name, key in platform_keys(values).items():
        keys = keys | PlatformKeys({name: str(key)})
    ends = {
        name: f" (ends on {end:%Y-%m-%d}, in {(end - now).days} days)" for name, (_, end) in keys.validities.items()
    }
    return {
        "mchid": str(values.get("mchid", "")),
        "serial_no": str(values.get("serial_no", "")),
        "private_key": "present, not shown",
        CERTIFICATE: "present" if values.get(CERTIFICATE) else "absent",
        "platform_keys": ", ".join(f"{name}{ends.get(name, '')}" for name in keys),
        "apiv3_key": "present, not shown" if values.get("apiv3_key") else "absent",
        **{name: str(values.get(name) or "absent") for name in ("appid", "service_id")},
        "endpoint": str(values.get("endpoint") or "direct"),
    }


def display(value: object) -> str:
    """Return a number or a name of a stored secret, unless it may be a key that was stored in the wrong place."""
    if value in (None, ""):
        return "absent"
    return value if isinstance(value, str) and _IDENTIFIER.fullmatch(value) else "(not shown: it may be a key)"


def changes(before: Document, after: Document) -> tuple[str, ...]:
    """Return the names of the fields that differ."""
    return tuple(name for name in dict.fromkeys((*before, *after)) if _value(before, name) != _value(after, name))


def _value(values: Document, name: str) -> object:
    return platform_keys(values) if name == "platform_keys" else values.get(name)
