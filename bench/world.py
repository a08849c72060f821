"""What both functions meet: the same peers, keys, certificate and messages, and each its own environment."""

import json
import os
import ssl
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from bench.environment import Environment
from bench.peers import APPID, CONTROL, MERCHANT, SERVICE_ID
from sandbox.wechat_pay.key_ring import KeyRing, private_pem

ROOT = Path(__file__).parents[1]
BUILD = ROOT / ".aws-sam/sandbox"
FUNCTION_CPU, PEERS_CPU = 0, (os.cpu_count() or 1) - 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A function to measure: its handler, and the folders that Lambda would have on its path."""

    name: str
    handler: str
    path: Sequence[Path]


OURS = Candidate("ours", "orders.handler.lambda_handler", (BUILD / "OrdersFunction", BUILD / "WeChatPayLayer/python"))
BASELINE = Candidate("baseline", "handler.lambda_handler", (ROOT / "bench/baseline",))


@dataclass
class PeerProcess:
    """A peer that runs, and the way to talk to it."""

    port: int
    context: ssl.SSLContext | None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://127.0.0.1:{self.port}"

    def tell(self, path: str, content: object = None) -> Any:  # noqa: ANN401  JSON
        """Ask or set something, off the record."""
        request = Request(self.url + CONTROL + path, data=json.dumps(content).encode(), method="POST")  # noqa: S310
        with urlopen(request, context=self.context) as answer:  # noqa: S310  loopback
            return json.loads(answer.read())


@dataclass
class World:
    """The peers, running."""

    directory: Path
    wechat_pay: PeerProcess
    aws: PeerProcess
    wan: PeerProcess | None
    started: int = field(default=0)

    def start(self, candidate: Candidate) -> Environment:
        """A cold start."""
        self.started += 1
        log = self.directory / f"{candidate.name}-{self.started}.log"
        variables = self.variables | {"PYTHONPATH": os.pathsep.join(map(str, candidate.path))}
        return Environment(Path(sys.executable), candidate.handler, variables, FUNCTION_CPU, log)

    def messages(self, number: int) -> list[dict[str, Any]]:
        """A batch as SQS delivers it, of new orders; their answers are signed ahead."""
        orders = [f"POS{uuid.uuid4().hex[:15].upper()}" for _ in range(number)]
        self.wechat_pay.tell("sign", orders)
        return [_message(order) for order in orders]

    @property
    def variables(self) -> dict[str, str]:
        """What both functions find in their environment."""
        bundle = str(self.directory / "bundle.pem")
        wechat_pay = (self.wan or self.wechat_pay).url
        return {
            "PATH": os.environ["PATH"],
            "LAMBDA_TASK_ROOT": str(ROOT),
            "TZ": ":UTC",
            "AWS_LAMBDA_FUNCTION_NAME": "bench",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",  # one CPU
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "b" * 40,
            "AWS_SESSION_TOKEN": "t" * 400,
            "AWS_ENDPOINT_URL": self.aws.url,
            # certifi's own bundle and the peers' authority behind it: as long to parse as in production
            **dict.fromkeys(("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), bundle),
            "POWERTOOLS_SERVICE_NAME": "orders",
            "POWERTOOLS_METRICS_NAMESPACE": "WeChatPayScore",
            "ORDERS_TABLE": "orders",
            "ORDER_QUEUE_URL": f"{self.aws.url}/123456789012/orders",
            "MERCHANT_SECRET_PREFIX": "wechatpay",
            "WECHATPAY_BASE_URL": wechat_pay,
            "WECHATPAY_BACKUP_URL": wechat_pay,
            "IDEMPOTENCY_TABLE": "idempotency",
            "MERCHANT_SECRET": f"wechatpay/{MERCHANT}",
        }


@contextmanager
def world(directory: Path, *, wechat_ms: float = 50.0, aws_ms: float = 4.0, rtt_ms: float = 0.0) -> Iterator[World]:
    """Run the peers for the length of the block; `rtt_ms` puts a WAN in front of WeChat Pay."""
    _certify(directory)
    context = ssl.create_default_context(cafile=str(directory / "ca.crt"))
    keys = ["--keys", str(directory)]
    with ExitStack() as stack:

        def peer(kind: str, latency_ms: float, *options: str) -> PeerProcess:
            return stack.enter_context(_peer([kind, "--latency-ms", str(latency_ms), *options], context))

        wechat_pay = peer("wechat", wechat_ms, *keys)
        aws = peer("aws", aws_ms, *keys)
        wan = peer("wan", rtt_ms, "--behind", str(wechat_pay.port)) if rtt_ms else None
        yield World(directory, wechat_pay, aws, wan)


@contextmanager
def _peer(arguments: Sequence[str], context: ssl.SSLContext) -> Iterator[PeerProcess]:
    command = ["taskset", "--cpu-list", str(PEERS_CPU), sys.executable, "-m", "bench.peers", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None  # noqa: S101  asked for above
    try:
        yield PeerProcess(int(process.stdout.readline()), context)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _message(order: str) -> dict[str, Any]:
    payload = {"mchid": MERCHANT, "out_order_no": order, "appid": APPID, "service_id": SERVICE_ID}
    event: Mapping[str, Any] = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Order_Paid",
        "source": "pos.payments",
        "account": "123456789012",
        "time": "2026-01-01T04:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": payload | {"type": "Order_Paid", "detail": {"paid_time": "20260101120000"}, "store_id": "store-1"},
    }
    return {
        "messageId": str(uuid.uuid4()),
        "receiptHandle": "r" * 180,
        "body": json.dumps(event),
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1767240000000", "SenderId": "AIDAEXAMPLE"},
        "messageAttributes": {},
        "md5OfBody": "0" * 32,
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:orders",
        "awsRegion": "us-east-1",
    }


def _certify(directory: Path) -> None:
    """An authority of our own, and a certificate of it for loopback."""
    ring = KeyRing(directory)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    now = datetime.now(UTC)

    def certificate(key_name: str, *extensions: x509.ExtensionType) -> bytes:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, key_name)]) if key_name != "ca" else name
        key, authority = ring.key(key_name).public_key(), ring.key("ca")
        builder = x509.CertificateBuilder(name, subject, key, x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=30))
        for extension in (
            *extensions,
            x509.SubjectKeyIdentifier.from_public_key(key),
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),
        ):
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(authority, hashes.SHA256()).public_bytes(Encoding.PEM)

    signs = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    authority = certificate("ca", x509.BasicConstraints(ca=True, path_length=None), signs)
    (directory / "ca.crt").write_bytes(authority)
    (directory / "bundle.pem").write_bytes(Path(certifi.where()).read_bytes() + authority)
    loopback = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    (directory / "tls.crt").write_bytes(certificate("tls", loopback))
    (directory / "tls.key").write_text(private_pem(ring.key("tls")), encoding="utf-8")
