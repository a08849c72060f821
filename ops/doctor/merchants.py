"""Each merchant's secret: readable, usable, and the days until its certificates end; a bounded number of merchants."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice

from ops import keys
from ops.findings import Finding, State, failed, not_checked, ok, warning
from ops.keys import KeysReport, UnusableKeysError
from ops.stack import Deployment

MOST = 20  # merchants; each costs a call and a signature


def limited(limit: int) -> Callable[[Deployment], Iterator[Finding]]:
    """Return the check of at most so many merchants."""

    def check(deployment: Deployment) -> Iterator[Finding]:
        names = _mchids(deployment)
        merchants = list(islice(names, limit))
        for mchid in merchants:
            yield examine(deployment, mchid)
        if not merchants:
            words = f"there is no secret {deployment.secret_prefix}/…: each event is rejected as UNKNOWN_MERCHANT"
            yield warning("merchants", words, "bin/ops merchant add MCHID")
        elif next(names, None) is not None:
            yield not_checked("merchants", f"only the first {limit} were checked", "give a higher --merchants")

    return check


def _mchids(deployment: Deployment) -> Iterator[str]:
    """Yield the merchants that have a secret."""
    prefix = f"{deployment.secret_prefix}/"
    pages = deployment.client("secretsmanager").get_paginator("list_secrets")
    for page in pages.paginate(Filters=[{"Key": "name", "Values": [prefix]}]):
        for row in page["SecretList"]:
            mchid = row["Name"].removeprefix(prefix)
            if row["Name"].startswith(prefix) and mchid.isascii() and mchid.isdigit():
                yield mchid


def examine(deployment: Deployment, mchid: str) -> Finding:
    """Judge the secret of one merchant, as `keys check` does."""
    subject = f"merchant {mchid}"
    try:
        report = keys.check(deployment, mchid)
    except UnusableKeysError as error:
        words = "; ".join(_faults(error)) or str(error)
        if not error.findings:
            return not_checked(subject, words, "needs secretsmanager:GetSecretValue, and kms:Decrypt on its KMS key")
        return failed(subject, words, f"bin/ops keys check {mchid}, then merchant rotate")
    return judge(subject, report, datetime.now(UTC))


def _faults(error: UnusableKeysError) -> list[str]:
    """Return what is wrong with each field; empty if the whole secret is."""
    rows = [finding for finding in error.findings if finding.state is State.FAILED and finding.subject != keys.WHOLE]
    return [f"{finding.subject} {finding.words}" for finding in rows]


def judge(subject: str, report: KeysReport, now: datetime) -> Finding:
    """Judge a secret that the function can use by its certificates."""
    ends = [f"{serial} ends in {(end - now).days} days" for serial, end in report.ends.items()]
    serial, days = report.client.merchant.serial_no, ", ".join(ends) or "no certificate that ends"
    words = f"well formed (`keys check --echo` asks WeChat Pay), signs with {serial}; {days}"
    rows = [finding for finding in report.findings if finding.state in {State.FAILED, State.WARNING}]
    for state, make in ((State.FAILED, failed), (State.WARNING, warning)):
        if problems := [finding for finding in rows if finding.state is state]:
            problem = "; ".join(f"{finding.subject} {finding.words}" for finding in problems)
            return make(subject, problem, problems[0].remedy)
    return ok(subject, words)
