"""Answer about an order with the documented fields of each endpoint family.

direct, partner, acquiringbank and oversea share one vocabulary (docs 4012587902, 4013138559, 4013194035, 4014096411),
payafter has another (wiki chapter 17_2).
"""

from collections.abc import Mapping
from typing import Any

from sandbox.wechat_pay import dictionary
from sandbox.wechat_pay.record import OrderRecord
from sandbox.wechat_pay.times import digits, rfc_3339

type AnswerFields = dict[str, Any]  # of an answer, as JSON has them


def query_answer(order: OrderRecord) -> AnswerFields:
    """Return every field of the family's response dictionary that the order has by now."""
    answer = _payafter(order) if order.endpoint == "payafter" else _service_order(order) | query_only(order)
    return dictionary.fill(answer) if order.every_field else answer


def create_answer(order: OrderRecord) -> AnswerFields:
    """Return what `create` answers: the order, or, at payafter, the way to the customer's confirmation."""
    if order.endpoint == "payafter":
        program = {"miniprogram_businesstype": "wxpayScoreUse", "miniprogram_appid": "wxbe73b198764304e9"}
        return numbers(order, "appid", "mchid", "out_order_no", "service_id", "order_id") | program
    return _service_order(order)


def numbers(order: OrderRecord, *names: str) -> AnswerFields:
    """Return what an answer has that does not contain the order itself."""
    return {name: getattr(order, name) for name in names}


def _service_order(order: OrderRecord) -> AnswerFields:
    """Answer with the order's own numbers, what the shop has told about it, and what has become of it."""
    answer: AnswerFields = {
        "out_order_no": order.out_order_no,
        "service_id": order.service_id,
        "appid": order.appid,
        "mchid": order.mchid,
        "service_introduction": order.service_introduction,
        "state": order.state,
        "order_id": order.order_id,
    }
    if order.sub_mchid:
        answer["sub_mchid"] = order.sub_mchid
    if order.endpoint == "acquiringbank":
        answer["channel_id"] = order.channel_id
    if order.endpoint == "oversea":
        answer["currency"] = order.currency
    if order.state_description:
        answer["state_description"] = order.state_description
    answer |= _usual_terms(order) | dict(order.terms)
    if moments := time_range(order):
        answer["time_range"] = moments
    return answer | (_bill(order) if order.completed_at else {})


def query_only(order: OrderRecord) -> AnswerFields:
    """Return what `create` does not answer: who the customer is, once WeChat Pay knows."""
    return {name: value for name in ("openid", "sub_openid") if (value := getattr(order, name))}


def _usual_terms(order: OrderRecord) -> AnswerFields:
    """Return what a shop usually tells; nothing of an order that a shop has created by a call of its own."""
    if not order.usual:
        return {}
    return {
        "risk_fund": risk_fund(order),
        "location": {"start_location": "上海静安寺店", "end_location": "上海静安寺店"},
        "attach": "sandbox",
        "notify_url": "https://shop.example.com/notify",
    }


def risk_fund(order: OrderRecord) -> AnswerFields:
    """Return the order's risk fund: the shop's, or the usual one, which is never below the total."""
    usual = {"name": "DEPOSIT", "amount": max(9900, order.total_amount), "description": "押金"}
    return _term(order, "risk_fund") or usual


def _term(order: OrderRecord, name: str) -> AnswerFields:
    """Return an object that the shop has told; an empty one where it has not."""
    value = order.terms.get(name)
    return dict(value) if isinstance(value, dict) else {}


def _bill(order: OrderRecord) -> AnswerFields:
    usual = [{"name": "租金", "amount": order.total_amount, "description": "按小时计费", "count": 1}]
    bill: AnswerFields = {
        "total_amount": order.total_amount,
        "need_collection": order.total_amount > 0,
        "post_payments": order.terms.get("post_payments", usual),
        "post_discounts": order.terms.get("post_discounts", []),
    }
    if order.collection_state:
        paid = order.total_amount if order.collection_state == "USER_PAID" else 0
        bill["collection"] = {
            "state": order.collection_state,
            "total_amount": order.total_amount,
            "paying_amount": order.total_amount - paid,
            "paid_amount": paid,
            "details": [_detail(order)] if paid else [],
        }
    return bill


def _detail(order: OrderRecord) -> AnswerFields:
    paid_time = order.paid_time
    if order.endpoint == "oversea":
        paid_time = rfc_3339(paid_time)
    detail = {"seq": 1, "amount": order.total_amount, "paid_type": order.paid_type, "paid_time": paid_time}
    return detail | ({"transaction_id": order.transaction_id} if order.transaction_id else {})


def time_range(order: OrderRecord) -> dict[str, str]:
    """Return the order's times: those that the shop has told, or, of an order with the usual terms, its own.

    A start of `OnAccept` is the moment of the customer's confirmation, as soon as there is one.
    """
    moments: dict[str, str] = _term(order, "time_range")
    if not moments and order.usual:
        end = order.completed_at or order.created_at + _DAY
        moments = {"start_time": digits(order.created_at), "end_time": digits(end)}
        return {name: rfc_3339(text) for name, text in moments.items()} if order.endpoint == "oversea" else moments
    if moments.get("start_time") == "OnAccept" and order.confirmed_at:
        start = digits(order.confirmed_at)
        moments["start_time"] = rfc_3339(start) if order.endpoint == "oversea" else start
    return moments


_DAY = 86_400.0  # seconds


_STATES: Mapping[tuple[str, str], str] = {
    ("CREATED", ""): "CREATED",
    ("DOING", "USER_CONFIRM"): "USER_ACCEPTED",
    ("DOING", "MCH_COMPLETE"): "FINISHED",
    ("DONE", ""): "USER_PAID",
    ("REVOKED", ""): "REVOKED",
    ("EXPIRED", ""): "EXPIRED",
}


def _payafter(order: OrderRecord) -> AnswerFields:
    """`finish_ticket` belongs to USER_ACCEPTED, `finish_transaction_id` to an order that WeChat Pay has collected.

    The documentation has no `pay_type` for WeChat Pay's own collection: such an answer names the transaction alone.
    """
    answer: AnswerFields = {
        "appid": order.appid,
        "mchid": order.mchid,
        "out_order_no": order.out_order_no,
        "service_id": order.service_id,
        "state": _STATES[order.state, order.state_description],
        "service_introduction": order.service_introduction,
    }
    if order.usual:
        answer |= _usual_payafter_terms(order)
    if answer["state"] == "USER_ACCEPTED":
        answer["finish_ticket"] = f"ticket-{order.order_id}"
    if order.completed_at:
        answer |= {
            "finish_type": 2,
            "real_service_start_time": digits(order.created_at),
            "real_service_end_time": digits(order.completed_at),
            "total_amount": order.total_amount,
        }
    if order.paid_time:
        answer["pay_succ_time"] = order.paid_time
    if order.paid_type == "MCH":
        answer["pay_type"] = "MchChannelPayType"
    if order.transaction_id:
        answer["finish_transaction_id"] = order.transaction_id
    return answer | dict(order.terms)


def _usual_payafter_terms(order: OrderRecord) -> AnswerFields:
    return {
        "service_start_time": digits(order.created_at),
        "service_start_location": "上海静安寺店",
        "service_end_location": "上海静安寺店",
        "fees": [{"fee_name": "租金", "fee_count": 1, "fee_amount": order.total_amount, "fee_desc": "按小时计费"}],
        "discounts": [],
        "risk_amount": 9900,
        "attach": "sandbox",
    }
