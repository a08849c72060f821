"""The reports of the tills: wrapped in one way or another, repeated, or unreadable."""

import json
import random

from sandbox.audit import TillReport
from sandbox.chaos.sales import Sale, draw

PAID_TIME, LATER_TIME = "20260101120000", "20260101120500"

# percent of the reports, by wrapping
WRAPPINGS = {"bare": 88, "bus event": 4, "SNS": 5, "SNS around a bus event": 3}
REPORTED_THREE_TIMES, REPORTED_WITH_ANOTHER_TIME = 0.1, 0.03  # of the orders

_DETAIL = '"detail":{"paid_time":"20260101120000"}'
POISON = (
    "nonsense",
    "",
    "null",
    "[]",
    "7",
    '"text"',
    '{"mchid":null}',
    '{"mchid":"1230000109","out_order_no":"x","detail":{"paid_time":"later"}}',
    '{"mchid":"1230000109","out_order_no":"x","detail":null}',
    '{"mchid":"1230000109","out_order_no":"\\ud800",' + _DETAIL + "}",
    '{"mchid":"1230000109","out_order_no":"\N{BATTERY}",' + _DETAIL + "}",
    '{"mchid":"1230000109","out_order_no":"a b",' + _DETAIL + "}",
    '{"Type":"Notification"}',
    '{"Type":"Notification","Message":"nonsense"}',
    '{"Type":"Notification","Message":{"mchid":"1230000109"}}',
    '{"Records":[{"eventSource":"aws:s3","s3":{"bucket":{"name":"receipts"}}}]}',
    '{"detail-type":"Order_Paid","source":"pos.chaos","detail":"text"}',
    '{"detail-type":"Order_Refunded","source":"pos.chaos","detail":{}}',
    '{"mchid":"1230000109","out_order_no":"x","attach":"' + "x" * 70_000 + '",' + _DETAIL + "}",
    "[" * 5_000,
)


def draw_poison(dice: random.Random) -> TillReport:
    """Draw a message that cannot be read."""
    return TillReport(dice.choice(POISON) + " " * dice.randrange(1, 4))


def draw_reports(dice: random.Random, sale: Sale) -> list[TillReport]:
    """Draw the reports of an order: some are sent several times, some with another time."""
    reports = [_report(dice, sale, PAID_TIME)] * (3 if dice.random() < REPORTED_THREE_TIMES else 1)
    if dice.random() < REPORTED_WITH_ANOTHER_TIME:
        reports.append(_report(dice, sale, LATER_TIME))
    return reports


def _report(dice: random.Random, sale: Sale, paid_time: str) -> TillReport:
    wrapping = draw(dice, WRAPPINGS)
    body = json.dumps(sale.payload(paid_time))
    if "bus event" in wrapping:
        event = {"id": f"event-{sale.out_order_no}", "source": "pos.chaos", "detail-type": "Order_Paid"}
        body = json.dumps(event | {"detail": sale.payload(paid_time)})
    if "SNS" in wrapping:
        envelope = {"Type": "Notification", "MessageId": f"sns-{sale.out_order_no}", "TopicArn": "arn:aws:sns:::tills"}
        body = json.dumps(envelope | {"Message": body})
    return TillReport(body, sale.mchid, sale.out_order_no, paid_time, sale.sub_mchid, by_bus=wrapping == "bare")
