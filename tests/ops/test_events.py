"""`event send`: what is checked, previewed and refused before anything is sent."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from ops.events import Draft
from ops.stack import OpsError
from orders.order import Status
from sandbox.testbed import MERCHANT
from tests.ops.conftest import Operator
from tests.ops.test_orders import becomes

PAYLOAD: dict[str, Any] = {"mchid": MERCHANT, "out_order_no": "EV-1", "detail": {"paid_time": "20260101120000"}}
EVENT = {"id": "eb-7", "detail-type": "Order_Paid", "source": "pos.till", "detail": PAYLOAD}


def draft(value: dict[str, Any], source: str | None = None) -> Draft:
    """Check an event for a rule that takes sources of `pos.`."""
    return Draft.of(value, source=source, prefix="pos.", now=1_800_000_000.0)


def test_an_event_is_checked_as_it_will_arrive() -> None:
    """A payload and a whole event are read as the function reads them; through the bus only the payload is sent."""
    assert draft(PAYLOAD).event.payment.key == f"{MERCHANT}#EV-1"
    assert (draft(EVENT).event.reporter.event_id, draft(EVENT).event.reporter.source) == ("eb-7", "pos.till")
    assert json.loads(draft(EVENT).body) == EVENT
    for value in (PAYLOAD, EVENT):
        assert json.loads(draft(value, "pos.x").body) == PAYLOAD
        assert draft(value, "pos.x").event.reporter.source == "pos.x"


@pytest.mark.parametrize(
    ("value", "source", "words"),
    [
        (PAYLOAD | {"detail": {"paid_time": "soon"}}, None, "detail.paid_time: is not a time"),
        (PAYLOAD | {"detail": {"paid_time": "soon"}}, "pos.x", "this: detail.paid_time: is not a time"),
        (EVENT | {"detail": {"mchid": MERCHANT}}, None, "detail.out_order_no: is missing"),
        (EVENT | {"detail-type": "OrderPaid"}, None, "detail-type: is not Order_Paid"),
        ({"Records": []}, None, "is a list of Records"),
        ({"detail-type": "Order_Paid"}, "pos.x", "body: is not a JSON object"),
        (PAYLOAD | {"pad": "x" * 65_420}, "pos.x", "is over 65536 bytes"),
        (PAYLOAD, "shop.x", "the rule of this stack takes sources that start with pos. (parameter EventSourcePrefix)"),
        (PAYLOAD, "", "--source : the rule"),
    ],
)
def test_an_event_that_would_not_be_read_is_refused(value: dict[str, Any], source: str | None, words: str) -> None:
    """The field is named by its path in what the operator has; a source outside the prefix by the parameter."""
    with pytest.raises(OpsError) as caught:
        draft(value, source)
    assert words in str(caught.value)


def test_an_empty_source_is_refused_where_the_prefix_is_not_known() -> None:
    """Without the stack's parameter any source but an empty one passes."""
    assert Draft.of(PAYLOAD, source="x", prefix="", now=1_800_000_000.0).source == "x"
    with pytest.raises(OpsError, match="must not be empty"):
        Draft.of(PAYLOAD, source="", prefix="", now=1_800_000_000.0)


def test_a_dry_run_prints_the_event_and_sends_nothing(operator: Operator, tmp_path: Path) -> None:
    """`--dry-run` prints what the function reads and what would be sent; the queue stays as it was."""
    file = tmp_path / "event.json"
    file.write_text("\ufeff" + json.dumps(EVENT), encoding="utf-8")
    code, out, _ = operator.run("event", "send", str(file), "--dry-run")
    assert code == 0
    assert out.splitlines()[:2] == ["the function can read this; nothing was sent", f"mchid         {MERCHANT}"]
    assert '"detail-type": "Order_Paid"' in out
    code, out, _ = operator.run("event", "send", str(file), "--source", "pos.x", "--dry-run", "--json")
    preview = json.loads(out)
    assert (preview["by"], preview["source"], preview["body"]) == ("the event bus", "pos.x", PAYLOAD)
    assert operator.world.order("EV-1") is None


def test_a_source_outside_the_stack_s_prefix_is_refused(operator: Operator) -> None:
    """The prefix is the stack's own parameter; the error gives a source that the rule takes."""
    fields = ("--mchid", MERCHANT, "--out-order-no", "EV-2", "--paid-time", "20260101120000")
    code, out, err = operator.run("event", "send", *fields, "--source", "shop.till")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "give --source pos.till" in err


def test_a_whole_event_is_sent_to_the_queue_from_stdin(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads stdin; the function reads the event with its own id, and the output names message and order."""
    operator.world.ready("EV-3")
    event = EVENT | {"detail": PAYLOAD | {"out_order_no": "EV-3"}}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(event)))
    code, out, _ = operator.run("event", "send", "-")
    assert (code, out.startswith("sent message "), f"{MERCHANT}#EV-3, paid 20260101120000" in out) == (0, True, True)
    becomes(operator.world, "EV-3", Status.SYNCED)
    order = operator.world.order("EV-3")
    assert order is not None
    assert order.event_id == "eb-7"


def test_what_cannot_be_an_event_is_refused_with_the_remedy(operator: Operator, tmp_path: Path) -> None:
    """No event at all, a file together with fields, and a file that is no JSON object each say what to give."""
    code, _, err = operator.run("event", "send")
    assert (code, "give FILE, or --mchid, --out-order-no and --paid-time" in err) == (2, True)
    file = tmp_path / "event.json"
    for text, words in {"{": "cannot be read as JSON", "[]": "is not a JSON object: send one payload"}.items():
        file.write_text(text)
        code, _, err = operator.run("event", "send", str(file))
        assert (code, words in err, err.count("\n")) == (1, True, 1)
    code, _, err = operator.run("event", "send", str(file), "--mchid", MERCHANT)
    assert (code, "has the fields already" in err) == (2, True)
