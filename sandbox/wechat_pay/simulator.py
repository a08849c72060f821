"""The WeChat Pay of the sandbox: two hosts, real keys, official rules; it misbehaves on command, by name.

It shares no line with the library `wechatpay`, so that a mistake in one cannot hide in the other.
"""

import json
import secrets
import threading
import time
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from sandbox.wechat_pay import answers, control, faults, operations, orders, security
from sandbox.wechat_pay.answers import NOT_EXIST, Refusal, Reply, as_json, with_headers
from sandbox.wechat_pay.fate import Fate
from sandbox.wechat_pay.faults import Answering, Fault, Signing
from sandbox.wechat_pay.gate import SCHEME, Request, admit
from sandbox.wechat_pay.keys import KeyRing, Platform, SimulatedMerchant
from sandbox.wechat_pay.orders import Order
from sandbox.wechat_pay.server import Host, Response

APPID = "wxd678efh567hg6787"
SERVICE_ID = "500001"


@dataclass(frozen=True, slots=True)
class Call:
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


class Simulator:
    """A WeChat Pay in this process, on `address` (loopback unless told otherwise); use it in a `with` block."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        port: int = 0,
        backup_port: int = 0,
        control_port: int = 0,
        address: str = "127.0.0.1",
        keys: Path | None = None,
    ) -> None:
        self._clock = clock
        self._ring = KeyRing(keys)
        self.platform = Platform(self._ring)
        ports = {"main": port, "backup": backup_port}
        self._hosts = {name: Host(name, self.answer, number, address) for name, number in ports.items()}
        self._control = Host(
            "control", lambda request, _: Response(control.answer(self, request)), control_port, address
        )
        self._lock = threading.RLock()
        self._merchants: dict[str, SimulatedMerchant] = {}
        self._orders: dict[tuple[str, str], dict[str, Order]] = {}  # by merchant and number, then by sub-merchant
        self._calls: list[Call] = []
        self._faults: list[Fault] = []
        self.fate: Fate | None = None

    def __enter__(self) -> Self:
        for host in self._hosts.values():
            host.open()
        if self._control.port:
            self._control.open()
        return self

    def __exit__(self, *_: object) -> None:
        for host in (*self._hosts.values(), self._control):
            host.close()

    @property
    def base_url(self) -> str:
        """The main host."""
        return self._hosts["main"].url

    @property
    def backup_url(self) -> str:
        """The backup host; the same orders."""
        return self._hosts["backup"].url

    @property
    def control_url(self) -> str:
        """Where the verbs of `control` are answered, also while the hosts refuse connections.

        Unless the port was chosen, it is opened when it is first asked for: most simulators are told in Python.
        """
        self._control.open()
        return self._control.url

    # ---- who is known ------------------------------------------------------------------------------------------------

    def merchant(self, mchid: str = "1230000109") -> SimulatedMerchant:
        """The merchant of this number, with real keys, made on first use."""
        with self._lock:
            if mchid not in self._merchants:
                self._merchants[mchid] = SimulatedMerchant(mchid, self._ring, self.platform)
            return self._merchants[mchid]

    # ---- what a shop, a customer and WeChat Pay do -------------------------------------------------------------------

    def open(  # noqa: PLR0913  an order has these
        self,
        mchid: str,
        out_order_no: str,
        *,
        appid: str = APPID,
        service_id: str = SERVICE_ID,
        sub_mchid: str = "",
        channel_id: str = "",
        currency: str = "HKD",
        endpoint: str = "",
        at: float | None = None,
    ) -> Order:
        """The shop creates an order; `at` is Unix seconds, now by default.

        `endpoint` is one of `operations.ENDPOINTS`; without it the order belongs to the first that a request asks for.
        """
        if endpoint not in {"", *operations.ENDPOINTS}:
            raise ValueError(f"endpoint must be one of {', '.join(operations.ENDPOINTS)}")
        now = self._clock() if at is None else at
        made = Order(
            mchid,
            out_order_no,
            appid,
            service_id,
            created_at=now,
            order_id=f"1000000000{orders.digits(now)}{secrets.randbelow(10**7):07d}",
            sub_mchid=sub_mchid,
            endpoint=endpoint,
            channel_id=channel_id,
            currency=currency,
        )
        return self._keep(made)

    def confirm(self, mchid: str, out_order_no: str, *, sub_mchid: str = "") -> Order:
        """The customer confirms."""
        return self._change(mchid, out_order_no, sub_mchid, orders.confirm)

    def complete(
        self, mchid: str, out_order_no: str, *, total_amount: int = 3900, at: float | None = None, sub_mchid: str = ""
    ) -> Order:
        """The shop asks for the money, in fen."""
        now = self._clock() if at is None else at
        return self._change(mchid, out_order_no, sub_mchid, lambda order: orders.complete(order, total_amount, now))

    def deduct(self, mchid: str, out_order_no: str, *, sub_mchid: str = "") -> Order:
        """WeChat Pay collects the money itself: NEWTON."""
        return self._change(mchid, out_order_no, sub_mchid, lambda order: orders.deduct(order, self._clock()))

    def cancel(self, mchid: str, out_order_no: str, *, sub_mchid: str = "") -> Order:
        """The shop cancels."""
        return self._change(mchid, out_order_no, sub_mchid, orders.cancel)

    def expire(self, mchid: str, out_order_no: str, *, sub_mchid: str = "") -> Order:
        """The customer never confirmed."""
        return self._change(mchid, out_order_no, sub_mchid, orders.expire)

    def deducting(self, mchid: str, out_order_no: str, on: bool = True, *, sub_mchid: str = "") -> Order:
        """A deduction is running (or has ended without the money): sync is told to wait."""
        return self._change(mchid, out_order_no, sub_mchid, lambda order: replace(order, deducting=on))

    def ready_to_sync(
        self, mchid: str, out_order_no: str, *, total_amount: int = 3900, at: float | None = None, **who: str
    ) -> Order:
        """Opened, confirmed and completed: waiting for its money since `at` (an hour ago by default)."""
        since = self._clock() - 3600 if at is None else at
        self.open(mchid, out_order_no, at=since - 3600, **who)
        sub_mchid = who.get("sub_mchid", "")
        self.confirm(mchid, out_order_no, sub_mchid=sub_mchid)
        return self.complete(mchid, out_order_no, total_amount=total_amount, at=since, sub_mchid=sub_mchid)

    def order(self, mchid: str, out_order_no: str, *, sub_mchid: str = "") -> Order:
        """The order as it stands; KeyError where there is none. `sub_mchid` chooses among orders of one number."""
        with self._lock:
            numbered = self._orders[mchid, out_order_no]
            return numbered[sub_mchid] if sub_mchid or "" in numbered else next(iter(numbered.values()))

    def ledger(self) -> list[dict[str, Any]]:
        """Every order."""
        with self._lock:
            return [order.as_dict() for numbered in self._orders.values() for order in numbered.values()]

    @property
    def calls(self) -> list[Call]:
        """Every call that arrived so far."""
        with self._lock:
            return list(self._calls)

    # ---- misbehaviour ------------------------------------------------------------------------------------------------

    def misbehave(
        self,
        name: str,
        *,
        times: int | None = None,
        operation: str | None = None,
        out_order_no: str | None = None,
        **options: Any,  # noqa: ANN401  each fault has its own
    ) -> None:
        """Misbehave by name: for the next `times` calls (until `behave` without), of one operation or order."""
        fault = Fault.named(name, options, times=times, operation=operation, out_order_no=out_order_no)
        if name == "connection_refused":
            if (times, operation, out_order_no) != (None, None, None):
                raise ValueError(
                    "connection_refused strikes a host, not a call: it takes no times, operation or out_order_no; "
                    "end it by behave"
                )
            for host in self._chosen(fault.options["host"]):
                host.close()
            return
        with self._lock:
            self._faults.append(fault)

    def behave(self) -> None:
        """End all misbehaviour, and listen again."""
        self.end_faults()
        for host in self._hosts.values():
            host.open()

    def end_faults(self) -> None:
        """End all misbehaviour but refused connections."""
        with self._lock:
            self._faults.clear()

    def _chosen(self, host: str) -> list[Host]:
        return list(self._hosts.values()) if host == "both" else [self._hosts[host]]

    @contextmanager
    def _fated(self, operation: str, out_order_no: str) -> Iterator[None]:
        """What the lot has for this call counts for this call alone."""
        drawn = self.fate.draw(operation, out_order_no) if self.fate else None
        if drawn is not None:
            self._faults.append(drawn)
        try:
            yield
        finally:
            if drawn is not None:
                self._faults.remove(drawn)

    def _struck(self, among: Container[str], operation: str, out_order_no: str) -> Fault | None:
        """The first active fault of that kind that strikes this call; it is used up by one."""
        for fault in self._faults:
            if fault.name in among and fault.fits(operation, out_order_no):
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    # ---- notifications -----------------------------------------------------------------------------------------------

    def notification(
        self, mchid: str, out_order_no: str, event_type: str = "PAYSCORE.USER_PAID", *, serial: str = ""
    ) -> tuple[dict[str, str], bytes]:
        """The signed, encrypted call that WeChat Pay would make about the order: headers and body.

        `serial` names the certificate that signs; by default the public key does.
        """
        plain = as_json(self.order(mchid, out_order_no).answer())
        body = as_json(
            {
                "id": secrets.token_hex(16),
                "create_time": "2026-01-01T12:00:00+08:00",
                "event_type": event_type,
                "resource_type": "encrypt-resource",
                "summary": "支付成功",
                "resource": {"original_type": "payscore", **security.seal(self.merchant(mchid), plain, "payscore")},
            }
        )
        signing = Signing(serial or self.platform.public_key_id)
        return self._signature(body, signing), body

    # ---- one call ----------------------------------------------------------------------------------------------------

    def answer(self, request: Request, host: str) -> Response:
        """Answer one request as its hosts do; for those who need no network between."""
        if request.target.startswith(control.PREFIX):
            return Response(control.answer(self, request))
        now = self._clock()
        operation, mchid = operations.Operation("", "", "", {}), ""
        try:
            operation = operations.read(request)
            mchid = admit(request, self._merchants, now)
            answering = self._operate(operation, request, mchid, now)
        except Refusal as refusal:
            answering = Answering(refusal.reply(), Signing(""))
        self._note(request, operation, mchid, answering, host)
        if answering.delay:
            time.sleep(min(answering.delay, 60.0))  # the fault `slow` is made of time
        return Response(self._finished(answering), answering.wire, answering.delivery)

    def _operate(self, operation: operations.Operation, request: Request, mchid: str, now: float) -> Answering:
        """Execute, and let the active faults strike; one call holds the lock, as WeChat Pay's database would."""
        name, number = operation.name, operation.out_order_no
        with self._lock, self._fated(name, number):
            answering = self._answered(operation, request, mchid, now)
            fault = self._struck(faults.ON_THE_WAY, name, number) if answering.wire == "whole" else None
            return faults.ON_THE_WAY[fault.name](answering, fault.options) if fault else answering

    def _answered(self, operation: operations.Operation, request: Request, mchid: str, now: float) -> Answering:
        name, number = operation.name, operation.out_order_no
        if fault := self._struck(faults.INSTEAD, name, number):
            signing = Signing(self._serial(request, name, number))
            return Answering(faults.INSTEAD[fault.name](fault.options), signing)
        known = self._meant(operation, request, mchid)
        if known and self._struck({"forged_success"}, name, number):
            known = operations.adopted(known, operation, operations.fields(operation, request.body))
            forged = orders.as_if_synced(known, now).answer()
            honest = Answering(answers.ok(known.answer()), Signing(self._serial(request, name, number)))
            return replace(honest, spoil=lambda _: as_json(forged))
        lost = self._struck(faults.ON_THE_WIRE, name, number)
        if lost and not lost.options.get("processed"):
            return Answering(Reply(0), Signing(""), wire=faults.ON_THE_WIRE[lost.name])
        reply = self._executed_or_refused(operation, request, mchid, now)
        answering = Answering(reply, Signing(self._serial(request, name, number)))
        if lost:
            return replace(answering, wire=faults.ON_THE_WIRE[lost.name])
        fault = self._struck(faults.AFTER, name, number) if reply.status < 300 else None
        return faults.AFTER[fault.name](answering, fault.options) if fault else answering

    def _executed_or_refused(self, operation: operations.Operation, request: Request, mchid: str, now: float) -> Reply:
        try:
            return self._executed(operation, request, mchid, now)
        except Refusal as refusal:
            if refusal.code in faults.STATE_CODES:
                fault = self._struck(faults.REFUSED, operation.name, operation.out_order_no)
                return faults.REFUSED[fault.name](fault.options) if fault else refusal.reply()
            return refusal.reply()

    def _executed(self, operation: operations.Operation, request: Request, mchid: str, now: float) -> Reply:
        match operation.name:
            case "certificates":
                return security.certificates(self.platform, self._merchants[mchid])
            case "echo":
                return security.echo(self.platform, self._merchants[mchid], request)
        before = self._meant(operation, request, mchid)
        given = operations.fields(operation, request.body)
        if operation.name == "sync" and before is not None and before.state == "DONE":
            if self._struck({"ok_on_replay"}, "sync", operation.out_order_no):
                reply = operations.synced_reply(operations.adopted(before, operation, given))
                return replace(reply, headers={"Request-ID": "08REPLAY-0"})
            if fault := self._struck(faults.ON_REPLAY, "sync", operation.out_order_no):
                return faults.ON_REPLAY[fault.name].reply()
        done = operations.execute(operation, given, mchid, before, now)
        self._keep(done.order, before)
        return done.reply

    def _meant(self, operation: operations.Operation, request: Request, mchid: str) -> Order | None:
        """The order that a request means: the sub-merchant's, or one that was opened without naming whose it is."""
        numbered = self._orders.get((mchid, operation.out_order_no), {})
        if not numbered:
            return None
        sub_mchid = str(operations.fields(operation, request.body).get("sub_mchid", ""))
        if sub_mchid in numbered:
            return numbered[sub_mchid]
        blank = [order for order in numbered.values() if not (order.endpoint and order.sub_mchid)]
        return next((order for order in blank if order.endpoint in {"", operation.endpoint}), None)

    def _serial(self, request: Request, name: str, number: str) -> str:
        """The request header decides while both kinds of key are valid (doc 4012154180)."""
        asked = {header.lower(): value for header, value in request.headers.items()}.get("wechatpay-serial", "")
        if asked.startswith("PUB_KEY_ID_") and not self._struck({"certificate_serial"}, name, number):
            return self.platform.public_key_id
        return self.platform.certificate_serial

    def _finished(self, answering: Answering) -> Reply:
        reply = answering.reply
        if reply.body and "Content-Type" not in reply.headers:
            reply = with_headers(reply, Content_Type="application/json")
        if reply.signed:
            reply = replace(reply, headers={**reply.headers, **self._signature(reply.body, answering.signing)})
        return replace(reply, body=answering.spoil(reply.body))

    def _signature(self, body: bytes, signing: Signing) -> dict[str, str]:
        timestamp, nonce = str(int(self._clock() + signing.shift)), secrets.token_hex(16)
        signature = self.platform.sign(signing.by or signing.serial, f"{timestamp}\n{nonce}\n".encode() + body + b"\n")
        headers = {
            "Wechatpay-Serial": signing.serial,
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Signature": signing.prefix + signature,
            "Wechatpay-Signature-Type": SCHEME,
        }
        return {name: value for name, value in headers.items() if name not in signing.without}

    def _note(
        self, request: Request, operation: operations.Operation, mchid: str, answering: Answering, host: str
    ) -> None:
        reply = answering.reply
        status = reply.status if answering.wire == "whole" else 0
        code = reply.code or (
            json.loads(reply.body).get("code", "") if reply.status >= 400 and reply.body[:1] == b"{" else ""
        )
        path = request.target.partition("?")[0]
        number = operation.out_order_no
        call = Call(
            request.method,
            path,
            operation.name,
            mchid,
            number,
            status,
            code,
            self._clock(),
            host,
            request.body,
            request.headers,
            request.target,
        )
        with self._lock:
            self._calls.append(call)

    def _keep(self, order: Order, before: Order | None = None) -> Order:
        with self._lock:
            self.merchant(order.mchid)
            numbered = self._orders.setdefault((order.mchid, order.out_order_no), {})
            if before is not None and before.sub_mchid != order.sub_mchid:
                del numbered[before.sub_mchid]
            numbered[order.sub_mchid] = order
        return order

    def _change(self, mchid: str, out_order_no: str, sub_mchid: str, change: Callable[[Order], Order]) -> Order:
        with self._lock:
            try:
                order = self.order(mchid, out_order_no, sub_mchid=sub_mchid)
            except KeyError:
                raise NOT_EXIST from None
            return self._keep(change(order))
