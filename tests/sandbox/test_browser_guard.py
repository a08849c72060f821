"""No web page that the developer visits reaches the running sandbox: tried with the headers that browsers send."""

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from sandbox.aws_proxy import AwsProxy
from sandbox.browser_guard import Guard, is_json
from sandbox.cloud import Cloud
from sandbox.wechat_pay import Simulator

EVIL = "http://evil.example"

# What a browser adds, by how a page may send (Fetch standard; Fetch Metadata Request Headers).
AS_A_PAGE = {
    "fetch, no-cors": {"Origin": EVIL, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    "fetch from a file": {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    "a page of another port": {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
    "a page of its own port": {"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"},
    "an old browser's fetch": {"Origin": EVIL},
    "an image": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image", "Referer": f"{EVIL}/"},
    "an image of an old browser": {"Referer": f"{EVIL}/"},
    "a link in a mail": {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
    "no site named": {"Sec-Fetch-Mode": "no-cors"},
    "odd spelling": {"oRiGiN": EVIL},
    "a re-bound name": {"Host": "evil.example:{port}"},
    "a re-bound name without port": {"Host": "evil.example"},
    "a name that ends like ours": {"Host": "127.0.0.1.evil.example:{port}"},
    "a name that begins like ours": {"Host": "localhost.evil.example:{port}"},
    "another port": {"Host": "127.0.0.1:1"},
    "another address": {"Host": "0.0.0.0:{port}"},
    "a preflight": {
        "Origin": EVIL,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    },
    "a preflight to a private network": {"Access-Control-Request-Private-Network": "true"},
}
AWS_REQUESTS: dict[str, tuple[str, str, dict[str, str], bytes]] = {
    "create a function": ("POST", "/2015-03-31/functions", {"Content-Type": "text/plain"}, b'{"FunctionName": "own"}'),
    "invoke a function": ("POST", "/2015-03-31/functions/own/invocations", {"Content-Type": "text/plain"}, b"{}"),
    "put events": (
        "POST",
        "/",
        {"X-Amz-Target": "AWSEvents.PutEvents", "Content-Type": "text/plain"},
        b'{"Entries": []}',
    ),
    "create a queue by a link": ("GET", "/?Action=CreateQueue&QueueName=own", {}, b""),
    "look": ("GET", "/_localstack/health", {}, b""),
    "ask first": ("OPTIONS", "/2015-03-31/functions", {}, b""),
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An embedded AWS without a stack."""
    with Cloud.start(tmp_path_factory.mktemp("guarded")) as cloud:
        yield cloud


def ask(
    url: str, method: str, target: str, headers: dict[str, str], body: bytes = b""
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Send exactly these headers, and Host where none is given."""
    port = urlsplit(url).port or 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in ({"Host": f"127.0.0.1:{port}"} | headers | {"Content-Length": str(len(body))}).items():
            connection.putheader(name, value.format(port=port))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("request_name", AWS_REQUESTS)
@pytest.mark.parametrize("way", AS_A_PAGE)
def test_a_page_does_not_reach_the_embedded_aws(cloud: Cloud, way: str, request_name: str) -> None:
    """The embedded AWS refuses every request of a web page, executes nothing, and lets no page read the refusal."""
    method, target, headers, body = AWS_REQUESTS[request_name]
    status, fields, _ = ask(cloud.endpoint_url, method, target, headers | AS_A_PAGE[way], body)
    assert status == 403
    assert [name for name in fields if name.lower().startswith("access-control-")] == []
    assert cloud.client("lambda").list_functions()["Functions"] == []
    assert cloud.client("sqs").list_queues().get("QueueUrls", []) == []


@pytest.mark.parametrize("way", AS_A_PAGE)
def test_a_page_does_not_reach_the_proxy_before_it(cloud: Cloud, way: str) -> None:
    """The proxy before AWS refuses every request of a web page instead of passing it on."""
    with AwsProxy(cloud.endpoint_url) as proxy:
        assert ask(proxy.url, "GET", "/_localstack/health", AS_A_PAGE[way])[0] == 403
        assert ask(proxy.url, "GET", "/_localstack/health", {})[0] == 200


@pytest.mark.parametrize("way", AS_A_PAGE)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_page_does_not_reach_wechat_pay_or_its_control(wechat_pay: Simulator, method: str, way: str) -> None:
    """WeChat Pay's hosts and the control port refuse every request of a web page, whatever its content type."""
    headers = {"Content-Type": "application/json"} | AS_A_PAGE[way]
    for url in (wechat_pay.base_url, wechat_pay.backup_url, wechat_pay.control_url):
        target = "/__sandbox__/" + ("ledger" if method == "GET" else "ready_to_sync")
        body = b"" if method == "GET" else b'{"mchid": "1230000109", "out_order_no": "EVIL-1"}'
        assert ask(url, method, target, headers, body)[0] == 403
    assert wechat_pay.ledger() == []


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_control_wants_what_no_page_sends_unasked(wechat_pay: Simulator, content_type: str) -> None:
    """A command whose content type needs no CORS preflight is refused with 415 (Fetch standard, CORS-safelisted)."""
    headers = {"Content-Type": content_type} if content_type else {}
    for url in (wechat_pay.control_url, wechat_pay.base_url):
        status, _, body = ask(url, "POST", "/__sandbox__/misbehave", headers, b'{"name": "connection_refused"}')
        assert status == 415
        assert b"Content-Type: application/json" in body
    assert ask(wechat_pay.base_url, "GET", "/__sandbox__/calls", {})[0] == 200


def test_a_web_socket_is_refused(cloud: Cloud) -> None:
    """A WebSocket with an Origin is refused: a page opens one to any host without a preflight."""
    port = urlsplit(cloud.endpoint_url).port
    shake = (
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: {EVIL}\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(shake.encode())
        assert connection.recv(12) == b"HTTP/1.1 403"


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]", "host.docker.internal", "LOCALHOST"])
def test_programs_are_admitted(cloud: Cloud, wechat_pay: Simulator, name: str) -> None:
    """Programs are admitted by every name of loopback, and by the name that containers have for this machine."""
    for url, target in ((cloud.endpoint_url, "/_localstack/health"), (wechat_pay.control_url, "/__sandbox__/calls")):
        status, headers, _ = ask(url, "GET", target, {"Host": name + ":{port}"})
        assert status == 200
        assert [one for one in headers if one.lower().startswith("access-control-")] == []


def test_every_protocol_of_boto3_passes_the_guard(cloud: Cloud) -> None:
    """Every protocol of boto3 passes the guard: query, JSON, REST, and S3 with a body."""
    session = boto3.Session("x", "x", region_name="us-east-1")

    def client(service: str) -> Any:
        make: Any = session.client
        return make(service, endpoint_url=cloud.endpoint_url.replace("127.0.0.1", "localhost"))

    assert client("sts").get_caller_identity()["Account"]
    assert client("events").put_events(Entries=[{"Source": "a", "DetailType": "b", "Detail": "{}"}])["Entries"]
    assert client("lambda").list_functions()["Functions"] == []
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="k", Body=b"x" * 200_000)
    assert s3.get_object(Bucket="kept", Key="k")["Body"].read() == b"x" * 200_000


def test_a_guard_admits_its_own_address() -> None:
    """A guard admits requests to its own address with exactly one Host header."""
    guard = Guard("172.17.0.1", 4566)
    assert guard.objection([("Host", "172.17.0.1:4566")]) is None
    assert guard.objection([("host", "172.17.0.1")]) is None
    assert guard.objection([("host", "172.17.0.2:4566")])
    assert guard.objection([])
    assert guard.objection([("Host", "localhost:4566"), ("Host", "evil.example:4566")])


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("text/plain; application/json", False),
        ("application/jsonp", False),
        ("text/plain, application/json", False),
    ],
)
def test_json_is_declared(content_type: str, expected: bool) -> None:
    """A body counts as JSON by its media type, not by a parameter of it."""
    assert is_json(content_type) is expected


@pytest.mark.parametrize("mchid", ["../../x", "1/2", "", "1" * 33, "１２３", "12\n", "a", 7, None])
def test_a_merchant_number_is_digits_before_it_is_anything(tmp_path: Path, mchid: object) -> None:
    """An mchid that is not 1 to 32 digits is refused before a key file is written or an order stored."""
    keys = tmp_path / "deep" / "keys"
    with Simulator(keys=keys) as simulator:
        for verb in ("open", "ready_to_sync"):
            order = json.dumps({"mchid": mchid, "out_order_no": "A1"}).encode()
            headers = {"Content-Type": "application/json"}
            status, _, body = ask(simulator.control_url, "POST", f"/__sandbox__/{verb}", headers, order)
            assert status == 400
            assert (b"mchid must be 1 to 32 digits" if isinstance(mchid, str) else b"mchid must be text") in body
        assert ask(simulator.control_url, "GET", "/__sandbox__/secret?mchid=../../x", {})[0] == 400
        assert ask(simulator.control_url, "GET", "/__sandbox__/secret?mchid=..%2F..%2Fx", {})[0] == 400
        assert simulator.ledger() == []
        with pytest.raises(ValueError, match="names no key"):
            simulator.platform._ring.key("../../x")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
