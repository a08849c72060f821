"""The corridor without a network and without a process: what is signed, judged and written stays what it is."""

import io
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

import wechatpay
from orders.errors import (
    OrdersError,
    TableUnavailableError,
    UnknownMerchantError,
    UnreadableItemError,
    VersionConflictError,
)
from orders.order import Order
from orders.ports import CircuitOpen, Ran
from sandbox.wechat_pay import Simulator
from sandbox.wechat_pay.gate import Request


class Killed(BaseException):
    """The process has ended here; nothing of it runs on."""


class Wire(BaseAdapter):
    """Hands requests to a simulator in this process; its faults on the wire become the errors of a network."""

    def __init__(self, simulator: Simulator, hosts: Mapping[str, str] | None = None) -> None:
        """`hosts`: URLs and what the simulator calls them; otherwise it is told the host of the URL."""
        super().__init__()
        self._simulator, self._hosts = simulator, hosts or {}
        self.down = False

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Ask the simulator."""
        if self.down:
            raise requests.ConnectTimeout
        body = request.body if isinstance(request.body, bytes) else b""
        asked = Request(str(request.method), request.path_url, dict(request.headers), body)
        url = "/".join(str(request.url).split("/")[:3])
        said = self._simulator.answer(asked, self._hosts.get(url, url.partition("//")[2]))
        if said.wire == "silence":
            raise requests.ReadTimeout
        if said.wire != "whole":
            raise requests.ConnectionError(said.wire)
        response = requests.Response()
        response.status_code = said.reply.status
        response.headers.update(said.reply.headers)
        response.raw = HTTPResponse(io.BytesIO(said.reply.body), preload_content=False)
        return response

    def close(self) -> None:
        """Nothing is open."""


class InTurn(Executor):
    """Runs conversations one after the other, so that the same run is the same run again."""

    def submit[**P, T](self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run it now."""
        done: Future[T] = Future()
        try:
            done.set_result(work(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  a killed process as well
            done.set_exception(error)
        return done


@dataclass(slots=True)
class MemoryTable:
    """Orders in a dictionary, under the same conditions as in DynamoDB; `plan` says what happens to the next writes."""

    items: dict[str, Order] = field(default_factory=dict)
    plan: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def load(self, keys: Iterable[str]) -> dict[str, Order | UnreadableItemError]:
        """Read."""
        return {key: self.items[key] for key in keys if key in self.items}

    def create(self, orders: Sequence[Order]) -> dict[str, OrdersError]:
        """Write orders that nobody has written."""
        failed: dict[str, OrdersError] = {}
        for order in orders:
            try:
                self.save(order)
            except OrdersError as error:
                failed[order.key] = error
        return failed

    def save(self, order: Order) -> None:
        """Write, unless the plan has something else in mind."""
        with self.lock:
            deed = self.plan.pop(0) if self.plan else "write"
            if deed == "killed before":
                raise Killed
            if deed == "refused":
                raise TableUnavailableError("PutItem", "ThrottlingException")
            before = self.items.get(order.key)
            if (before.version if before else 0) != order.version - 1:
                raise VersionConflictError(order.key)
            self.items[order.key] = order
            if deed == "written, no answer":
                raise TableUnavailableError("PutItem", "ReadTimeoutError")
            if deed == "killed after":
                raise Killed


@dataclass(frozen=True, slots=True)
class Profile:
    """A merchant with his client."""

    client: wechatpay.Client
    appid: str
    service_id: str
    endpoint: str


@dataclass(slots=True)
class Keys:
    """Merchants without Secrets Manager."""

    profiles: Mapping[str, Profile]

    def get(self, mchid: str) -> Profile:
        """Find the merchant."""
        if mchid not in self.profiles:
            raise UnknownMerchantError(mchid, f"wechatpay/{mchid}")
        return self.profiles[mchid]

    def now(self) -> float:
        """No secret is ever fetched."""
        return 0.0

    def refresh(self, mchid: str, *, since: float) -> Profile:
        """There are no newer keys."""
        return self.get(mchid)


class NoQueue:
    """Nobody waits: the test receives when it likes."""

    def make_visible(self, after: Mapping[str, int]) -> dict[str, str]:
        """Do nothing."""
        return {}


class Switch:
    """A circuit that opens and closes by hand."""

    def __init__(self) -> None:
        self.open = False

    def look(self) -> None:
        """It is known."""

    def run[T](self, work: Callable[[], Ran[T]]) -> Ran[T] | CircuitOpen:
        """Do the work, unless the circuit is open."""
        return CircuitOpen(30.0) if self.open else work()


@contextmanager
def session_with(wire: Wire) -> Iterator[requests.Session]:
    """A session whose every request goes to the simulator."""
    with requests.Session() as session:
        session.trust_env = False
        for scheme in ("http://", "https://"):
            session.mount(scheme, wire)
        yield session
