"""`keys`: check merchants' keys."""

import argparse
import time

from ops import keys
from ops.commands.parser import Nouns
from ops.output import Output, Report
from ops.stack import Deployment


def register(nouns: Nouns) -> None:
    """Add the noun and its verb."""
    check = nouns.noun("keys", "check merchants' keys").command(
        "check", _check, "check whether a merchant's secret can be used"
    )
    check.add_argument("mchid")
    check.add_argument(
        "--echo", action="store_true", help="also send an echo request to WeChat Pay; it changes no order"
    )


def _check(deployment: Deployment, options: argparse.Namespace) -> Output:
    report = keys.check(deployment, options.mchid)
    client = report.client
    request_id = keys.echo(client) if options.echo else ""
    echo = f"WeChat Pay echoed, {request_id}" if request_id else "WeChat Pay was not asked"
    lines = (
        *report.lines,
        f"the secret of {client.mchid} can be used (checked {time.strftime('%H:%M:%S')}; {echo})",
        f"signs with the certificate  {client.merchant.serial_no}",
        f"trusts                      {', '.join(client.platform_keys)}",
    )
    document = {
        "mchid": client.mchid,
        "fields": list(report.lines),
        "serial_no": client.merchant.serial_no,
        "platform_keys": list(client.platform_keys),
        "echo_request_id": request_id,
    }
    return Report(lines, document)
