"""The merchants with their keys and kinds, WeChat Pay's own keys, the permissions of users, and refunds."""

import json
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import ClientError
from starlette.responses import Response

from sandbox.console import bulletin
from sandbox.console.errors import ConsoleError
from sandbox.console.fields import argument_field
from sandbox.console.page import Page
from sandbox.console.visit import Visit
from sandbox.wechat_pay.verbs import VERBS

MOST = 20  # permissions and refunds on the page

SecretState = Literal["same", "other", "none"]
"""Whether a merchant's secret has its present key, an earlier one, or does not exist."""


@dataclass(frozen=True, slots=True)
class Line:
    """A merchant as WeChat Pay has it, and what its secret holds."""

    mchid: str
    kind: str
    serial: str
    has_apiv3_key: bool
    secret: SecretState


def show(visit: Visit) -> Response:
    """Show the page."""
    return visit.show("merchants.html", verbs=VERBS, **_values(visit))


def part(visit: Visit) -> Response:
    """Show its live part alone."""
    return visit.show("merchants_part.html", **_values(visit))


def store(visit: Visit) -> Response:
    """Store a merchant's present key in its secret."""
    mchid = visit.field("mchid")
    if mchid not in {one["mchid"] for one in visit.desk.wechat_pay.merchants()}:
        raise ConsoleError("merchants.none_such", mchid=mchid[:32])
    visit.desk.testbed.put_secret(mchid)
    return visit.done("merchants.stored", topics=[bulletin.MERCHANTS], mchid=mchid)


def _values(visit: Visit) -> dict[str, object]:
    wechat_pay = visit.desk.wechat_pay
    kind, end = VERBS["change_merchant"].arguments["kind"], VERBS["finish_refund"].arguments["status"]
    return {
        "lines": [_line(visit, one) for one in wechat_pay.merchants()],
        "kinds": kind.choices,
        "certificates": list(wechat_pay.platform.certificates),
        "public_key_id": wechat_pay.platform.public_key_id,
        "permissions": wechat_pay.permissions.all()[-MOST:],
        "refunds": wechat_pay.refunds.all()[-MOST:],
        "ends": argument_field(end).choices,
    }


def _line(visit: Visit, one: dict[str, Any]) -> Line:
    mchid, serial = one["mchid"], one["serial_no"]
    return Line(mchid, one["kind"], serial, one["has_apiv3_key"], _secret(visit, mchid, serial))


def _secret(visit: Visit, mchid: str, serial: str) -> SecretState:
    secrets = visit.desk.testbed.cloud.client("secretsmanager")
    try:
        secret = json.loads(secrets.get_secret_value(SecretId=f"wechatpay/{mchid}")["SecretString"])
    except ClientError:
        return "none"
    return "same" if secret.get("serial_no") == serial else "other"


PAGE: Page[Visit] = Page("merchants", "/merchants", {"": show, "part": part}, {"store": store})
