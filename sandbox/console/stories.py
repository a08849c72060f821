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
from sandbox.signature import Hunt, KeyBook, hunt_answer
from sandbox.signature.difference import visible
from sandbox.signature.header import parse_header
from sandbox.timeline import Subject, Timeline, compose
from sandbox.timeline.condensation import condense
from sandbox.timeline.exchange import Exchange
from sandbox.timeline.moment import Moment
from sandbox.timeline.signatures import hunt_call

MOST_CALLS = 10  # the newest of an order; each is examined


@dataclass(frozen=True, slots=True)
class CallStory:
    """A call: what arrived and what WeChat Pay read of it, and the hunt in either signature.

    `answer` is None where the answer has none.
    """

    exchange: Exchange
    request: Hunt
    answer: Hunt | None
    id: str

    @property
    def text_lines(self) -> list[str]:
        """The text that the request's signature must cover, as WeChat Pay reads it, with its line ends visible."""
        return [visible(line) for line in self.exchange.signed_text.splitlines(keepends=True)]

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
    return compose(subject, desk.reader.read(subject, desk.feed.entries))


def _call(exchange: Exchange, book: KeyBook) -> CallStory:
    nonce = parse_header(exchange.header("Authorization")).part("nonce_str")[:40]
    is_signed = any(name.lower() == "wechatpay-signature" for name in exchange.answer_headers)
    answer = hunt_answer(exchange.answer_headers, exchange.answer_body, book, exchange.at) if is_signed else None
    return CallStory(exchange, hunt_call(exchange, book), answer, f"call-{nonce or int(exchange.at * 1000)}")


def _text(item: Item) -> str:
    """Return an item as `bin/ops order show` prints it."""
    output = io.StringIO()
    Printer(output, output).print(Report(tuple(view(item, HERE.ops))))
    return output.getvalue()
