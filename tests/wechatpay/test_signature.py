"""Signatures against `openssl`, which shares no code with the library, and against the documentation's own examples."""

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wechatpay.merchant import Merchant
from wechatpay.message import authorization, json_bytes, query_string, request_message
from wechatpay.paths import expand

VECTORS = Path(__file__).parent / "vectors"
REQUESTS = json.loads((VECTORS / "requests.json").read_text(encoding="utf-8"))

type Oracle = Callable[[bytes], str]


@pytest.fixture(scope="session")
def by_openssl(openssl: Path, merchant_pem: str, tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    """Sign with `openssl dgst -sha256 -sign` and the merchant's key."""
    key = tmp_path_factory.mktemp("keys") / "apiclient_key.pem"
    key.write_text(merchant_pem)

    def sign(message: bytes) -> str:
        command = [str(openssl), "dgst", "-sha256", "-sign", str(key)]
        return base64.b64encode(subprocess.run(command, input=message, capture_output=True, check=True).stdout).decode()

    return sign


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"\n",
        '{"description":"充电宝租借，一小时四元"}'.encode(),
        b'{"spaces": "as they are" }\r\n',
        bytes(range(256)),
        b"x" * 100_000,
    ],
    ids=["empty", "short", "line end", "Chinese", "not compact", "any bytes", "long"],
)
def test_a_signature_is_the_one_openssl_makes(merchant: Merchant, by_openssl: Oracle, body: bytes) -> None:
    """A signature is, byte for byte, the one that openssl makes."""
    message = request_message("POST", "/v3/payscore/serviceorder/A%7CB*C/sync", "1800000000", "593BEC0C", body)
    assert by_openssl(message) == merchant.sign(message)


@settings(max_examples=25, deadline=None)
@given(
    value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1).filter(
        lambda text: text not in {".", ".."}
    ),
    params=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text(max_size=20)),
    description=st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0xFFFF)),
)
def test_whatever_is_called_openssl_signs_the_same(
    merchant: Merchant, by_openssl: Oracle, value: str, params: dict[str, str], description: str
) -> None:
    """For any path value, query and body the signature is the one that openssl makes."""
    target = f"{expand('v3/x/{value}', {'value': value})}?{query_string(params)}"
    message = request_message("POST", target, "1800000000", "593BEC0C", json_bytes({"description": description}))
    assert by_openssl(message) == merchant.sign(message)


@pytest.mark.parametrize("request_", REQUESTS["requests"], ids=[vector["id"] for vector in REQUESTS["requests"]])
def test_the_documentations_requests_get_the_documentations_signatures(request_: dict[str, Any]) -> None:
    """The documentation's requests get the documentation's signatures."""
    merchant = Merchant(**{name: REQUESTS[name] for name in ("mchid", "serial_no", "private_key")})
    method, target, timestamp, nonce = (request_[name] for name in ("method", "target", "timestamp", "nonce"))
    message = request_message(method, target, timestamp, nonce, request_["body"].encode())
    assert request_["signature"] == merchant.sign(message)


def test_the_documented_header_is_written_to_the_letter() -> None:
    """The header has one blank after the scheme, none after commas and straight quotes (doc 4012365344)."""
    expected = (
        'WECHATPAY2-SHA256-RSA2048 mchid="1900007291",nonce_str="593BEC0C930BF1AFEB40B4A08C8FB242",signature="c2ln",'
        'timestamp="1554208460",serial_no="408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB"'
    )
    header = authorization("1900007291", REQUESTS["serial_no"], "1554208460", REQUESTS["requests"][0]["nonce"], "c2ln")
    assert expected == header


def test_every_vector_names_its_source() -> None:
    """Every known answer names the page that it was taken from."""
    files = sorted(VECTORS.glob("*.json"))
    assert files
    for file in files:
        assert "https://pay.weixin.qq.com/doc/" in json.loads(file.read_text(encoding="utf-8"))["source"]
