"""What chaos sends: orders of every kind at WeChat Pay and the reports about them, decided by the seed alone."""

import random
from dataclasses import dataclass, field

from sandbox.audit import TillReport
from sandbox.chaos.reports import draw_poison, draw_reports
from sandbox.chaos.sales import Sale, draw, draw_sales
from sandbox.testbed import BEFORE_THE_EVENTS
from sandbox.wechat_pay import Simulator

# percent of the orders, by kind
ORDER_KINDS = {
    "ready": 58,
    "won by WeChat Pay": 4,  # before the first message, and not told
    "deducted before": 4,  # told before most reports
    "deducted meanwhile": 8,  # by itself, before or after the report, or not at all because it is synced
    "never reported": 4,  # deducted meanwhile: how most orders end
    "nothing due": 3,
    "deducting": 3,  # half of them end with the money, and are told
    "not completed yet": 3,
    "not created yet": 3,
    "canceled": 2,
    "merchant without a secret": 2,
    "unreadable item": 2,  # it is in the table before the first message
    "unreadable later": 2,  # it becomes unreadable while messages run
    "item of a later version": 2,  # of an earlier attempt, with unknown members: readable
    "poison": 2,
}
NOTIFIED_KINDS = {"deducted before", "deducted meanwhile", "never reported", "deducting"}
"""The kinds of orders whose shop has named a notify_url."""


@dataclass(slots=True)
class Workload:
    """The reports that will be sent, and the orders by kind: each kind needs its own repair."""

    reports: list[TillReport] = field(default_factory=list)
    kinds: dict[str, list[Sale]] = field(default_factory=lambda: {kind: [] for kind in ORDER_KINDS})


def draw_workload(orders: int, seed: int, wechat_pay: Simulator) -> Workload:
    """Open the orders at WeChat Pay, as shops would, and write the reports of the tills."""
    dice = random.Random(seed)  # noqa: S311  not for secrets
    workload = Workload()
    for position in range(orders):
        kind = draw(dice, ORDER_KINDS)
        if kind == "poison":
            workload.reports.append(draw_poison(dice))
            continue
        for sale in draw_sales(dice, kind, f"CHAOS-{position:06}"):
            workload.kinds[kind].append(sale)
            _open(wechat_pay, kind, sale)
            workload.reports += draw_reports(dice, sale) if kind != "never reported" else []
    dice.shuffle(workload.reports)
    return workload


def _open(wechat_pay: Simulator, kind: str, sale: Sale) -> None:
    notify_url = None if kind in NOTIFIED_KINDS else ""
    match kind:
        case "not created yet":
            return
        case "not completed yet":
            created_at = BEFORE_THE_EVENTS - 3600
            wechat_pay.open(
                sale.mchid, sale.out_order_no, at=created_at, sub_mchid=sale.sub_mchid, notify_url=notify_url
            )
            wechat_pay.confirm(sale.mchid, sale.out_order_no)
            return
        case "nothing due":
            wechat_pay.ready_to_sync(
                sale.mchid,
                sale.out_order_no,
                total_amount=0,
                at=BEFORE_THE_EVENTS,
                sub_mchid=sale.sub_mchid,
                notify_url=notify_url,
            )
        case _:
            wechat_pay.ready_to_sync(
                sale.mchid,
                sale.out_order_no,
                at=BEFORE_THE_EVENTS,
                sub_mchid=sale.sub_mchid,
                notify_url=notify_url,
            )
    match kind:
        case "won by WeChat Pay":
            wechat_pay.deduct(sale.mchid, sale.out_order_no)
        case "deducting":
            wechat_pay.deducting(sale.mchid, sale.out_order_no)
        case "canceled":
            wechat_pay.cancel(sale.mchid, sale.out_order_no)
