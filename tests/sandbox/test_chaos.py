"""What chaos sends: drawn from the seed alone, and of every kind."""

import json
import re
from pathlib import Path

import pytest
from boto3.dynamodb.types import TypeSerializer

from orders.errors import MalformedEventError
from orders.event import Message, read
from orders.items import order_of
from sandbox.audit import WITH_SUB_MERCHANT, Findings
from sandbox.chaos import ENDPOINTS, KINDS, POISON, UNREADABLE, Plan, Sale, an_earlier_item, an_unreadable_item, plan
from sandbox.wechat_pay import Simulator
from sandbox.wechat_pay.fate import LOTS

NOW = 1_790_000_000.0


def planned(keys: Path, seed: int = 1) -> tuple[Plan, Simulator]:
    """A plan of a thousand orders."""
    wechat_pay = Simulator(keys=keys)
    return plan(1000, seed, wechat_pay), wechat_pay


def test_the_seed_decides_what_is_sent(key_ring: Path) -> None:
    """Bodies, kinds and their order."""
    [first, _], [second, _], [other, _] = (planned(key_ring, seed) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_every_kind_of_order_is_there_on_every_endpoint(key_ring: Path) -> None:
    """And every order that is reported is one of the plan."""
    made, wechat_pay = planned(key_ring)
    sales = [sale for kind in KINDS for sale in made.kinds[kind]]
    assert [kind for kind in KINDS if not made.kinds[kind] and kind != "poison"] == []
    assert {sale.endpoint for sale in sales} == set(ENDPOINTS)
    assert all(bool(sale.sub_mchid) == (sale.endpoint in WITH_SUB_MERCHANT) for sale in sales)
    assert {report.key for report in made.reports if report.readable} == {sale.key for sale in sales}
    not_created = len(made.kinds["not created yet"])
    assert len(wechat_pay.ledger()) == len(sales) - not_created


def test_reports_come_in_every_wrapping(key_ring: Path) -> None:
    """Bare, as an event of the bus, in an SNS envelope; what is bare may go by the bus."""
    made, _ = planned(key_ring)
    wrapped: dict[str, int] = {}
    for report in made.reports:
        if report.readable:
            value = json.loads(report.body)
            kind = value.get("Type", "event" if "detail-type" in value else "bare")
            wrapped[kind] = wrapped.get(kind, 0) + 1
            assert report.by_bus == (kind == "bare")
    assert set(wrapped) == {"bare", "event", "Notification"}


@pytest.mark.parametrize("body", POISON)
def test_poison_is_what_the_function_cannot_read(body: str) -> None:
    """Refused by name, so that its place is among the dead letters."""
    with pytest.raises(MalformedEventError):
        read(Message("m1", body + " "), NOW)


def test_planted_items_are_what_they_are_called() -> None:
    """An unreadable status is none that the function knows; a strange item is readable without its strange members."""
    sale = Sale("1230000109", "A", "partner", "1900000555")
    for position in range(len(UNREADABLE)):
        item = an_unreadable_item(sale, position)
        assert item["pk"] == "1230000109/1900000555#A"
        assert item.get("status") not in {"SYNCED", "PAID_BY_WECHAT", "NOTHING_DUE", "RETRYING", "REJECTED"}
    earlier = an_earlier_item(sale)
    del earlier["ticket"], earlier["history"][0]["region"], earlier["last_error"]["severity"]
    serialize = TypeSerializer().serialize
    order = order_of({name: serialize(value) for name, value in earlier.items()})
    assert (order.status, order.reason, order.attempts) == ("RETRYING", "UNREACHABLE", 1)


def test_the_page_says_how_many_faults_there_are() -> None:
    """And names every finding of the audit."""
    page = (Path(__file__).parents[2] / "docs/chaos.md").read_text(encoding="utf-8")
    assert f"one of {len(LOTS)} faults" in page
    assert len(re.findall(r"^\| [a-z]", page, re.MULTILINE)) - 1 == len(Findings().counts)
