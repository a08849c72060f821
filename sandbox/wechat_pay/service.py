"""WeChat Pay without a network: a request comes in, an answer goes out, and faults strike by name.

It repeats the protocol and shares no line with the library `wechatpay`, so that a mistake in one cannot hide in the
other.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sandbox.wechat_pay import operations, security
from sandbox.wechat_pay.authentication import authenticate
from sandbox.wechat_pay.call import SimulatedCall
from sandbox.wechat_pay.draft import Draft, Response, Signing
from sandbox.wechat_pay.faults import ActiveFaults, Fault, When
from sandbox.wechat_pay.ledger import Ledger
from sandbox.wechat_pay.message import Request, SimulatedReply, ok
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.random_faults import RandomFaults
from sandbox.wechat_pay.refusals import STATE_CODES, SimulatedRefusal
from sandbox.wechat_pay.routes import Operation, Parameters, parameters_of, read_operation

HOSTS = ("main", "backup")


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


class SimulatedService(Ledger):
    """Answers requests as the hosts of WeChat Pay do; a caller in the same process needs no network."""

    def __init__(self, *, clock: Callable[[], float] = time.time, keys: Path | None = None) -> None:
        """Start without orders and faults; `clock` and `keys` are those of the ledger."""
        super().__init__(clock=clock, keys=keys)
        self._calls: list[SimulatedCall] = []
        self._faults = ActiveFaults()
        self.random_faults: RandomFaults | None = None
        self.refusing: frozenset[str] = frozenset()  # hosts that refuse connections

    @property
    def calls(self) -> list[SimulatedCall]:
        """Every call that arrived so far."""
        with self._lock:
            return list(self._calls)

    @property
    def active_faults(self) -> list[Fault]:
        """The faults that are on, as they stand, in the sequence in which they strike."""
        with self._lock:
            return [replace(fault) for fault in self._faults.faults if fault.times != 0]

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
            self.refuse(frozenset(HOSTS if host == "both" else (host,)))
            return
        with self._lock:
            self._faults.add(fault)

    def refuse(self, hosts: frozenset[str]) -> None:
        """Refuse connections at these hosts as well."""
        self.refusing |= hosts

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
        response = draft.sign(self.platform, self._clock())
        call = SimulatedCall.of(request, operation, draft, response.reply, mchid=mchid, at=self._clock(), host=host)
        with self._lock:
            self._calls.append(call)
        return response

    def _operate(self, exchange: _Exchange) -> Draft:
        """Execute, and let the active faults strike; one call has the lock, as in WeChat Pay's database."""
        name, number = exchange.operation.name, exchange.operation.out_order_no
        with self._lock:
            random_fault = self.random_faults.draw(name, number) if self.random_faults else None
            with self._faults.during_call(random_fault):
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

    def _take(self, when: When, exchange: _Exchange) -> Fault | None:
        return self._faults.take(when, exchange.operation.name, exchange.operation.out_order_no)
