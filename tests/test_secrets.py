"""No key, token or password is in the repository; what looks like one is public or made up, and listed."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_BREAK = r"(?:\\+[nr]|\s)"  # of a line, as it is or as a string's escape
PATTERNS = {
    # An Ed25519 key has 64 signs, the shortest there is.
    "private key": re.compile(rf"-----BEGIN [A-Z ]*PRIVATE KEY-----{_BREAK}+(?:[A-Za-z0-9+/=]|{_BREAK}){{48,}}"),
    "AWS access key": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    "token": re.compile(
        r"\b(?:(?:gh[opsur]|github_pat|glpat|xox[abprs]|npm|pypi|sk|hf)[_-][A-Za-z0-9_-]{20,}"
        r"|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,})"
    ),
    # A name that promises a secret, and 24 signs or more with a digit among them: an environment file's, YAML's, JSON's
    # or Python's, annotated or not. A call, an attribute or a path is none.
    "assigned secret": re.compile(
        r"(?i)(?:secret|token|passw(?:or)?d|api_?v3_?key|access_key)\w*[\"']?(?:\s*:\s*(?:str|bytes))?\s*[:=]\s*b?[\"']?"
        r"(?=[A-Za-z0-9+/_-]*[0-9])[A-Za-z0-9+/_-]{24,}={0,2}(?![A-Za-z0-9+/_(.\[-])"
    ),
}
# file → the findings' digests → why they may be there
LISTED = {
    "tests/wechatpay/vectors/requests.json": {
        "c1c2d7aa584b": "the documentation's own example key, published by WeChat Pay",
    },
    "tests/wechatpay/test_platform_certificates.py": {
        "56ba0396fbcd": "made up: digits and letters in their order",
    },
}


def _tracked() -> list[str]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: what is tracked cannot be told")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def _found(text: str) -> set[tuple[str, str]]:
    """Kind and digest of each finding: a list of digests repeats no secret, and hides no other one."""
    return {
        (kind, hashlib.sha256(found[0].encode()).hexdigest()[:12])
        for kind, pattern in PATTERNS.items()
        for found in pattern.finditer(text)
    }


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def test_no_secret_is_tracked() -> None:
    """In any file, of any kind; what is listed is listed by itself, not by its file."""
    tracked = _tracked()
    assert len(tracked) > 100
    found = {name: _found(_text(name)) for name in tracked}
    unlisted = {
        (name, kind, digest) for name, all_of in found.items() for kind, digest in all_of - _listed(name, all_of)
    }
    assert unlisted == set()


def _listed(name: str, found: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {(kind, digest) for kind, digest in found if digest in LISTED.get(name, {})}


@pytest.mark.parametrize("name", LISTED)
def test_what_is_listed_is_there(name: str) -> None:
    """A list that outlives its reasons hides the next one."""
    assert {digest for _, digest in _found(_text(name))} == LISTED[name].keys()


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
def test_the_scan_finds_what_it_looks_for(text: str) -> None:
    """Put together here, so that this file is no finding itself."""
    assert _found(text)


@pytest.mark.parametrize(
    "text",
    [
        "secret = wechat_pay.merchant(MERCHANT).secret()",
        '"private_key": "' + _PEM + 'PRIVATE KEY-----…"',
        "    --hash=sha256:" + "0123456789abcdef" * 4,
        "apiv3_key = _apiv3_key_of_the_merchant(mchid)",
    ],
)
def test_the_scan_leaves_the_rest_alone(text: str) -> None:
    """Else the list would grow until nobody reads it."""
    assert not _found(text)
