"""The modules that `import wechatpay` loads: a cold start pays for each."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LIBRARY = Path(__file__).parents[2] / "layers/wechatpay/python"
UNWANTED = ("boto3", "botocore", "aws_lambda_powertools", "orders", "cryptography.x509", "sandbox", "asn1crypto")


def loaded(code: str, arguments: Any = None) -> list[str]:
    """Run code in another Python process and return which of the unwanted modules it loaded."""
    tail = f"print([name for name in {UNWANTED!r} if name in sys.modules])"
    program = f"import json, sys\narguments = json.loads(sys.stdin.read())\n{code}\n{tail}"
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(
        command,
        input=json.dumps(arguments),
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(LIBRARY)},
        cwd=LIBRARY,
    )
    assert done.stderr == ""
    names: list[str] = json.loads(done.stdout.replace("'", '"'))
    return names


CLIENT = """
import wechatpay
wechatpay.Client(
    mchid="1230000109", serial_no="AB12", private_key=arguments["key"], platform_keys=arguments["platform_keys"]
)
"""


@pytest.fixture
def public_key_mode(merchant_pem: str, platform_pem: str) -> dict[str, Any]:
    """The keys of a new merchant."""
    return {"key": merchant_pem, "platform_keys": {"PUB_KEY_ID_1": platform_pem}}


def test_the_library_alone_needs_no_cloud_and_no_x509() -> None:
    """`import wechatpay` loads no AWS module and not `cryptography.x509` (36 ms)."""
    assert loaded("import wechatpay") == []


def test_public_key_mode_never_reads_a_certificate(public_key_mode: dict[str, Any]) -> None:
    """A client in public-key mode does not load `cryptography.x509`."""
    assert loaded(CLIENT, public_key_mode) == []


def test_a_certificate_loads_what_reads_it(public_key_mode: dict[str, Any], certificate: str) -> None:
    """A platform certificate loads `cryptography.x509`: proof that the checks of this module can fail."""
    public_key_mode["platform_keys"]["7132D72A03E93CDDF8C03BBD1F37EEDF00A1B2C3"] = certificate
    assert loaded(CLIENT, public_key_mode) == ["cryptography.x509"]
