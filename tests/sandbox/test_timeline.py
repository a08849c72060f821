"""The timeline of an order: the facts that belong to it, in their order, in words, and what is missing."""

import itertools
import json
from collections.abc import Callable
from copy import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.items import Item
from ops.log_lines import LogLine
from ops.output import Exit
from ops.printer import Printer
from orders.items import item_of
from orders.order import Attempt, Order, Payment, Status
from sandbox.journal import JournalEntry
from sandbox.timeline import Facts, Level, Subject, Timeline, compose
from sandbox.timeline.condensation import condense
from sandbox.timeline.exchange import Exchange
from sandbox.timeline.identity import identity_of, mentions
from sandbox.timeline.letters import dead_messages, letters_of
from sandbox.timeline.moment import Moment, duration, iso, unix
from sandbox.timeline.rules import Rule, objections
from sandbox.timeline.unmatched import unmatched_events
from sandbox.timeline.view import timeline_report, unmatched_report

MCHID, NUMBER = "1230000109", "A-1"
KEY = f"{MCHID}#{NUMBER}"
ORDER = Subject(MCHID, NUMBER)
START = 1_767_240_000.0
QUEUES = {"orders": "OrderQueue-x", "dead letters": "DeadLetters-x", "undelivered": "Undelivered-x"}
RULE = Rule("OrderRule", "default", {"source": [{"prefix": "pos."}], "detail-type": ["Order_Paid"]})
PAYLOAD = {"mchid": MCHID, "out_order_no": NUMBER, "detail": {"paid_time": "20260101120000"}}
EVENT = {"id": "e-1", "detail-type": "Order_Paid", "source": "pos.till", "detail": PAYLOAD}
ANSWERED_ORDER = {"mchid": MCHID, "out_order_no": NUMBER, "state": "DOING", "collection_state": "USER_PAYING"}

type Entry = Callable[..., JournalEntry]


@pytest.fixture
def entry() -> Entry:
    """Make entries of a journal, a second apart."""
    numbers = itertools.count(1)

    def make(kind: str, at: float | None = None, **fields: Any) -> JournalEntry:
        number = next(numbers)
        return JournalEntry(number, START + number if at is None else at, kind, fields)

    return make


def published(entry: Entry, **changes: Any) -> JournalEntry:
    """An event that the till has published, and that the rule has matched."""
    fields = {"bus": "default", "event_id": "e-1", "source": "pos.till", "detail_type": "Order_Paid"}
    return entry("event_published", **fields | {"detail": PAYLOAD, "rules": ["OrderRule"], "error": ""} | changes)


def sent(entry: Entry, message_id: str = "m-1", body: object = EVENT, **changes: Any) -> JournalEntry:
    """A message in the order queue."""
    text = body if isinstance(body, str) else json.dumps(body)
    fields = {"queue": QUEUES["orders"], "message_id": message_id, "body": text, "by": "rule OrderRule"}
    return entry("message_sent", **fields | changes)


def on_message(entry: Entry, kind: str, message_id: str = "m-1", **fields: Any) -> JournalEntry:
    """What happens to a message in the order queue."""
    return entry(kind, **{"queue": QUEUES["orders"], "message_id": message_id} | fields)


def item(status: Status, *attempts: Attempt, reason: str = "", **changes: Any) -> Item:
    """An item of the order with this history."""
    payment = Payment(MCHID, NUMBER, "20260101120000")
    order = Order(payment, None, status, len(attempts), iso(START), iso(START), reason=reason, history=attempts)
    return Item.of(item_of(replace(order, **changes)))


def timeline(entries: list[JournalEntry], subject: Subject = ORDER, **facts: Any) -> Timeline:
    """The timeline of the order out of these facts."""
    return compose(subject, Facts(START + 100, entries, queues=QUEUES, rules=[RULE], **facts))


def kinds(timeline: Timeline) -> list[str]:
    """The kinds of the moments."""
    return [moment.kind for moment in timeline.moments]


def notes(timeline: Timeline) -> str:
    """What is said about the present."""
    return "\n".join(f"{note.words} -> {note.remedy}" for note in timeline.notes)


# ---- moments ---------------------------------------------------------------------------------------------------------


def test_a_synced_order_is_told_from_the_event_to_the_end(entry: Entry) -> None:
    """Event, rule, message, receive, call, item and end follow each other in the order in which they happened."""
    entries = [published(entry), sent(entry), on_message(entry, "message_received", receive_count=1, by="mapping")]
    entries += [entry("item_written", table="t", pk=KEY, status="SYNCED", version=1)]
    entries += [
        entry("invoked", function="f", request_id="r", message_ids=["m-1"], duration_ms=12, error=""),
        on_message(entry, "message_deleted"),
    ]
    call = Exchange(START + 3.5, "sync", "POST", "/v3/x", MCHID, NUMBER, "main", 200, "")
    line = LogLine(iso(START + 5.5), {"level": "INFO", "message": "synced", "message_id": "m-1"})
    attempt = Attempt(iso(START + 4), "m-1", "SYNCED")
    result = timeline(
        entries, exchanges=[call], lines=[line], items=[item(Status.SYNCED, attempt)], ledger=[ANSWERED_ORDER]
    )
    assert kinds(result) == ["event", "rule", "message", "receive", "call", "item", "invoked", "log", "done"]
    words = [moment.words for moment in result.moments]
    assert words[0] == "published on the bus default: pos.till, Order_Paid; id e-1"
    assert words[1] == "matched by OrderRule"
    assert words[2] == "sent to OrderQueue by rule OrderRule: message m-1"
    assert words[3] == "receive 1 from OrderQueue after 1 s"
    assert words[5] == "item written: SYNCED, version 1"
    assert "WeChat Pay knows what the customer paid" in notes(result)
    assert timeline_report(result).status is Exit.DONE
    assert not result.is_empty


def test_a_call_has_the_code_and_the_detail_of_its_refusal() -> None:
    """A refusal shows status, code, message, field, issue and location; a lost answer says so."""
    detail = {"field": "/paid_time", "issue": "格式错误", "location": "body", "value": "x"}
    body = json.dumps({"code": "PARAM_ERROR", "message": "参数错误", "detail": detail}).encode()
    calls = [
        Exchange(START, "sync", "POST", "/x", MCHID, NUMBER, "main", 400, "PARAM_ERROR", {}, b"", {}, body),
        Exchange(START + 1, "sync", "POST", "/x", MCHID, NUMBER, "backup", 0, ""),
        Exchange(START + 2, "query", "GET", "/x", MCHID, NUMBER, "main", 502, "", {}, b"", {}, b"<html>"),
        Exchange(START + 3, "sync", "POST", "/x", "", NUMBER, "main", 401, "SIGN_ERROR"),
    ]
    moments = timeline([], exchanges=calls).moments
    assert moments[0].words == "sync: 400 PARAM_ERROR: 参数错误; field /paid_time; issue 格式错误; location body"
    assert moments[0].fields["detail"] == detail
    assert moments[1].words == "sync at the backup host: no answer reached the caller"
    assert [moment.level for moment in moments] == [Level.BAD, Level.WAIT, Level.WAIT, Level.BAD]
    assert moments[3].words == "sync: 401 SIGN_ERROR"


def test_a_write_has_the_reason_of_its_attempt(entry: Entry) -> None:
    """Each write of the item gets the reason of the attempt that it recorded; an attempt without one stands alone."""
    attempts = [
        Attempt(iso(START - 9), "m-0", "UNKNOWN", "OUTCOME_UNKNOWN"),
        Attempt(iso(START + 1), "m-1", "RETRYING", "DEDUCTING", "INVALID_REQUEST"),
        Attempt(iso(START + 2), "m-1", "REJECTED", "REVOKED"),
    ]
    entries = [
        entry("item_written", at=START + 2.5, pk=KEY, status="REJECTED", version=3),
        entry("item_written", at=START + 3, pk=KEY, status="REJECTED", version=4),
    ]
    result = timeline(entries, items=[item(Status.REJECTED, *attempts, reason="REVOKED")])
    assert [moment.words for moment in result.moments] == [
        "item's history: UNKNOWN OUTCOME_UNKNOWN",
        "item's history: RETRYING DEDUCTING (INVALID_REQUEST)",
        "item written: REJECTED REVOKED, version 3",
        "item written: REJECTED, version 4",
    ]


def test_a_wait_says_when_the_message_comes_back(entry: Entry) -> None:
    """A visibility change says how long the message waits; while it waits, the time until the next receive."""
    entries = [sent(entry), on_message(entry, "message_received", receive_count=1, by="mapping")]
    entries.append(on_message(entry, "visibility_changed", at=START + 98, seconds=14))
    result = timeline(entries, ledger=[ANSWERED_ORDER])
    assert result.moments[-1].words == "waits 14 s: visible again in 12 s"
    assert "no item yet" in notes(result)
    assert "message m-1 is in flight; next receive in 12 s" in notes(result)
    entries.append(on_message(entry, "visibility_changed", at=START + 99, seconds=0))
    result = timeline(entries, ledger=[ANSWERED_ORDER])
    assert result.moments[-1].words == "visible again at once"
    assert "its next receive is due" in notes(result)


def dead(entry: Entry, body: object = EVENT) -> list[JournalEntry]:
    """A message that has ended in the dead letters."""
    more: dict[str, Any] = {"dead_letter_queue": QUEUES["dead letters"], "receive_count": 16}
    return [sent(entry, body=body), on_message(entry, "message_dead", **more)]


def test_a_dead_letter_has_its_reason_and_a_redrive_its_new_message(entry: Entry) -> None:
    """A dead letter is explained by the parser or the item; redriven, its new message names the old one."""
    entries = dead(entry)
    attempt = Attempt(iso(START + 50), "m-1", "REJECTED", "REVOKED")
    stored = item(Status.REJECTED, attempt, reason="REVOKED", messages={})
    letters = list(letters_of(entries, QUEUES["dead letters"], {KEY: stored}, START))
    result = timeline(entries, letters=letters, items=[stored])
    assert result.moments[1].words.startswith("given up after 16 receives, now in DeadLetters: REVOKED")
    assert "message m-1 is in DeadLetters: REVOKED: the order is cancelled at WeChat Pay" in notes(result)
    assert timeline_report(result).status is Exit.ACTION

    looks = [
        entry("message_received", queue=QUEUES["dead letters"], message_id="m-1", receive_count=1, by="ReceiveMessage"),
        entry("visibility_changed", queue=QUEUES["dead letters"], message_id="m-1", seconds=0),
    ]
    assert kinds(timeline([*entries, *looks], letters=letters)) == kinds(timeline(entries, letters=letters))
    entries += [*looks, sent(entry, "m-2", by="SendMessage")]
    entries.append(entry("message_deleted", queue=QUEUES["dead letters"], message_id="m-1"))
    assert dead_messages(entries, QUEUES["dead letters"]) == []
    words = [moment.words for moment in timeline(entries).moments]
    assert "redriven to OrderQueue by SendMessage; new message m-2, before m-1" in words
    assert words[-1] == "taken out of DeadLetters"


def test_an_unreadable_message_is_found_and_explained(entry: Entry) -> None:
    """A body that names the order only in its text belongs to it; the field is named, and no item is missed."""
    entries = dead(entry, body=f"{NUMBER}: not JSON")
    letters = list(letters_of(entries, QUEUES["dead letters"], {}, START))
    result = timeline(entries, letters=letters)
    assert "UNREADABLE, body: is not JSON" in result.moments[1].words
    assert "no item yet" not in notes(result)
    assert kinds(timeline(entries, Subject(event_id="m-1"), letters=letters)) == ["message", "dead letter"]
    assert "the event names no order" in notes(timeline(entries, Subject(event_id="m-1")))


def test_an_entry_of_an_unknown_kind_is_shown_as_it_is(entry: Entry) -> None:
    """What a later journal notes about the order is shown by its kind and fields."""
    entries = [entry("outcome_published", mchid=MCHID, out_order_no=NUMBER, status="SYNCED", note="")]
    entries.append(entry("outcome_published", mchid=MCHID, out_order_no="B-1"))
    [moment] = timeline(entries).moments
    assert (moment.kind, moment.words) == ("outcome published", f"mchid={MCHID} out_order_no={NUMBER} status=SYNCED")


# ---- what belongs to an order ----------------------------------------------------------------------------------------


def test_only_what_is_about_the_order_belongs_to_it(entry: Entry) -> None:
    """Another order, another merchant's same number, and a longer number do not belong to the order."""
    strange = [PAYLOAD | {"out_order_no": "A-10"}, PAYLOAD | {"mchid": "1"}, PAYLOAD | {"sub_mchid": "9"}]
    entries = [sent(entry, f"m-{number}", body) for number, body in enumerate(strange, 10)]
    entries += [sent(entry, "m-20", "A-10 is not JSON"), entry("item_written", pk=f"{MCHID}#A-10", status="SYNCED")]
    assert kinds(timeline(entries, Subject(MCHID, NUMBER, "8"))) == []
    assert kinds(timeline(entries)) == ["message"]  # without a sub-merchant that of any


def test_an_event_leads_to_its_order(entry: Entry) -> None:
    """The id of an event, of a till's own, of SNS, or of a message leads to everything about its order."""
    envelope = {"Type": "Notification", "MessageId": "sns-1", "Message": json.dumps(PAYLOAD | {"event_id": "till-1"})}
    entries = [sent(entry, "m-1", envelope), entry("item_written", pk=KEY, status="SYNCED", version=1)]
    for event_id in ("sns-1", "till-1", "m-1"):
        result = timeline(entries, Subject(event_id=event_id))
        assert kinds(result) == ["message", "item"]
        assert result.trail.subject.key == KEY
    assert kinds(timeline(entries, Subject(event_id="other"))) == []
    line = LogLine(iso(START), {"message": "synced", "event_id": "old-1", "mchid": MCHID, "out_order_no": NUMBER})
    assert timeline([], Subject(event_id="old-1"), lines=[line]).trail.subject.key == KEY


def test_a_call_that_was_not_authenticated_belongs_to_the_merchant_in_its_header() -> None:
    """A refused call names its merchant in its header only; another merchant's does not belong to the order."""

    def call(header: str) -> Exchange:
        return Exchange(START, "sync", "POST", "/x", "", NUMBER, "main", 401, "SIGN_ERROR", {"authorization": header})

    calls = [call(f'X mchid="{MCHID}"'), call('X mchid="42"'), call("broken")]
    assert len(timeline([], exchanges=calls).moments) == 2


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["mchid", "out_order_no", "detail", "detail-type", "Type", "Message", "id", "event_id"]
                ),
                inner,
            )
        ),
    )
)
@settings(max_examples=30, deadline=None)
def test_no_body_breaks_the_reading_of_identities(value: object) -> None:
    """Whatever a body holds, as text or as an object, its identity is texts."""
    for body in (value, json.dumps(value)):
        identity = identity_of(body)
        assert all(isinstance(one, str) for one in (identity.mchid, identity.out_order_no, *identity.event_ids))


def test_a_text_mentions_a_whole_word_only() -> None:
    """A number inside a longer one is not mentioned."""
    assert mentions("about A-1.", NUMBER)
    assert mentions('{"n":"A-1"', NUMBER)
    assert not any(mentions(text, NUMBER) for text in ("A-10", "BA-1", "A-1-2", "A-1|x", ""))


# ---- what is missing -------------------------------------------------------------------------------------------------


def test_what_has_not_arrived_is_said(entry: Entry) -> None:
    """Without any event, without an order at WeChat Pay, without a rule: each is said with the remedy."""
    assert "no event and no message about 1230000109 A-1 has arrived here" in notes(timeline([]))
    assert "python -m sandbox order ready 1230000109 A-1" in notes(timeline([]))
    result = timeline([published(entry, rules=[], source="shop.till")], ledger=[ANSWERED_ORDER])
    assert result.moments[-1].words == (
        "no rule matched: OrderRule wants source that starts with pos., not shop.till; send source pos.shop"
    )
    assert "no message was made of the event" in notes(result)
    assert "WeChat Pay's order: DOING USER_PAYING" in notes(result)
    refused = published(entry, rules=[], error="MalformedDetail: Detail is malformed.", detail="{A-1", event_id="")
    assert timeline([refused]).moments[-1].kind == "refused"


def test_where_a_message_is_is_said(entry: Entry) -> None:
    """A message that waits, one that the function has, and one that was not delivered are told apart."""
    assert "waits in OrderQueue for its first receive" in notes(timeline([sent(entry)]))
    received = [sent(entry), on_message(entry, "message_received", at=START + 90, receive_count=1, by="mapping")]
    assert "is in flight; the function has it; next receive in 5 min 50 s at the latest" in notes(timeline(received))
    assert "undelivered events" in notes(timeline([sent(entry, queue=QUEUES["undelivered"])]))
    unread = timeline([], unread=["the table: it does not answer"])
    assert "not searched: the table: it does not answer" in notes(unread)
    broken = Item("k", {}, None, "no status")
    assert "cannot be read: no status" in notes(timeline([], items=[replace(broken, key=KEY)]))


# ---- rules -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": "till.pos"}, "source that starts with pos., not till.pos; send source pos.till"),
        ({"source": "POS.till"}, "send source pos.till (upper and lower case count)"),
        ({"source": ""}, "not nothing; send source pos.till"),
        ({"detail_type": "order_paid"}, "detail-type Order_Paid, not order_paid; send detail-type Order_Paid (upper"),
        ({"detail_type": "OrderPaid"}, "send detail-type Order_Paid (mind the spelling)"),
        ({"bus": "other"}, "no rule is on the bus other; publish to the bus default"),
        ({"error": "InvalidArgument: x"}, "EventBridge refused it: InvalidArgument: x; correct the entry"),
    ],
)
def test_an_event_that_no_rule_took_has_why_and_the_remedy(entry: Entry, changes: dict[str, str], words: str) -> None:
    """Each objection is one line: the rule, the field, what it wants, what the event has, and what to send."""
    [event] = unmatched_events([published(entry), published(entry, rules=[], **changes)], [RULE])
    assert words in event.why
    assert event.out_order_no == NUMBER
    report = unmatched_report([event])
    assert report.status is Exit.ACTION
    assert any(event.objections[0].problem in str(line) for line in report.lines)


def test_two_fields_are_two_objections_and_no_bus_has_its_own(entry: Entry) -> None:
    """Every field that differs is named; without any rule the stack is missing; a matched event has none."""
    event = published(entry, rules=[], source="x", detail_type="y")
    assert [one.field for one in objections(event, [RULE])] == ["source", "detail-type"]
    assert "deploy the stack" in objections(event, [])[0].remedy
    assert objections(published(entry), [RULE]) == []
    assert unmatched_report([]).status is Exit.DONE


@pytest.mark.parametrize(
    ("condition", "matching", "other"),
    [
        ([{"suffix": ".till"}], "pos.till", "pos.shop"),
        ([{"equals-ignore-case": "POS.TILL"}], "pos.till", "till"),
        ([{"anything-but": ["a", "b"]}], "c", "a"),
        ([{"anything-but": "a"}], "c", "a"),
        ([{"exists": True}], "x", None),
        ([{"wildcard": "*"}], "x", "anything: the operator is not known here"),
        (["a", "b"], ["z", "b"], "c"),
    ],
)
def test_the_patterns_of_eventbridge_are_read(
    entry: Entry, condition: list[object], matching: object, other: object
) -> None:
    """A field in the detail is compared by the operators of EventBridge; of one not known here the pattern is named."""
    rule = Rule("R", "default", {"detail": {"shop": condition}})

    def fields(value: object) -> list[str]:
        detail = {} if value is None else {"shop": value}
        return [one.field for one in objections(published(entry, rules=[], detail=detail), [rule])]

    assert fields(matching) == ["event"]
    assert fields(other) == ["event" if "wildcard" in str(condition) else "detail.shop"]


# ---- printing --------------------------------------------------------------------------------------------------------


def test_repeated_receives_are_counted_not_listed() -> None:
    """Of a long run of receives the first and the last are shown; a short one is shown whole."""
    run = [Moment(START + number, kind, kind) for number in range(20) for kind in ("receive", "wait", "invoked")]
    lines = list(condense([Moment(START, "event", ""), *run, Moment(START + 30, "item", "")]))
    assert len(lines) == 1 + 4 + 1 + 4 + 1
    assert lines[5].words == "17 receives more in 17 s, alike (52 steps)"
    assert list(condense(run[:9])) == run[:9]


def test_text_from_outside_is_printed_safely(entry: Entry, capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences and line breaks of an event reach no terminal, in the table or in JSON."""
    import sys

    bad = published(entry, source="pos.\x1b[2J\n\u202eevil", rules=["R\x07"])
    report = timeline_report(timeline([bad]), every=True)
    for as_json in (False, True):
        Printer(sys.stdout, sys.stderr, as_json=as_json).print(report)
        output = capsys.readouterr().out
        assert all(line.isprintable() for line in output.splitlines())
        assert "evil" in output


def test_times_are_written_for_people_and_programs() -> None:
    """A duration is in words; a time is ISO 8601 and is read back; what is no time is 0."""
    assert [duration(seconds) for seconds in (0.4, 2, 119, 150, 3600, 7500)] == [
        *("0 s", "2 s", "119 s", "2 min 30 s", "60 min", "2 h 5 min")
    ]
    assert unix(iso(START)) == START
    assert unix("today") == 0.0
