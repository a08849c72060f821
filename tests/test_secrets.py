"""No key, token or password is in the repository; text that looks like one is public or invented, and listed."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_BREAK = r"(?:\\+[nr]|\s)"  # a line break, or its escape in a string
PATTERNS = {
    # The shortest key, of Ed25519, has 64 characters of base64.
    "private key": re.compile(rf"-----BEGIN [A-Z ]*PRIVATE KEY-----{_BREAK}+(?:[A-Za-z0-9+/=]|{_BREAK}){{48,}}"),
    "AWS access key": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    "token": re.compile(
        r"\b(?:(?:gh[opsur]|github_pat|glpat|xox[abprs]|npm|pypi|sk|hf)[_-][A-Za-z0-9_-]{20,}"
        r"|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,})"
    ),
    # A name of a secret with a value of 24 characters or more that has a digit: in an environment file, YAML, JSON or
    # Python, annotated or not. A call, an attribute or a path is no secret.
    "assigned secret": re.compile(
        r"(?i)(?:secret|token|passw(?:or)?d|api_?v3_?key|access_key)\w*[\"']?(?:\s*:\s*(?:str|bytes))?\s*[:=]\s*b?[\"']?"
        r"(?=[A-Za-z0-9+/_-]*[0-9])[A-Za-z0-9+/_-]{24,}={0,2}(?![A-Za-z0-9+/_(.\[-])"
    ),
}
# file → digest of a match → why it may be there
LISTED = {
    "tests/wechatpay/vectors/requests.json": {
        "c1c2d7aa584b": "the example key of WeChat Pay's documentation",
    },
    "tests/wechatpay/test_platform_certificates.py": {
        "56ba0396fbcd": "invented: digits and letters in order",
    },
}


def _tracked() -> list[str]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: the tracked files are unknown")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    return [name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def _matches(text: str) -> set[tuple[str, str]]:
    """Return kind and digest of each match; a list of digests contains no secret, and covers no other match."""
    return {
        (kind, hashlib.sha256(match[0].encode()).hexdigest()[:12])
        for kind, pattern in PATTERNS.items()
        for match in pattern.finditer(text)
    }


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def test_no_secret_is_tracked() -> None:
    """No tracked file contains a secret, except matches that are listed one by one."""
    tracked = _tracked()
    assert len(tracked) > 100
    matches = {name: _matches(_text(name)) for name in tracked}
    unlisted = {
        (name, kind, digest)
        for name, in_file in matches.items()
        for kind, digest in in_file
        if digest not in LISTED.get(name, {})
    }
    assert unlisted == set()


@pytest.mark.parametrize("name", LISTED)
def test_each_listed_match_exists(name: str) -> None:
    """The list has no entry without a match, because such an entry could hide a later secret."""
    assert {digest for _, digest in _matches(_text(name))} == LISTED[name].keys()


_PEM = "-----BEGIN "
_BASE64 = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"


@pytest.mark.parametrize(
    "text",
    [
        _PEM + "PRIVATE KEY-----\n" + f"{_BASE64}\n" * 20,
        _PEM + "RSA PRIVATE KEY-----\\n" + f"{_BASE64}\\n" * 20,
        _PEM + "PRIVATE KEY-----\r\n" + f"{_BASE64}\r\n" * 20,
        _PEM + "EC PRIVATE KEY-----\n" + f"{_BASE64}\n" * 5,
        _PEM + "PRIVATE KEY-----\n" + _BASE64 * 2,
        "aws_access_key_id = " + "AKIA" + "ABCDEFGHIJKLMNOP",
        "aws_secret_" + "access_key = " + "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY",
        "token: ghp_" + "a" * 36,
        "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0.x",
        '"apiv3' + '_key": "' + "0123456789abcdef" * 2 + '"',
        "APIV3" + "_KEY=" + "0123456789abcdef" * 2,
        "APIV3" + '_KEY: bytes = b"' + "0123456789abcdef" * 2 + '"',
        "pass" + "word: " + "0123456789abcdef" * 2,
    ],
)
def test_the_scan_finds_secrets(text: str) -> None:
    """The scan finds each kind of secret; the examples are concatenated, so that this file has no match."""
    assert _matches(text)


@pytest.mark.parametrize(
    "text",
    [
        "secret = wechat_pay.merchant(MERCHANT).secret()",
        '"private_key": "' + _PEM + 'PRIVATE KEY-----…"',
        "    --hash=sha256:" + "0123456789abcdef" * 4,
        "apiv3_key = _apiv3_key_of_the_merchant(mchid)",
    ],
)
def test_the_scan_ignores_other_text(text: str) -> None:
    """The scan ignores code, placeholders and hashes that resemble a secret."""
    assert not _matches(text)
