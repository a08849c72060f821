"""`keys`: check merchants' keys."""

import argparse
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ops import binding, keys
from ops.commands.parser import Nouns
from ops.findings import Finding, State, any_failed
from ops.keys import KeysReport, UnusableKeysError
from ops.merchant import files
from ops.output import Exit, Output, Report
from ops.stack import Deployment

_DESCRIPTION = """\
Read the secret of a merchant as the function reads it, and judge it field by field.

The private key signs a text, and its public half verifies that. If the secret contains the merchant's own certificate
(`merchant add` stores it), or if --certificate gives it, it must belong to the private key, the serial and the mchid.
Certificates that end within 30 days are reported. No value of a key is printed.

Only --echo and --bound call WeChat Pay; both change no order and touch no money."""

_BOUND = (
    "also query an order that cannot exist: ORDER_NOT_EXIST is a hint that mchid, appid and service_id belong "
    "together, NO_AUTH that they do not"
)


def register(nouns: Nouns) -> None:
    """Add the noun and its verb."""
    check = nouns.noun("keys", "check merchants' keys").command(
        "check", _check, "check whether a merchant's secret can be used", _DESCRIPTION
    )
    check.add_argument(
        "mchid", metavar="MCHID", help="the merchant number; the secret is {MerchantSecretPrefix}/{mchid}"
    )
    check.add_argument(
        "--echo", action="store_true", help="also send an echo request to WeChat Pay: it verifies our signature"
    )
    check.add_argument("--bound", action="store_true", help=_BOUND)
    for option in ("--appid", "--service-id", "--sub-mchid", "--channel-id"):
        name = option.removeprefix("--").replace("-", "_")
        check.add_argument(option, metavar="ID", help=f"with --bound: {name} of the query, if not that of the secret")
    check.add_argument(
        "--certificate", type=Path, metavar="FILE", help="apiclient_cert.pem, to be compared with the secret"
    )


def _check(deployment: Deployment, options: argparse.Namespace) -> Output:
    certificate = files.read_bytes("--certificate", options.certificate) if options.certificate else None
    try:
        report = keys.check(deployment, options.mchid, certificate=certificate)
    except UnusableKeysError as error:
        if not error.findings:
            raise
        return unusable(options.mchid, error)
    return describe(report, tuple(_calls(report, options)))


def _calls(report: KeysReport, options: argparse.Namespace) -> Iterator[Finding]:
    """Yield what WeChat Pay says, for each option that asks it."""
    if options.echo:
        yield keys.echo(report.client)
    if options.bound:
        names = ("appid", "service_id", "sub_mchid", "channel_id")
        yield binding.check(report.merchant, **{name: getattr(options, name) for name in names})


def unusable(mchid: str, error: UnusableKeysError) -> Report:
    """Return the report on a secret that the function cannot use."""
    document = {"mchid": mchid, "usable": False, "findings": [finding.document() for finding in error.findings]}
    return Report(tuple(str(error).splitlines()), document, Exit.ACTION)


def describe(report: KeysReport, calls: tuple[Finding, ...] = ()) -> Report:
    """Return the report on a secret that the function can use; `calls` are the answers of WeChat Pay."""
    client, now = report.client, datetime.now(UTC)
    echo = next((call for call in calls if call.subject == keys.ECHO and call.state is State.OK), None)
    others = [call for call in calls if call is not echo]
    source = "WeChat Pay was asked" if others else "WeChat Pay was not asked"
    if echo is not None:
        source = f"WeChat Pay echoed, {echo.words}"
    unanswered = any(call.state is State.NOT_CHECKED for call in calls)
    verdict = "is well formed, but WeChat Pay refuses it" if any_failed(calls) else "can be used"
    if unanswered and not any_failed(calls):
        verdict = "is well formed, but WeChat Pay has not answered"
    lines = (
        *report.lines,
        *map(keys.verdict_line, others),
        f"the secret of {client.mchid} {verdict} (checked {time.strftime('%H:%M:%S')}; {source})",
        f"signs with the certificate  {_with_end(client.merchant.serial_no, report, now)}",
        f"trusts                      {', '.join(_with_end(name, report, now) for name in client.platform_keys)}",
    )
    document = {
        "mchid": client.mchid,
        "usable": True,
        "findings": [finding.document() for finding in (*report.findings, *calls)],
        "serial_no": client.merchant.serial_no,
        "platform_keys": list(client.platform_keys),
        "ends": {serial: end.isoformat() for serial, end in report.ends.items()},
        "days_left": {serial: (end - now).days for serial, end in report.ends.items()},
    }
    return Report(lines, document, Exit.ACTION if report.failed or any_failed(calls) or unanswered else Exit.DONE)


def _with_end(serial: str, report: KeysReport, now: datetime) -> str:
    end = report.ends.get(serial)
    return f"{serial} (ends on {end:%Y-%m-%d}, in {(end - now).days} days)" if end else serial
