"""No key, token or password is in the repository; what looks like one is public or made up, and listed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATTERNS = {
    "private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:\\n|\s)+[A-Za-z0-9+/=\\n\s]{200,}"),
    "AWS access key": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    "token": re.compile(r"\b(?:ghp|gho|ghs|github_pat|xox[abp]|npm|pypi)[_-][A-Za-z0-9_-]{20,}"),
    "assigned secret": re.compile(
        r"(?i)(?:secret|token|passw(?:or)?d|apiv3_key)\"?\s*[:=]\s*[\"'][A-Za-z0-9+/_-]{24,}[\"']"
    ),
}
# file → why what is in it may be there
LISTED = {
    "tests/wechatpay/vectors/requests.json": "the documentation's own example key, published by WeChat Pay",
    "tests/wechatpay/test_platform_certificates.py": "made up: digits and letters in their order",
}


def _tracked() -> list[str]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: what is tracked cannot be told")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def _found(text: str) -> set[str]:
    return {kind for kind, pattern in PATTERNS.items() if pattern.search(text)}


def test_no_secret_is_tracked() -> None:
    """In any file, of any kind."""
    texts = {name: (ROOT / name).read_text(encoding="utf-8", errors="replace") for name in _tracked()}
    assert len(texts) > 100
    found = {name: kinds for name, text in texts.items() if (kinds := _found(text)) and name not in LISTED}
    assert found == {}


@pytest.mark.parametrize("name", LISTED)
def test_what_is_listed_is_there(name: str) -> None:
    """A list that outlives its reasons hides the next one."""
    assert _found((ROOT / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN " + "PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n" * 20,
        "-----BEGIN " + "RSA PRIVATE KEY-----\\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\\n" * 20,
        "aws_access_key_id = " + "AKIA" + "ABCDEFGHIJKLMNOP",
        "token: ghp_" + "a" * 36,
        '"apiv3' + '_key": "' + "0123456789abcdef" * 2 + '"',
    ],
)
def test_the_scan_finds_what_it_looks_for(text: str) -> None:
    """Put together here, so that this file is no finding itself."""
    assert _found(text)
