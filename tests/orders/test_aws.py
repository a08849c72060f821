"""AWS clients: the certificate authorities are parsed once, and every connection is checked against them."""

import json
import os
import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import boto3.compat
import botocore
import pytest
from botocore.exceptions import BotoCoreError, SSLError
from botocore.handlers import BUILTIN_HANDLERS
from samtranslator.yaml_helper import yaml_parse

from orders.aws import MODELS, Aws
from tests.wechatpay.wire import loopback_certificate
from tools.package import OPERATIONS

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


class _DynamoDB(BaseHTTPRequestHandler):
    """A DynamoDB in which no item exists."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer and keep the connection open."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        content = json.dumps({"Responses": {table: [] for table in request["RequestItems"]}}).encode()
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Write nothing."""


@pytest.fixture
def dynamodb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A host under AWS_ENDPOINT_URL; yields the file of the only authority that signed its certificate."""
    pem = loopback_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _DynamoDB)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hangs up is expected
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
    """A client accepts a host only if an authority in its context signed the certificate."""
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        _look(Aws(ssl.create_default_context(), connections=1))


def test_a_host_under_another_name_is_refused(dynamodb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate for 127.0.0.1 is refused for another name."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://localhost:" + _port())
    with pytest.raises(SSLError, match=r"Hostname mismatch|doesn't match"):
        _look(Aws(ssl.create_default_context(cafile=str(dynamodb)), connections=1))


def _port() -> str:
    """The port of the host under AWS_ENDPOINT_URL."""
    return os.environ["AWS_ENDPOINT_URL"].rpartition(":")[2]


def test_the_contexts_own_authorities_are_believed(dynamodb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the client nor its connections parse the authorities again."""
    context = ssl.create_default_context(cafile=str(dynamodb))
    parse, here = ssl.SSLContext.load_verify_locations, threading.current_thread()

    def fail(self: ssl.SSLContext, *args: Any, **options: Any) -> None:
        if threading.current_thread() is here:
            pytest.fail("parsed again")
        parse(self, *args, **options)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", fail)  # fails in this thread alone
    assert _look(Aws(context, connections=1))["Responses"] == {"orders": []}


@pytest.mark.parametrize("service", OPERATIONS)
@pytest.mark.parametrize(
    ("region", "suffix"),
    [("us-east-1", "amazonaws.com"), ("cn-north-1", "amazonaws.com.cn"), ("eu-west-1", "amazonaws.com")],
)
def test_every_region_has_its_endpoint(monkeypatch: pytest.MonkeyPatch, service: str, region: str, suffix: str) -> None:
    """The models that ship with the function have the endpoints of each partition, China's included."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    client = Aws(ssl.create_default_context(), connections=1).client(service)
    assert client.meta.endpoint_url.endswith(f"{region}.{suffix}")


class _UnsentError(Exception):
    """Raised in place of sending a request."""


def _host(make: Any, service: str) -> str:
    """Return the host of a client's first call, or the text of its refusal."""
    calls: dict[str, Callable[[Any], Any]] = {
        "dynamodb": lambda client: client.get_item(TableName="orders", Key={"pk": {"S": "1#2"}}),
        "events": lambda client: client.put_events(Entries=[{"Detail": "{}"}]),
        "secretsmanager": lambda client: client.get_secret_value(SecretId="wechatpay/1"),
        "sqs": lambda client: client.change_message_visibility_batch(QueueUrl="https://queue.test/1/2", Entries=[]),
    }
    hosts: list[str] = []

    def unsent(request: Any, **_: Any) -> None:
        hosts.append(request.url)
        raise _UnsentError

    try:
        client = make(service)
        client.meta.events.register_first("before-send", unsent)
        calls[service](client)
    except _UnsentError:
        return hosts[0]
    except BotoCoreError as error:
        return f"{type(error).__name__}: {error}"
    return "sent"


def _plain(service: str) -> Any:
    """A client of boto3 with its defaults and all of its data."""
    return _plain_of(boto3.Session(), service)


def _plain_of(session: boto3.Session, service: str) -> Any:
    make: Any = session.client
    return make(service)


REGIONS = [
    region
    for partition in json.loads((Path(botocore.__file__).parent / "data/endpoints.json").read_bytes())["partitions"]
    if partition["partition"] in {"aws", "aws-cn", "aws-us-gov"}
    for region in partition["regions"]
]


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Some credentials, and an empty configuration file, whose path is returned; no host is named."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    config = tmp_path / "config"
    config.write_text("")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    return config


@pytest.mark.parametrize("dualstack", ["false", "true"])
@pytest.mark.parametrize("fips", ["false", "true"])
def test_dualstack_and_fips_hosts_are_those_of_boto3(
    credentials: Path, monkeypatch: pytest.MonkeyPatch, dualstack: str, fips: str
) -> None:
    """In every region of the three partitions, and in an unknown one, both have the same host or the same refusal."""
    monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", dualstack)
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", fips)
    aws, session = Aws(ssl.create_default_context(), connections=1), boto3.Session()
    assert {"us-east-1", "cn-north-1", "cn-northwest-1", "us-gov-west-1"} <= set(REGIONS)
    for region in [*REGIONS, "us-north-99", "aws-global", "fips-us-east-1"]:
        monkeypatch.setenv("AWS_DEFAULT_REGION", region)
        for service in OPERATIONS:
            plain: Any = partial(session.client, region_name=region)
            assert _host(aws.client, service) == _host(plain, service)


ENVIRONMENTS: dict[str, tuple[dict[str, str], str]] = {
    "one host for all": ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, ""),
    "one service's own host": ({"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:2"}, ""),
    "one for all, one of its own": (
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://127.0.0.1:3"},
        "",
    ),
    "hosts in the environment are ignored": (
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
        "",
    ),
    "a host in the file": ({}, "[default]\nendpoint_url = http://127.0.0.1:4\n"),
    "a service's host in the file": (
        {},
        "[default]\nservices = local\n[services local]\ndynamodb =\n  endpoint_url = http://127.0.0.1:5\n",
    ),
    "hosts are ignored, says the file": (
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
        "[default]\nendpoint_url = http://127.0.0.1:4\nignore_configured_endpoint_urls = true\n",
    ),
    "dualstack, says the file": ({}, "[default]\nuse_dualstack_endpoint = true\n"),
    "FIPS, says the file": ({}, "[default]\nuse_fips_endpoint = true\n"),
    "a host and dualstack": ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_USE_DUALSTACK_ENDPOINT": "true"}, ""),
    "a host and FIPS": ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_USE_FIPS_ENDPOINT": "true"}, ""),
    "the account's own host": ({"AWS_ACCOUNT_ID": "123456789012"}, ""),
    "the account's own host is required": ({"AWS_ACCOUNT_ID_ENDPOINT_MODE": "required"}, ""),
    "AWS_REGION": ({"AWS_REGION": "eu-west-1"}, ""),
}


@pytest.mark.parametrize(("environment", "file"), ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_configured_hosts_are_those_of_boto3(
    credentials: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], file: str
) -> None:
    """AWS's shared configuration of endpoints, in the environment or in the file, is obeyed as boto3 does."""
    credentials.write_text(file)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    aws = Aws(ssl.create_default_context(), connections=1)
    plain = partial(_plain_of, boto3.Session())  # which reads endpoints.json once
    for service in OPERATIONS:
        assert _host(aws.client, service) == _host(plain, service)


def test_the_models_are_small() -> None:
    """The models are below 128 kB, because every cold start reads them; botocore's endpoints alone are 1.5 MB."""
    assert sum(path.stat().st_size for path in MODELS.rglob("*.json")) < 128_000


def test_the_models_have_every_action_of_the_role() -> None:
    """An action that a function's role allows has its model, and no model is there without an action."""
    resources: Any = yaml_parse(TEMPLATE.read_text(encoding="utf-8"))["Resources"]
    roles = [resources[name]["Properties"]["Policies"] for name in ("OrdersFunctionRole", "OutcomesFunctionRole")]
    statements = [one for policies in roles for policy in policies for one in policy["PolicyDocument"]["Statement"]]
    granted = {
        action
        for one in statements
        if "Fn::If" not in one  # UseKey, where a deployment brings a key of its own: AWS's services use it in our name
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    }
    by_call = {
        "dynamodb:PartiQLInsert": "BatchExecuteStatement",
        "sqs:ChangeMessageVisibility": "ChangeMessageVisibilityBatch",
    }
    pollers = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}  # Lambda's own
    pollers |= {f"dynamodb:{name}" for name in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")}
    pollers |= {"sqs:SendMessage"}  # Lambda's own, to where what fails is kept
    operations = {
        by_call.get(action, action.partition(":")[2]) for action in granted - pollers if not action.startswith("logs:")
    }
    assert operations == {operation for names in OPERATIONS.values() for operation in names}
    assert {path.parts[-3] for path in MODELS.glob("*/*/service-2.json")} == set(OPERATIONS)


LEAN = """
import sys
from orders.lean_boto3 import boto3
assert not [name for name in sys.modules if name.partition(".")[0] in {"s3transfer", "multiprocessing"}]
from boto3.s3.transfer import TransferConfig
from s3transfer.manager import TransferManager
assert issubclass(TransferConfig, sys.modules["s3transfer.manager"].TransferConfig)
"""


def test_boto3_is_imported_without_the_transfer_manager_of_s3() -> None:
    """Importing boto3 loads nothing of s3transfer; a program that uses S3 later gets the real one."""
    subprocess.run([sys.executable, "-c", LEAN], check=True)


def test_boto3_asks_the_transfer_manager_for_one_class_alone() -> None:
    """The pinned boto3 imports `TransferConfig` in compat.py, and asks it for one attribute."""
    source = Path(boto3.compat.__file__).read_text(encoding="utf-8")
    assert re.findall(r".*s3transfer.*", source) == ["from s3transfer.manager import TransferConfig"]
    assert re.findall(r".*TransferConfig[,.)].*", source) == [
        "TRANSFER_CONFIG_SUPPORTS_CRT = hasattr(TransferConfig, 'UNSET_DEFAULT')"
    ]


EVENTS = (
    *("creating-client-class", "provide-client-params", "before-parameter-build", "before-endpoint-resolution"),
    *("before-call", "request-created", "choose-signer", "before-sign", "before-parse", "after-call", "needs-retry"),
)


@pytest.mark.parametrize("service", OPERATIONS)
def test_botocores_handlers_for_our_services_are_all_there(service: str, credentials: Path) -> None:
    """What botocore does at each event of each operation is what it does for a client of boto3."""
    plain, ours = _plain(service), Aws(ssl.create_default_context(), connections=1).client(service)
    assert {event.split(".")[0] for event, *_ in BUILTIN_HANDLERS} <= {
        *EVENTS,
        "docs",
        "choose-service-name",
        "getattr",
    }
    for operation in OPERATIONS[service]:
        for event in (f"{each}.{plain.meta.service_model.service_id.hyphenize()}.{operation}" for each in EVENTS):
            assert _handlers(ours, event) == _handlers(plain, event)


def _handlers(client: Any, event: str) -> list[Any]:
    """Return which of botocore's own handlers a client calls at an event, in order."""
    own = {handler for _, handler, *_ in BUILTIN_HANDLERS}
    return [handler for handler in client.meta.events._emitter._handlers.prefix_search(event) if handler in own]
