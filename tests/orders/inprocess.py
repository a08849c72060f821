"""Parts for an end-to-end run in this process, without a network; rules, signatures and writes are the real ones."""

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
from sandbox.wechat_pay.message import Request


class Killed(BaseException):
    """The execution environment has ended at this point."""


class Wire(BaseAdapter):
    """An adapter that hands requests to a simulator in this process; its faults on the wire become network errors."""

    def __init__(self, simulator: Simulator, hosts: Mapping[str, str] | None = None) -> None:
        """`hosts` maps URLs to the simulator's names of them; without it the simulator gets the host of the URL."""
        super().__init__()
        self._simulator, self._hosts = simulator, hosts or {}
        self.down = False

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Let the simulator answer the request."""
        if self.down:
            raise requests.ConnectTimeout
        body = request.body if isinstance(request.body, bytes) else b""
        call = Request(str(request.method), request.path_url, dict(request.headers), body)
        url = "/".join(str(request.url).split("/")[:3])
        answer = self._simulator.answer(call, self._hosts.get(url, url.partition("//")[2]))
        if answer.wire == "silence":
            raise requests.ReadTimeout
        if answer.wire != "whole":
            raise requests.ConnectionError(answer.wire)
        response = requests.Response()
        response.status_code = answer.reply.status
        response.headers.update(answer.reply.headers)
        response.raw = HTTPResponse(io.BytesIO(answer.reply.body), preload_content=False)
        return response

    def close(self) -> None:
        """Do nothing: there is no connection."""


class InTurn(Executor):
    """An executor that runs each call at once, so that a run can be repeated exactly."""

    def submit[**P, T](self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run the call now."""
        result: Future[T] = Future()
        try:
            result.set_result(work(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  an environment that ended as well
            result.set_exception(error)
        return result


@dataclass(slots=True)
class MemoryTable:
    """Orders in a dictionary, under the conditions of DynamoDB; `plan` says what happens to the next writes."""

    items: dict[str, Order] = field(default_factory=dict)
    plan: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def load(self, keys: Iterable[str]) -> dict[str, Order | UnreadableItemError]:
        """Return the orders that exist."""
        return {key: self.items[key] for key in keys if key in self.items}

    def create(self, orders: Sequence[Order]) -> dict[str, OrdersError]:
        """Write orders that have no item."""
        errors: dict[str, OrdersError] = {}
        for order in orders:
            try:
                self.save(order)
            except OrdersError as error:
                errors[order.key] = error
        return errors

    def save(self, order: Order) -> None:
        """Write the order, unless the plan says otherwise."""
        with self.lock:
            event = self.plan.pop(0) if self.plan else "write"
            if event == "killed before":
                raise Killed
            if event == "refused":
                raise TableUnavailableError("PutItem", "ThrottlingException")
            before = self.items.get(order.key)
            if (before.version if before else 0) != order.version - 1:
                raise VersionConflictError(order.key)
            self.items[order.key] = order
            if event == "written, no answer":
                raise TableUnavailableError("PutItem", "ReadTimeoutError")
            if event == "killed after":
                raise Killed


@dataclass(frozen=True, slots=True)
class Profile:
    """A merchant with its client and its defaults."""

    client: wechatpay.Client
    appid: str
    service_id: str
    endpoint: str


@dataclass(slots=True)
class Keys:
    """Merchants without Secrets Manager."""

    profiles: Mapping[str, Profile]

    def get(self, mchid: str) -> Profile:
        """Return the merchant."""
        if mchid not in self.profiles:
            raise UnknownMerchantError(mchid, f"wechatpay/{mchid}")
        return self.profiles[mchid]

    def now(self) -> float:
        """Return 0: no secret is fetched."""
        return 0.0

    def refresh(self, mchid: str, *, since: float) -> Profile:
        """Return the merchant: there are no newer keys."""
        return self.get(mchid)


@dataclass(frozen=True, slots=True)
class KnownMerchant:
    """The lookups of the second function, with one merchant that is always known."""

    profile: Profile

    def get(self, mchid: str) -> Profile:
        """Return the merchant."""
        return self.profile

    def refresh(self, merchant: Profile) -> None:
        """Return None: there are no newer keys."""


class NoQueue:
    """A queue without waits: the test delivers messages itself."""

    def make_visible(self, after: Mapping[str, int]) -> dict[str, str]:
        """Do nothing."""
        return {}


class Switch:
    """A circuit that a test opens and closes."""

    def __init__(self) -> None:
        self.open = False

    def look(self) -> None:
        """Do nothing: the state is in memory."""

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
