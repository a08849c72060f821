"""This machine's clock against that of AWS: WeChat Pay and AWS refuse signatures that are five minutes off."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from botocore.exceptions import ClientError

from ops.findings import Finding, failed, not_checked, ok, warning
from ops.stack import Deployment

TOLERANCE = 5  # seconds; the header has whole seconds, and the answer takes a moment
LIMIT = 300  # seconds that WeChat Pay and AWS allow


def check(deployment: Deployment) -> Iterator[Finding]:
    """Compare the clocks; the header of an answer that is an error has the time as well."""
    try:
        answer = deployment.client("sts").get_caller_identity()
    except ClientError as error:
        answer = error.response
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    yield judge(str(headers.get("date", "")), datetime.fromtimestamp(time.time(), UTC))


def judge(header: str, now: datetime) -> Finding:
    """Judge the header `Date` of an answer that arrived now."""
    try:
        skew = (now - parsedate_to_datetime(header)).total_seconds()
    except (ValueError, TypeError):
        return not_checked("clock", "AWS's answer has no readable header Date")
    words = f"this machine is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} AWS"
    remedy = "set this machine's clock (NTP); the function's own clock is that of AWS"
    if abs(skew) >= LIMIT:
        return failed("clock", f"{words}: AWS and WeChat Pay refuse what is signed here", remedy)
    if abs(skew) > TOLERANCE:
        return warning("clock", words, remedy)
    return ok("clock", words)
