"""Peers that answer after a fixed time: WeChat Pay, which checks and signs, and AWS, which counts; and a WAN between.

`python -m bench.peers wechat|aws|wan …` runs one in a process of its own, on a CPU of its own. They model no
condition and no fault: for that there is the sandbox. They are here to be as quick and as even as possible.
"""

import argparse
import asyncio
import base64
import json
import math
import re
import secrets
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from sandbox.wechat_pay.keys import KeyRing, SimulatedMerchant, SimulatedPlatform
from sandbox.wechat_pay.state import State

MERCHANT, APPID, SERVICE_ID = "1230000109", "wxd678efh567hg6787", "500001"
CONTROL = "/bench/"  # paths by which a run talks to its peers; they answer at once

type Reply = tuple[int, Mapping[str, str], bytes]
type App = Callable[[str, str, Mapping[str, str], bytes], Reply]


@dataclass
class Peer:
    """What all of them have: a latency that a run can set, and counts that it can read."""

    app: App
    seconds: float
    counts: Counter[str] = field(default_factory=Counter)

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[Reply, float]:
        """The reply, and the seconds until it is sent."""
        if target == f"{CONTROL}counts":
            counts = json.dumps(self.counts).encode()
            self.counts.clear()
            return (200, {}, counts), 0.0
        if target == f"{CONTROL}latency":
            self.seconds = json.loads(body) / 1000
            return (200, {}, b"{}"), 0.0
        if not target.startswith(CONTROL):
            self.counts["requests"] += 1
            return self.app(method, target, headers, body), self.seconds
        return self.app(method, target, headers, body), 0.0


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with Content-Length and keep-alive: what requests and boto3 send."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401  as asyncio has it
        self._transport = transport
        self._peer.counts["connections"] += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].decode("latin-1")
            headers = {name.lower(): value.strip() for name, _, value in _lines(head)}
            whole = end + 4 + int(headers.get("content-length", "0"))
            if len(self._received) < whole:
                return
            body, self._received = self._received[end + 4 : whole], self._received[whole:]
            method, target, _ = head.split(" ", 2)
            reply, seconds = self._peer.answer(method, target, headers, body)
            asyncio.get_running_loop().call_later(seconds, self._send, reply)

    def _send(self, reply: Reply) -> None:
        status, headers, body = reply
        head = f"HTTP/1.1 {status} -\r\nContent-Length: {len(body)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if self._transport is not None:
            self._transport.write(f"{head}\r\n".encode() + body)


def _lines(head: str) -> list[tuple[str, str, str]]:
    return [line.partition(":") for line in head.split("\r\n")[1:]]


# ---- WeChat Pay ------------------------------------------------------------------------------------------------------

_AUTHORIZATION = re.compile(r'(\w+)="([^"]*)"')


class WeChatPay:
    """Verifies each request's signature, and answers with an order that was signed before the clock ran."""

    def __init__(self, ring: KeyRing) -> None:
        self._platform = SimulatedPlatform(ring, State())
        self._merchant = ring.key(f"{MERCHANT}-0").public_key()
        self._ready: dict[str, Reply] = {}

    def __call__(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer `POST …/{out_order_no}/sync`."""
        if target == f"{CONTROL}sign":
            self._ready |= {number: self._signed(number) for number in json.loads(body)}
            return 200, {}, b"{}"
        fields = dict(_AUTHORIZATION.findall(headers.get("authorization", "")))
        message = f"{method}\n{target}\n{fields['timestamp']}\n{fields['nonce_str']}\n".encode() + body + b"\n"
        self._merchant.verify(base64.b64decode(fields["signature"]), message, padding.PKCS1v15(), hashes.SHA256())
        number = target.split("/")[-2]
        return self._ready.pop(number, None) or self._signed(number)

    def _signed(self, number: str) -> Reply:
        body = json.dumps(_order(number), separators=(",", ":")).encode()
        timestamp, nonce, serial = str(int(time.time())), secrets.token_hex(16), self._platform.public_key_id
        signature = self._platform.sign(serial, f"{timestamp}\n{nonce}\n".encode() + body + b"\n")
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Request-ID": f"08F5B8C2B506102C18FDDFEEA306{secrets.token_hex(8).upper()}-0",
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Serial": serial,
            "Wechatpay-Signature": signature,
            "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
        }
        return 200, headers, body


def _order(number: str) -> dict[str, Any]:
    part = {"seq": 1, "amount": 40_000, "paid_type": "MCH", "paid_time": "20260101120000"}
    collected = {"state": "USER_PAID", "total_amount": 40_000, "paying_amount": 0, "paid_amount": 40_000}
    return {
        "appid": APPID,
        "mchid": MERCHANT,
        "service_id": SERVICE_ID,
        "out_order_no": number,
        "state": "DONE",
        "total_amount": 40_000,
        "need_collection": True,
        "service_introduction": "充电宝",
        "openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
        "order_id": f"1000{number[-16:].rjust(16, '0')}",
        "collection": {**collected, "details": [part]},
    }


def secret(ring: KeyRing) -> dict[str, Any]:
    """The merchant's secret, as both handlers read it."""
    state = State()
    return SimulatedMerchant(MERCHANT, ring, SimulatedPlatform(ring, state), state).secret() | {
        "appid": APPID,
        "service_id": SERVICE_ID,
    }


# ---- AWS -------------------------------------------------------------------------------------------------------------


class Aws:
    """DynamoDB, Secrets Manager and SQS that always agree; counts calls, and the units that DynamoDB would charge."""

    def __init__(self, text: str, counts: Counter[str]) -> None:
        self._secret = json.dumps({"ARN": "arn", "Name": "s", "VersionId": "v" * 32, "SecretString": text}).encode()
        self._counts = counts

    def __call__(self, _: str, __: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer by the operation that `X-Amz-Target` names."""
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        self._counts[operation] += 1
        request = json.loads(body)
        self._counts["write units"] += _write_units(operation, request)
        self._counts["read units"] += sum(len(one["Keys"]) for one in request.get("RequestItems", {}).values())
        answers: dict[str, Any] = {
            "BatchGetItem": {
                "Responses": {table: [] for table in request.get("RequestItems", {})},
                "UnprocessedKeys": {},
            },
            "BatchExecuteStatement": {"Responses": [{} for _ in request.get("Statements", [])]},
        }
        answer = self._secret if operation == "GetSecretValue" else json.dumps(answers.get(operation, {})).encode()
        return 200, {"Content-Type": "application/x-amz-json-1.0", "x-amzn-RequestId": "R" * 52}, answer


def _write_units(operation: str, request: Mapping[str, Any]) -> int:
    """One for each KB of an item that is begun (DynamoDB, read/write capacity); an update of ours is below one."""
    if operation == "BatchExecuteStatement":
        items = (
            dict(zip(re.findall(r"'(\w+)': \?", one["Statement"]), one["Parameters"], strict=True))
            for one in request["Statements"]
        )
        return sum(math.ceil(item_size(item) / 1024) for item in items)
    if operation == "PutItem":
        return math.ceil(item_size(request["Item"]) / 1024)
    return 1 if operation == "UpdateItem" else 0


def item_size(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Bytes that DynamoDB counts: names and values; a map or list costs 3 and one a member (its developer guide)."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Mapping[str, Any]) -> int:
    [(kind, content)] = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return math.ceil(len(content.lstrip("-").rstrip("0")) / 2) + 1
        case "M":
            return 3 + len(content) + item_size(content)
        case "L":
            return 3 + sum(1 + _value_size(member) for member in content)
        case _:
            return 1


# ---- the way between -------------------------------------------------------------------------------------------------


class Wan:
    """Passes TCP on, half a round trip later each way; a new connection costs the round trip of its handshake."""

    def __init__(self, port: int, seconds: float) -> None:
        self._port = port
        self._half = seconds / 2

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self._port)
        for each in (writer, onward_writer):
            each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected = asyncio.get_running_loop().time() + 2 * self._half  # the handshake's round trip
        there = self._pass(reader, onward_writer, connected + self._half)
        await asyncio.gather(there, self._pass(onward_reader, writer, 0.0))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, not_before: float) -> None:
        loop = asyncio.get_running_loop()
        at = not_before
        while data := await _read(reader):
            at = max(at, loop.time() + self._half)
            loop.call_at(at, _write, writer, data)
        loop.call_at(max(at, loop.time() + self._half), writer.close)


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(65_536)
    except OSError:
        return b""


def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    if not writer.is_closing():
        writer.write(data)


# ---- as processes ----------------------------------------------------------------------------------------------------


async def _serve(arguments: argparse.Namespace) -> None:
    seconds = arguments.latency_ms / 1000
    if arguments.kind == "wan":
        server: Any = await asyncio.start_server(Wan(arguments.behind, seconds).serve, "127.0.0.1", 0, backlog=512)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments.keys / "tls.crt", arguments.keys / "tls.key")
        ring = KeyRing(arguments.keys)
        counts: Counter[str] = Counter()
        app: App = WeChatPay(ring) if arguments.kind == "wechat" else Aws(json.dumps(secret(ring)), counts)
        peer = Peer(app, seconds, counts)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(peer), "127.0.0.1", 0, ssl=context, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Listen on a free port of loopback, and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers")
    parser.add_argument("kind", choices=["wechat", "aws", "wan"])
    parser.add_argument("--keys", type=Path)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--behind", type=int, help="the port that the WAN leads to")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
