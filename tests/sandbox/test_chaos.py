"""What chaos sends is decided by the seed alone, and is of every kind."""

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from boto3.dynamodb.types import TypeSerializer

from orders.errors import MalformedEventError
from orders.event import Message, read
from orders.items import order_of
from sandbox.audit import WITH_SUB_MERCHANT, Findings
from sandbox.chaos.collections import LENGTH, SOON, Collections
from sandbox.chaos.front import FrontFaults
from sandbox.chaos.items import UNREADABLE_STATUS, later_version_item, unreadable_item
from sandbox.chaos.reports import POISON
from sandbox.chaos.sales import ENDPOINTS, Sale
from sandbox.chaos.workload import NOTIFIED_KINDS, ORDER_KINDS, Workload, draw_workload
from sandbox.wechat_pay import Simulator
from sandbox.wechat_pay.random_faults import DRAWN

NOW = 1_790_000_000.0


def a_workload(keys: Path, seed: int = 1) -> tuple[Workload, Simulator]:
    """A workload of a thousand orders."""
    wechat_pay = Simulator(keys=keys)
    return draw_workload(1000, seed, wechat_pay), wechat_pay


def test_the_seed_decides_what_is_sent(key_ring: Path) -> None:
    """The same seed gives the same reports in the same order; another seed gives others."""
    [first, _], [second, _], [other, _] = (a_workload(key_ring, seed) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_every_kind_of_order_is_there_on_every_endpoint(key_ring: Path) -> None:
    """A thousand orders contain every kind and every endpoint; every report is about one of them, and one of each kind.

    Only what WeChat Pay collects as usual has no report.
    """
    workload, wechat_pay = a_workload(key_ring)
    sales = [sale for kind in ORDER_KINDS for sale in workload.kinds[kind]]
    assert [kind for kind in ORDER_KINDS if not workload.kinds[kind] and kind != "poison"] == []
    assert {sale.endpoint for sale in sales} == set(ENDPOINTS)
    assert all(bool(sale.sub_mchid) == (sale.endpoint in WITH_SUB_MERCHANT) for sale in sales)
    assert {report.key for report in workload.reports if report.readable} == {
        sale.key for sale in sales if sale not in workload.kinds["never reported"]
    }
    not_created = len(workload.kinds["not created yet"])
    assert len(wechat_pay.ledger()) == len(sales) - not_created


def test_reports_come_in_every_wrapping(key_ring: Path) -> None:
    """Reports are bare, bus events or in an SNS envelope; only a bare one may be sent by the bus."""
    workload, _ = a_workload(key_ring)
    wrapped: dict[str, int] = {}
    for report in workload.reports:
        if report.readable:
            value = json.loads(report.body)
            kind = value.get("Type", "event" if "detail-type" in value else "bare")
            wrapped[kind] = wrapped.get(kind, 0) + 1
            assert report.by_bus == (kind == "bare")
    assert set(wrapped) == {"bare", "event", "Notification"}


def test_the_shops_of_some_orders_have_named_a_notify_url(key_ring: Path) -> None:
    """The kinds that WeChat Pay tells of have a `notify_url` with their merchant, and no other order has one."""
    wechat_pay = Simulator(keys=key_ring)
    wechat_pay.notify_url = "http://127.0.0.1:9/{mchid}"
    workload = draw_workload(300, 1, wechat_pay)
    addresses = {
        sale.out_order_no: f"http://127.0.0.1:9/{sale.mchid}"
        for kind in NOTIFIED_KINDS
        for sale in workload.kinds[kind]
    }
    urls = {order["out_order_no"]: order["terms"].get("notify_url") for order in wechat_pay.ledger()}
    assert {number: url for number, url in urls.items() if url} == addresses


def test_every_collection_is_planned_and_told(key_ring: Path) -> None:
    """Every order of the plan is deducted once its time has come, half of the lasting deductions end with the money."""
    now = [time.time()]
    wechat_pay = Simulator(keys=key_ring, clock=lambda: now[0])
    workload = draw_workload(300, 1, wechat_pay)
    collections = Collections(wechat_pay, workload, 1)
    planned = [
        sale for kind in ("deducted before", "deducted meanwhile", "never reported") for sale in workload.kinds[kind]
    ]
    collections.begin()
    collections.plan(collections.number_left)
    collections.settle()
    now[0] += SOON + LENGTH
    wechat_pay.pass_time()
    assert {wechat_pay.order(sale.mchid, sale.out_order_no).paid_type for sale in planned} == {"NEWTON"}
    lasting = [wechat_pay.order(sale.mchid, sale.out_order_no) for sale in workload.kinds["deducting"]]
    assert {(order.paid_type, order.deducting) for order in lasting} == {("NEWTON", False), ("", False)}
    assert collections.is_told
    assert collections.accepted() == set()


def test_the_front_refuses_a_part_and_loses_answers() -> None:
    """Of the notifications a part is refused unseen, a part is dealt with and its answer lost, until that is over."""
    invocations: list[object] = []

    def invoke(event: Mapping[str, object]) -> Mapping[str, object]:
        invocations.append(event)
        return {"statusCode": 204}

    faults = FrontFaults(invoke, seed=1, slowness=0.0)
    answers = [faults.invoke({}) for _ in range(300)]
    assert set(faults.counts) == {"refused", "slow", "lost", "passed on"}
    assert answers.count(None) == faults.counts["lost"]
    assert len(invocations) == 300 - faults.counts["refused"]
    faults.are_over = True
    assert {str(faults.invoke({})) for _ in range(100)} == {"{'statusCode': 204}"}


@pytest.mark.parametrize("body", POISON)
def test_poison_is_what_the_function_cannot_read(body: str) -> None:
    """The function refuses each poison body as malformed, so that it becomes a dead letter."""
    with pytest.raises(MalformedEventError):
        read(Message("m1", body + " "), NOW)


def test_inserted_items_are_unreadable_or_of_a_later_version() -> None:
    """An unreadable item has no status of the function; one of a later version is readable without its new members."""
    sale = Sale("1230000109", "A", "partner", "1900000555")
    for position in range(len(UNREADABLE_STATUS)):
        item = unreadable_item(sale, position)
        assert item["pk"] == "1230000109/1900000555#A"
        assert item.get("status") not in {"SYNCED", "PAID_BY_WECHAT", "NOTHING_DUE", "RETRYING", "REJECTED"}
    earlier = later_version_item(sale)
    del earlier["ticket"], earlier["history"][0]["region"], earlier["last_error"]["severity"]
    serialize = TypeSerializer().serialize
    order = order_of({name: serialize(value) for name, value in earlier.items()})
    assert (order.status, order.reason, order.attempts) == ("RETRYING", "UNREACHABLE", 1)


def test_the_page_says_how_many_faults_there_are() -> None:
    """`docs/evidence/chaos.md` has the number of faults, and a row for every finding of the audit."""
    page = (Path(__file__).parents[2] / "docs/evidence/chaos.md").read_text(encoding="utf-8")
    assert f"one of {len(DRAWN)} faults" in page
    [table] = re.findall(r"^\| finding \| meaning \|\n\|---\|---\|\n((?:\|.*\n)+)", page, re.MULTILINE)
    assert re.findall(r"^\| ([^|]*) \|", table, re.MULTILINE) == list(Findings().counts)
