"""The way to AWS: quick because the authorities are parsed once, and not a bit less careful for it."""

import json
import os
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import SSLError
from samtranslator.yaml_helper import yaml_parse

from ops.package import OPERATIONS
from orders.aws import MODELS, Aws
from tests.wechatpay.wire import loopback_certificate

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


class _DynamoDB(BaseHTTPRequestHandler):
    """Finds nothing, politely."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer, and keep the connection."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        content = json.dumps({"Responses": {table: [] for table in asked["RequestItems"]}}).encode()
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.fixture
def dynamodb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A host that AWS_ENDPOINT_URL leads to; yields the file of the only authority that vouches for it."""
    pem = loopback_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _DynamoDB)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a caller who hangs up is no news here
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    environment = {
        "AWS_ENDPOINT_URL": f"https://127.0.0.1:{server.server_address[1]}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    yield pem
    server.shutdown()
    server.server_close()


def _look(aws: Aws) -> Any:
    return aws.client("dynamodb").batch_get_item(RequestItems={"orders": {"Keys": [{"pk": {"S": "1#2"}}]}})


def test_a_host_with_an_unknown_certificate_is_refused(dynamodb: Path) -> None:
    """The context given decides, and certificates are required."""
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        _look(Aws(ssl.create_default_context(), connections=1))


def test_a_host_under_another_name_is_refused(dynamodb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its certificate is for 127.0.0.1."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://localhost:" + _port())
    with pytest.raises(SSLError, match=r"Hostname mismatch|doesn't match"):
        _look(Aws(ssl.create_default_context(cafile=str(dynamodb)), connections=1))


def _port() -> str:
    """The port of the host that AWS_ENDPOINT_URL leads to."""
    return os.environ["AWS_ENDPOINT_URL"].rpartition(":")[2]


def test_the_contexts_own_authorities_are_believed(dynamodb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And parsed no more: neither by the client nor by its connections."""
    context = ssl.create_default_context(cafile=str(dynamodb))
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *_, **__: pytest.fail("parsed again"))
    assert _look(Aws(context, connections=1))["Responses"] == {"orders": []}


@pytest.mark.parametrize("service", OPERATIONS)
@pytest.mark.parametrize(
    ("region", "suffix"),
    [("us-east-1", "amazonaws.com"), ("cn-north-1", "amazonaws.com.cn"), ("eu-west-1", "amazonaws.com")],
)
def test_every_region_has_its_endpoint(monkeypatch: pytest.MonkeyPatch, service: str, region: str, suffix: str) -> None:
    """The models that the function brings along know them, China's as well."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    client = Aws(ssl.create_default_context(), connections=1).client(service)
    assert client.meta.endpoint_url.endswith(f"{region}.{suffix}")


def test_the_models_know_every_action_of_the_role() -> None:
    """Whoever grants the function something new gives it the model as well."""
    role: Any = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))["Resources"]["OrdersFunctionRole"]
    statements = [one for policy in role["Properties"]["Policies"] for one in policy["PolicyDocument"]["Statement"]]
    granted = {
        action
        for one in statements
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    }
    by_call = {
        "dynamodb:PartiQLInsert": "BatchExecuteStatement",
        "sqs:ChangeMessageVisibility": "ChangeMessageVisibilityBatch",
    }
    pollers = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}  # Lambda's own
    asked = {
        by_call.get(action, action.partition(":")[2]) for action in granted - pollers if not action.startswith("logs:")
    }
    assert asked == {operation for operations in OPERATIONS.values() for operation in operations}
    assert {path.parts[-3] for path in MODELS.glob("*/*/service-2.json")} == set(OPERATIONS)
