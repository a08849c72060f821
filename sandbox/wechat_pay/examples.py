"""Bodies as the pages of the direct family document them: a starting point for a test, a script or a client."""

from typing import Any

from sandbox.wechat_pay.times import digits

type Body = dict[str, Any]

WHO = {"appid": "wxd678efh567hg6787", "service_id": "500001"}
"""What every request names; control verbs open their orders with the same."""


def create(out_order_no: str, /, **changes: object) -> Body:
    """Return a body of create with every required field (doc 4012587900); `changes` replace or add fields."""
    return {
        "out_order_no": out_order_no,
        **WHO,
        "service_introduction": "充电宝租借",
        "time_range": {"start_time": "OnAccept"},
        "risk_fund": {"name": "DEPOSIT", "amount": 9900},
        "notify_url": "https://shop.example.com/notify",
        **changes,
    }


def complete(total_amount: int, at: float, /, **changes: object) -> Body:
    """Return a body of complete for a service that ends at this Unix time (doc 4012587955)."""
    payments = [{"name": "租金", "amount": total_amount, "description": "按小时计费", "count": 1}]
    return {
        **WHO,
        "post_payments": payments,
        "total_amount": total_amount,
        "time_range": {"end_time": digits(at)},
        **changes,
    }


def modify(total_amount: int, /, **changes: object) -> Body:
    """Return a body of modify."""
    payments = [{"name": "租金", "amount": total_amount, "description": "按小时计费", "count": 1}]
    return {**WHO, "post_payments": payments, "total_amount": total_amount, "reason": "用户投诉", **changes}


def cancel(**changes: object) -> Body:
    """Return a body of cancel."""
    return {**WHO, "reason": "用户投诉", **changes}


def sync(paid_time: str, /, **changes: object) -> Body:
    """Return a body of sync for a payment at this time, 14 digits of Beijing time (doc 4012587962)."""
    return {**WHO, "type": "Order_Paid", "detail": {"paid_time": paid_time}, **changes}
