"""A till in the console: it makes events, right and wrong ones, sends them as a POS does, and remembers the newest."""

import itertools
import json
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from ops.events import DETAIL_TYPE
from ops.stack import Deployment
from orders.order import order_key
from sandbox.console.errors import ConsoleError
from sandbox.console.jobs import Step
from sandbox.testbed import MERCHANT
from sandbox.wechat_pay import Simulator

Way = Literal["bus", "queue"]
SOURCE = "pos.console"  # of the events; the stack's rule takes what starts with its parameter EventSourcePrefix
REMEMBERED = 30  # events that the page lists
HUNDRED = 100
BATCH = 10  # entries of PutEvents and of SendMessageBatch at most
LATE = 1800.0  # seconds since the customer paid, for a till that was offline

FAMILY_FIELDS: Mapping[str, Mapping[str, Any]] = {
    "": {},
    "direct": {},
    "partner": {"sub_mchid": "1900000109"},
    "acquiringbank": {"sub_mchid": "1900000109", "channel_id": "20240101"},
    "payafter": {},
    "oversea": {"sub_mchid": "1900000109"},
}
"""What an event names in addition, by its endpoint; without one the merchant's secret decides."""


@dataclass(frozen=True, slots=True)
class Sale:
    """What an event is about: an order of a merchant, by an endpoint, paid at Unix seconds."""

    mchid: str
    out_order_no: str
    endpoint: str
    paid_at: float

    @property
    def key(self) -> str:
        """The order's key in the table."""
        sub_mchid = FAMILY_FIELDS[self.endpoint].get("sub_mchid")
        return order_key(self.mchid, self.out_order_no, self.endpoint or None, sub_mchid)

    def payload(self) -> dict[str, object]:
        """Return the payload that reports it."""
        paid_time = datetime.fromtimestamp(self.paid_at, UTC).isoformat(timespec="seconds")
        endpoint = {"endpoint": self.endpoint} if self.endpoint else {}
        order = {"mchid": self.mchid, "out_order_no": self.out_order_no}
        return {**order, **endpoint, **FAMILY_FIELDS[self.endpoint], "detail": {"paid_time": paid_time}}


@dataclass(frozen=True, slots=True)
class Event:
    """An event as a till sends it: `text` is the payload, or whatever stands in its place.

    `key` is that of the order in the table that it is about, empty where that cannot be read.
    """

    text: str
    way: Way = "bus"
    key: str = ""
    source: str = SOURCE
    detail_type: str = DETAIL_TYPE


@dataclass(frozen=True, slots=True)
class Report:
    """An event that was sent: `id` is EventBridge's or the message's, empty where it was refused, `error` then why."""

    at: float
    kind: str
    event: Event
    id: str
    error: str = ""


class Till:
    """Sends events to one deployment; orders that they report are made at the simulated WeChat Pay first."""

    def __init__(self, deployment: Deployment, wechat_pay: Simulator) -> None:
        self._deployment = deployment
        self._wechat_pay = wechat_pay
        self._numbers = itertools.count(1)
        self._reports: deque[Report] = deque(maxlen=REMEMBERED)
        self._lock = threading.Lock()

    @property
    def newest_first(self) -> Sequence[Report]:
        """The events that were sent last."""
        with self._lock:
            return tuple(reversed(self._reports))

    def sale(self, out_order_no: str = "", endpoint: str = "", *, ago: float = 0.0) -> Sale:
        """Return a sale that was paid `ago` seconds before now; its order is made ready unless it exists."""
        if endpoint not in FAMILY_FIELDS:
            raise ConsoleError("till.no_such_endpoint", endpoint=endpoint, names=", ".join(filter(None, FAMILY_FIELDS)))
        number = out_order_no or f"TILL-{int(time.time())}-{next(self._numbers)}"
        sale = Sale(MERCHANT, number, endpoint, time.time() - ago)
        try:
            self._wechat_pay.order(sale.mchid, number, sub_mchid=FAMILY_FIELDS[endpoint].get("sub_mchid", ""))
        except KeyError:
            self._wechat_pay.ready_to_sync(sale.mchid, number, endpoint=endpoint, **FAMILY_FIELDS[endpoint])
        return sale

    def send(self, kind: str, events: Sequence[Event]) -> list[Report]:
        """Send events of one way, ten at a time, and remember what became of each."""
        reports = [
            Report(time.time(), kind, event, id_, error)
            for batch in itertools.batched(events, BATCH, strict=False)
            for event, (id_, error) in zip(batch, self._dispatch(batch), strict=True)
        ]
        with self._lock:
            self._reports.extend(reports)
        return reports

    def send_hundred(self, endpoint: str, way: Way) -> Iterator[Step]:
        """Send a hundred orders' events, and yield how far it is."""
        for start in range(0, HUNDRED, BATCH):
            sales = [self.sale("", endpoint) for _ in range(BATCH)]
            events = [Event(json.dumps(sale.payload()), way, sale.key) for sale in sales]
            for report in self.send("hundred", events):
                if report.error:
                    raise ConsoleError("till.refused", error=report.error)
            yield Step(start + BATCH, HUNDRED)

    def _dispatch(self, events: Sequence[Event]) -> list[tuple[str, str]]:
        """Send up to ten events; return the id, or the error, of each."""
        if events[0].way == "queue":
            return self._enqueue(events)
        bus = self._deployment.outputs["EventBusName"]
        entries = [
            {"Source": event.source, "DetailType": event.detail_type, "Detail": event.text, "EventBusName": bus}
            for event in events
        ]
        answers = self._deployment.client("events").put_events(Entries=entries)["Entries"]
        return [(str(answer.get("EventId", "")), _error(answer)) for answer in answers]

    def _enqueue(self, events: Sequence[Event]) -> list[tuple[str, str]]:
        entries = [{"Id": str(number), "MessageBody": event.text} for number, event in enumerate(events)]
        url = self._deployment.outputs["OrderQueueUrl"]
        answer = self._deployment.client("sqs").send_message_batch(QueueUrl=url, Entries=entries)
        ids = {str(one["Id"]): (str(one["MessageId"]), "") for one in answer.get("Successful", [])}
        ids |= {str(one["Id"]): ("", f"{one['Code']}: {one.get('Message', '')}") for one in answer.get("Failed", [])}
        return [ids[str(number)] for number in range(len(events))]


def _error(answer: Mapping[str, object]) -> str:
    code, message = answer.get("ErrorCode"), answer.get("ErrorMessage", "")
    return f"{code}: {message}" if code else ""


def own_event(text: str, way: Way) -> Event:
    """Return what a person has typed as an event: a payload, or a whole EventBridge event.

    What is not JSON is sent as it is, so that one sees what becomes of it.
    """
    try:
        value = json.loads(text)
    except ValueError:
        return Event(text, way)
    if not isinstance(value, dict):
        return Event(text, way)
    payload = value.get("detail") if "detail-type" in value else value
    key = _key(payload if isinstance(payload, dict) else {})
    if "detail-type" in value and way == "bus":
        detail = json.dumps(value.get("detail"), ensure_ascii=False)
        return Event(detail, way, key, str(value.get("source", "")), str(value["detail-type"]))
    return Event(text, way, key)


def _key(payload: Mapping[str, object]) -> str:
    texts = {name: value for name, value in payload.items() if isinstance(value, str)}
    if not {"mchid", "out_order_no"} <= texts.keys():
        return ""
    return order_key(texts["mchid"], texts["out_order_no"], texts.get("endpoint"), texts.get("sub_mchid"))
