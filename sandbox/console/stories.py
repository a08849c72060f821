"""What the order's page shows: the timeline, and each call with the text that was signed and what was verified."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

from ops.installation import HERE
from ops.items import Item
from ops.order_view import view
from ops.output import Report
from ops.printer import Printer
from sandbox.console.desk import Desk
from sandbox.journal import Journal
from sandbox.signature import Hunt, KeyBook, hunt_answer, hunt_request
from sandbox.signature.difference import visible
from sandbox.signature.header import parse_header
from sandbox.timeline import Subject, Timeline, compose
from sandbox.timeline.condensation import condense
from sandbox.timeline.exchange import Exchange
from sandbox.timeline.moment import Moment
from sandbox.timeline.reader import NearWeChatPay, Reader

MOST_CALLS = 10  # the newest of an order; each is examined


@dataclass(frozen=True, slots=True)
class CallStory:
    """A call: what arrived, what was answered, and what either signature covers. `answer` is None where it has none."""

    exchange: Exchange
    request: Hunt
    answer: Hunt | None
    id: str

    @property
    def request_body(self) -> str:
        """The body that arrived, control characters visible."""
        return visible(self.exchange.request_body)

    @property
    def answer_body(self) -> str:
        """The body of the answer, control characters visible."""
        return visible(self.exchange.answer_body)


@dataclass(frozen=True, slots=True)
class OrderStory:
    """Everything about one subject; `moments` are those for people, `calls` the newest first."""

    timeline: Timeline
    moments: Sequence[Moment]
    calls: Sequence[CallStory]
    items: Sequence[str] = field(default_factory=tuple)

    @property
    def subject(self) -> Subject:
        """What it is about."""
        return self.timeline.trail.subject


def tell(desk: Desk, subject: Subject) -> OrderStory:
    """Read everything about a subject."""
    timeline = read_timeline(desk, subject)
    book = KeyBook.of(desk.wechat_pay.public_keys)
    calls = [_call(exchange, book) for exchange in timeline.facts.exchanges[: -MOST_CALLS - 1 : -1]]
    items = [_text(item) for item in timeline.facts.items]
    return OrderStory(timeline, list(condense(timeline.moments)), calls, items)


def read_timeline(desk: Desk, subject: Subject) -> Timeline:
    """Return the timeline of a subject, by the journal that the desk follows."""
    journal = Journal(desk.testbed.cloud.endpoint_url)
    reader = Reader(desk.deployment, journal, NearWeChatPay(desk.wechat_pay))
    return compose(subject, reader.read(subject, desk.feed.entries))


def _call(exchange: Exchange, book: KeyBook) -> CallStory:
    authorization = exchange.header("Authorization")
    header = parse_header(authorization)
    own_book = book.at_serial(header.part("serial_no")) if exchange.mchid else book  # it was verified at that time
    request = hunt_request(
        authorization,
        own_book,
        exchange.at,
        method=exchange.method,
        target=exchange.target,
        body=exchange.request_body,
        hosts=tuple(filter(None, (exchange.header("Host"),))),
    )
    is_signed = any(name.lower() == "wechatpay-signature" for name in exchange.answer_headers)
    answer = hunt_answer(exchange.answer_headers, exchange.answer_body, book, exchange.at) if is_signed else None
    return CallStory(exchange, request, answer, f"call-{header.part('nonce_str')[:40] or int(exchange.at * 1000)}")


def _text(item: Item) -> str:
    """Return an item as `bin/ops order show` prints it."""
    output = io.StringIO()
    Printer(output, output).print(Report(tuple(view(item, HERE.ops))))
    return output.getvalue()


def call_of_signature(desk: Desk, authorization: str) -> Exchange | None:
    """Return the newest call that arrived with the same signature as this header; None if none did."""
    signature = parse_header(authorization).part("signature")
    calls = reversed(desk.wechat_pay.calls) if signature else iter(())
    return next((Exchange.of(call) for call in calls if signature in _authorization(call.headers)), None)


def _authorization(headers: object) -> str:
    items = headers.items() if isinstance(headers, dict) else ()
    return next((str(value) for name, value in items if str(name).lower() == "authorization"), "")
