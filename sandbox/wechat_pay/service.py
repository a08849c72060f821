"""WeChat Pay without a network: a request comes in, an answer goes out, and faults strike by name.

It repeats the protocol and shares no line with the library `wechatpay`, so that a mistake in one cannot hide in the
other.
"""

from dataclasses import replace
from typing import Unpack

from sandbox.wechat_pay import credentials, open_questions, operations, second_sync
from sandbox.wechat_pay.authentication import authenticate, require_framing
from sandbox.wechat_pay.body import json_object, require_characters
from sandbox.wechat_pay.call import SimulatedCall
from sandbox.wechat_pay.call_log import CallLog
from sandbox.wechat_pay.draft import Draft, Response
from sandbox.wechat_pay.endpoints import read_operation
from sandbox.wechat_pay.exchange import Exchange
from sandbox.wechat_pay.fault_targets import require_target
from sandbox.wechat_pay.faults import ActiveFaults, Fault, When
from sandbox.wechat_pay.keys import Mode
from sandbox.wechat_pay.lag import Lag
from sandbox.wechat_pay.life import Life
from sandbox.wechat_pay.message import Request, SimulatedReply, ok
from sandbox.wechat_pay.notifier import NotifierOptions
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.pace import Pace
from sandbox.wechat_pay.random_faults import RandomFaults
from sandbox.wechat_pay.refusals import STATE_CODES, SimulatedRefusal, wrong_parameter
from sandbox.wechat_pay.routes import Operation
from sandbox.wechat_pay.verbs import verb

HOSTS = ("main", "backup")


class SimulatedService(Life):
    """Answers requests as the hosts of WeChat Pay do; a caller in the same process needs no network."""

    def __init__(self, **options: Unpack[NotifierOptions]) -> None:
        """Start with what `state` has, and without faults."""
        super().__init__(**options)
        self.call_log = CallLog()
        self._faults = ActiveFaults()
        self._pace = Pace()
        self._lag = Lag()
        self.random_faults: RandomFaults | None = None
        self.refusing: frozenset[str] = frozenset()  # hosts that refuse connections

    @property
    def calls(self) -> list[SimulatedCall]:
        """The calls that arrived so far; of very many the newest, see `call_log`."""
        with self._lock:
            return list(self.call_log)

    @property
    def active_faults(self) -> list[Fault]:
        """The faults that are on, as they stand, in the sequence in which they strike."""
        with self._lock:
            return [replace(fault) for fault in self._faults.faults if fault.times != 0]

    @verb(options="those of the fault: GET faults")
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
        require_target(operation, out_order_no)
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

    @verb()
    def behave(self) -> None:
        """End all misbehaviour."""
        self.end_faults()
        self.refusing = frozenset()

    def end_faults(self) -> None:
        """End all misbehaviour but refused connections."""
        with self._lock:
            self._faults.clear()

    def credentials(self, mchid: str, mode: Mode | None = None) -> credentials.Files:
        """Return the files that the merchant platform gives this merchant, by name."""
        return credentials.merchant_files(self.merchant(mchid), mode)

    def answer(self, request: Request, host: str = "main") -> Response:
        """Answer one request as a host does; a host that refuses connections answers nothing."""
        if host in self.refusing:
            return Response(SimulatedReply(0, signed=False), "reset")
        self.pass_time()
        operation, mchid, now = Operation(), "", self._clock()
        try:
            require_framing(request, self.switches.largest_body)
            operation = read_operation(request)
            open_questions.require_route(request.target, self.switches)
            mchid = authenticate(request, self._merchants, now, self.switches)
            draft = self._operate(operation, self._exchange(operation, request, mchid, now))
        except SimulatedRefusal as refusal:
            draft = self._with_key(Draft(self._refuse(refusal)), request, mchid)
        draft = draft.with_reply(self._as_switched(draft.reply))
        response = draft.sign(self.platform, self._clock())
        call = SimulatedCall.of(request, operation, draft, response.reply, mchid=mchid, at=self._clock(), host=host)
        with self._lock:
            self.call_log.add(call)
        return response

    def _exchange(self, operation: Operation, request: Request, mchid: str, now: float) -> Exchange:
        parameters = operation.query if request.method == "GET" else json_object(request.body)
        require_characters({**operation.path, **operation.query})
        if parameters.get("mchid", mchid) != mchid:
            name, location = ("mchid", "query") if request.method == "GET" else ("/mchid", "body")
            raise wrong_parameter(name, parameters["mchid"], "商户号与HTTP头Authorization中的mchid不一致", location)
        return Exchange(
            request,
            operation.name,
            operation.endpoint,
            operation.path,
            parameters,
            mchid,
            now,
            ledger=self,
            switches=self.switches,
        )

    def _operate(self, operation: Operation, exchange: Exchange) -> Draft:
        """Execute, and let the active faults strike; one call has the lock, as in WeChat Pay's database."""
        with self._lock:
            number, exchange = exchange.out_order_no, replace(exchange, order=self._named_order(exchange))
            random_fault = self.random_faults.draw(operation.name, number) if self.random_faults else None
            with self._faults.during_call(random_fault):
                draft = self._draft(operation, exchange)
                fault = self._take(When.DELIVERY, exchange) if draft.wire == "whole" else None
                return fault.strike(draft) if fault else draft

    def _draft(self, operation: Operation, exchange: Exchange) -> Draft:
        if fault := self._take(When.BEFORE, exchange):
            return fault.strike(self._with_fault_of_key(Draft(SimulatedReply(0)), exchange))
        if exchange.order and (fault := self._take(When.UNEXECUTED, exchange)):
            adopted = operations.adopt(exchange.order, exchange.endpoint, exchange.parameters)
            return fault.strike(self._with_fault_of_key(Draft(ok({}), order=adopted, at=exchange.at), exchange))
        loss = self._take(When.WIRE, exchange)
        if loss and not loss.options["processed"]:
            return loss.strike(Draft(SimulatedReply(0, signed=False)))
        draft = self._with_fault_of_key(Draft(self._execute_or_refuse(operation, exchange)), exchange)
        if loss:
            return loss.strike(draft)
        fault = self._take(When.AFTER, exchange) if draft.reply.status < 300 else None
        return fault.strike(draft) if fault else draft

    def _execute_or_refuse(self, operation: Operation, exchange: Exchange) -> SimulatedReply:
        try:
            return self._execute(operation, exchange)
        except SimulatedRefusal as original:
            refusal = open_questions.switched(original, exchange.endpoint, self.switches)
            fault = self._take(When.STATE, exchange) if refusal.code in STATE_CODES else None
            return fault.strike(Draft(refusal.reply())).reply if fault else self._refuse(refusal)

    def _execute(self, operation: Operation, exchange: Exchange) -> SimulatedReply:
        before = exchange.order
        self._pace.require(exchange.mchid, exchange.out_order_no, exchange.at, self.switches)
        if before is not None and before.state == "DONE" and (fault := self._take(When.REPLAY, exchange)):
            first = operations.synced_reply(operations.adopt(before, exchange.endpoint, exchange.parameters))
            return fault.strike(Draft(first)).reply
        lag = self.switches.query_lag
        if exchange.operation == "query" and (earlier := self._lag.before(before, exchange.at, lag)):
            return operation.execute(replace(exchange, order=earlier)).reply
        executed = second_sync.execute(operation, exchange)
        if executed.order is not None:
            self._store(executed.order, before)
        return executed.reply

    def _follow(self, before: SimulatedOrder | None, order: SimulatedOrder) -> None:
        """Remember how the order was, where a query may still read it so."""
        super()._follow(before, order)
        if self.switches.query_lag and before is not None:
            self._lag.remember(before, self._now(), self.switches.query_lag)

    def _named_order(self, exchange: Exchange) -> SimulatedOrder | None:
        """Return the order that a request names, or one that was opened without naming an owner."""
        if query_id := exchange.parameters.get("query_id"):
            return self._orders.with_query_id(exchange.mchid, str(query_id))
        if not exchange.endpoint or (exchange.mchid, exchange.out_order_no) not in self._orders:
            return None
        sub_mchid = str(exchange.parameters.get("sub_mchid", ""))
        return self._find(exchange.mchid, exchange.out_order_no, sub_mchid, exchange.endpoint)

    def _with_fault_of_key(self, draft: Draft, exchange: Exchange) -> Draft:
        draft = self._with_key(draft, exchange.request, exchange.mchid)
        fault = self._take(When.KEY, exchange) if draft.signing.by == "public_key" else None
        return fault.strike(draft) if fault else draft

    def _with_key(self, draft: Draft, request: Request, mchid: str) -> Draft:
        """Sign with the key of the merchant's kind; in a migration as the request asks (doc 4012154180)."""
        kind = self._merchants[mchid].kind if mchid else "both"
        asks = request.header("Wechatpay-Serial").startswith("PUB_KEY_ID_")
        by_public_key = kind == "public_key" or (kind == "both" and asks) or not self.platform.certificate_serial
        return draft.signed(replace(draft.signing, by="public_key")) if by_public_key else draft

    def _refuse(self, refusal: SimulatedRefusal) -> SimulatedReply:
        return refusal.reply(observed=self.switches.observed_parameter_errors)

    def _as_switched(self, reply: SimulatedReply) -> SimulatedReply:
        """Return a refusal signed where the switch says so."""
        return replace(reply, signed=True) if reply.signable and self.switches.signed_refusals else reply

    def _take(self, when: When, exchange: Exchange) -> Fault | None:
        return self._faults.take(when, exchange.operation, exchange.out_order_no)
