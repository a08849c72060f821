"""WeChat Pay without a network: a request comes in, an answer goes out, and faults strike by name.

It repeats the protocol and shares no line with the library `wechatpay`, so that a mistake in one cannot hide in the
other.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from sandbox.wechat_pay import operations, security
from sandbox.wechat_pay.authentication import authenticate
from sandbox.wechat_pay.draft import Draft, Response, Signing
from sandbox.wechat_pay.faults import Fault, When
from sandbox.wechat_pay.ledger import Ledger
from sandbox.wechat_pay.message import Request, SimulatedReply, ok
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.random_faults import RandomFaults
from sandbox.wechat_pay.refusals import STATE_CODES, SimulatedRefusal
from sandbox.wechat_pay.routes import Operation, Parameters, parameters_of, read_operation

HOSTS = ("main", "backup")


@dataclass(frozen=True, slots=True)
class SimulatedCall:
    """One call that arrived; `status` 0 where no answer reached the wire."""

    method: str
    path: str
    operation: str
    mchid: str
    out_order_no: str
    status: int
    code: str
    at: float
    host: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    target: str = field(repr=False)  # path and query, as they stood on the wire


@dataclass(frozen=True, slots=True)
class _Exchange:
    """A request that was authenticated: what it asks for, for which merchant, and when."""

    request: Request
    operation: Operation
    mchid: str
    at: float

    @property
    def parameters(self) -> Parameters:
        return parameters_of(self.operation, self.request.body)


class Service(Ledger):
    """Answers requests as the hosts of WeChat Pay do; a caller in the same process needs no network."""

    def __init__(self, *, clock: Callable[[], float] = time.time, keys: Path | None = None) -> None:
        """Start without orders and faults; `clock` and `keys` are those of the ledger."""
        super().__init__(clock=clock, keys=keys)
        self._calls: list[SimulatedCall] = []
        self._faults: list[Fault] = []
        self.random_faults: RandomFaults | None = None
        self.refusing: frozenset[str] = frozenset()  # hosts that refuse connections

    @property
    def calls(self) -> list[SimulatedCall]:
        """Every call that arrived so far."""
        with self._lock:
            return list(self._calls)

    def misbehave(
        self,
        name: str,
        *,
        times: int | None = None,
        operation: str | None = None,
        out_order_no: str | None = None,
        **options: object,
    ) -> None:
        """Misbehave by name: for the next `times` calls (until `behave` without), of one operation or order."""
        fault = Fault.of(name, options, times=times, operation=operation, out_order_no=out_order_no)
        if fault.kind.when is When.CONNECT:
            if (times, operation, out_order_no) != (None, None, None):
                raise ValueError(
                    f"{name} strikes a host, not a call: it takes no times, operation or out_order_no; end it by behave"
                )
            host = str(fault.options["host"])
            self.refusing |= frozenset(HOSTS if host == "both" else (host,))
            return
        with self._lock:
            self._faults.append(fault)

    def behave(self) -> None:
        """End all misbehaviour."""
        self.end_faults()
        self.refusing = frozenset()

    def end_faults(self) -> None:
        """End all misbehaviour but refused connections."""
        with self._lock:
            self._faults.clear()

    def notification(
        self, mchid: str, out_order_no: str, event_type: str = "PAYSCORE.USER_PAID", *, serial: str = ""
    ) -> tuple[dict[str, str], bytes]:
        """Return the signed, encrypted call that WeChat Pay would make about the order: headers and body.

        `serial` names the certificate that signs; by default the public key does.
        """
        body = security.notification(self.merchant(mchid), self.order(mchid, out_order_no).answer(), event_type)
        return Signing("public_key", serial).headers(self.platform, body, self._clock()), body

    def answer(self, request: Request, host: str = "main") -> Response:
        """Answer one request as a host does; a host that refuses connections answers nothing."""
        if host in self.refusing:
            return Response(SimulatedReply(0, signed=False), "reset")
        operation, mchid, now = Operation(""), "", self._clock()
        try:
            operation = read_operation(request)
            mchid = authenticate(request, self._merchants, now)
            draft = self._operate(_Exchange(request, operation, mchid, now))
        except SimulatedRefusal as refusal:
            draft = Draft(refusal.reply())
        self._record(request, operation, mchid, draft, host)
        return draft.sign(self.platform, self._clock())

    def _operate(self, exchange: _Exchange) -> Draft:
        """Execute, and let the active faults strike; one call has the lock, as in WeChat Pay's database."""
        with self._lock, self._random_fault(exchange.operation):
            draft = self._draft(exchange)
            fault = self._take(When.DELIVERY, exchange) if draft.wire == "whole" else None
            return fault.strike(draft) if fault else draft

    def _draft(self, exchange: _Exchange) -> Draft:
        if fault := self._take(When.BEFORE, exchange):
            return fault.strike(self._with_key(Draft(SimulatedReply(0)), exchange))
        order = self._named_order(exchange)
        if order and (fault := self._take(When.UNEXECUTED, exchange)):
            adopted = operations.adopt(order, exchange.operation, exchange.parameters)
            return fault.strike(self._with_key(Draft(ok({}), order=adopted, at=exchange.at), exchange))
        loss = self._take(When.WIRE, exchange)
        if loss and not loss.options["processed"]:
            return loss.strike(Draft(SimulatedReply(0, signed=False)))
        draft = self._with_key(Draft(self._execute_or_refuse(exchange)), exchange)
        if loss:
            return loss.strike(draft)
        fault = self._take(When.AFTER, exchange) if draft.reply.status < 300 else None
        return fault.strike(draft) if fault else draft

    def _execute_or_refuse(self, exchange: _Exchange) -> SimulatedReply:
        try:
            return self._execute(exchange)
        except SimulatedRefusal as refusal:
            fault = self._take(When.STATE, exchange) if refusal.code in STATE_CODES else None
            return fault.strike(Draft(refusal.reply())).reply if fault else refusal.reply()

    def _execute(self, exchange: _Exchange) -> SimulatedReply:
        match exchange.operation.name:
            case "certificates":
                return security.certificates(self.platform, self._merchants[exchange.mchid])
            case "echo":
                return security.echo(self.platform, self._merchants[exchange.mchid], exchange.request)
        before, parameters = self._named_order(exchange), exchange.parameters
        if before is not None and before.state == "DONE" and (fault := self._take(When.REPLAY, exchange)):
            first = operations.synced_reply(operations.adopt(before, exchange.operation, parameters))
            return fault.strike(Draft(first)).reply
        executed = operations.execute(exchange.operation, parameters, exchange.mchid, before, exchange.at)
        self._store(executed.order, before)
        return executed.reply

    def _named_order(self, exchange: _Exchange) -> SimulatedOrder | None:
        """Return the order that a request names, or one that was opened without naming an owner."""
        operation = exchange.operation
        if (exchange.mchid, operation.out_order_no) not in self._orders:
            return None
        sub_mchid = str(exchange.parameters.get("sub_mchid", ""))
        return self._find(exchange.mchid, operation.out_order_no, sub_mchid, operation.endpoint)

    def _with_key(self, draft: Draft, exchange: _Exchange) -> Draft:
        """Sign with the key that the request asks for, while both kinds are valid (doc 4012154180)."""
        if not exchange.request.header("Wechatpay-Serial").startswith("PUB_KEY_ID_"):
            return draft
        draft = draft.signed(replace(draft.signing, by="public_key"))
        fault = self._take(When.KEY, exchange)
        return fault.strike(draft) if fault else draft

    @contextmanager
    def _random_fault(self, operation: Operation) -> Iterator[None]:
        """Activate what the random faults draw for this call, for this call alone."""
        fault = self.random_faults.draw(operation.name, operation.out_order_no) if self.random_faults else None
        if fault is None:
            yield
            return
        self._faults.append(fault)
        try:
            yield
        finally:
            self._faults.remove(fault)

    def _take(self, when: When, exchange: _Exchange) -> Fault | None:
        """Return the first active fault that strikes this call there, and count it as used once."""
        for fault in self._faults:
            if fault.kind.when is when and fault.fits(exchange.operation.name, exchange.operation.out_order_no):
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def _record(self, request: Request, operation: Operation, mchid: str, draft: Draft, host: str) -> None:
        reply = draft.reply
        call = SimulatedCall(
            request.method,
            request.target.partition("?")[0],
            operation.name,
            mchid,
            operation.out_order_no,
            reply.status if draft.wire == "whole" else 0,
            reply.code or _code_in(reply),
            self._clock(),
            host,
            request.body,
            request.headers,
            request.target,
        )
        with self._lock:
            self._calls.append(call)


def _code_in(reply: SimulatedReply) -> str:
    """Return the error code of a refusal's body; empty where there is none."""
    if reply.status < 400 or reply.body[:1] != b"{":
        return ""
    return str(json.loads(reply.body).get("code", ""))
