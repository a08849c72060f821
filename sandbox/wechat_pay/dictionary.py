"""Fill an answer with every field of its response dictionary, so that a client's parser meets them all.

An order that was opened with `every_field` is answered like this; the sums stay right (docs 4012587902, partner
4013138559, 4013194035, 4014096411; wiki chapter 17_2).
"""

from typing import Any

type AnswerFields = dict[str, Any]

_PROMOTION: AnswerFields = {
    "coupon_id": "109519",
    "name": "单品惠-6",
    "scope": "SINGLE",
    "type": "CASH",
    "amount": 100,
    "stock_id": "931386",
    "wechatpay_contribute": 60,
    "merchant_contribute": 30,
    "other_contribute": 10,
    "currency": "CNY",
}
_GOODS: AnswerFields = {
    "goods_id": "M1006",
    "quantity": 1,
    "unit_price": 100,
    "discount_amount": 100,
    "goods_remark": "商品备注信息",
}
_DISCOUNT: AnswerFields = {"name": "满20减1元", "description": "不与其他优惠叠加", "amount": 100, "count": 1}
_REMARKS = {"start_time_remark": "开始租借时间", "end_time_remark": "租借结束时间"}
_PLACES = {"start_location": "嗨客时尚主题展餐厅", "end_location": "嗨客时尚主题展餐厅"}


def fill(answer: AnswerFields) -> AnswerFields:
    """Return the answer with every documented field that its state has, in the words of its own family."""
    return _payafter(answer) if "service_start_time" in answer else _service_order(answer)


def _service_order(answer: AnswerFields) -> AnswerFields:
    filled = {"attach": "Easdfowealsdkjfnlaksjdlfkwqoi", **answer}
    filled["time_range"] = {**_REMARKS, **answer.get("time_range", {})}
    filled["location"] = {**_PLACES, **answer.get("location", {})}
    if payments := answer.get("post_payments"):
        filled["post_payments"], filled["post_discounts"] = _with_discount(payments, answer.get("post_discounts", []))
    if "currency" in answer:
        filled |= {"currency_price": answer.get("total_amount", 0), "currency_rate_info": "1.00000000"}
    if collection := answer.get("collection"):
        filled["collection"] = _collection(collection, answer.get("currency", "CNY"))
    return filled


def _with_discount(
    payments: list[AnswerFields], discounts: list[AnswerFields]
) -> tuple[list[AnswerFields], list[AnswerFields]]:
    """Return both lists with one more discount, which the first payment makes up for."""
    first = {"description": "就餐人均100元", "count": 1, **payments[0]}
    first["amount"] = first.get("amount", 0) + _DISCOUNT["amount"]
    return [first, *payments[1:]], [*discounts, dict(_DISCOUNT)]


def _collection(collection: AnswerFields, currency: str) -> AnswerFields:
    details = [
        {**detail, "promotion_detail": [_promotion(currency)]} if detail.get("transaction_id") else detail
        for detail in collection.get("details", [])
    ]
    return {**collection, "details": details} | ({"bank_type": "CMB_DEBIT"} if details else {})


def _promotion(currency: str) -> AnswerFields:
    return {**_PROMOTION, "currency": currency, "goods_detail": [dict(_GOODS)]}


def _payafter(answer: AnswerFields) -> AnswerFields:
    places = {"service_start_location": "嗨客时尚主题展餐厅", "service_end_location": "嗨客时尚主题展餐厅"}
    filled = {"service_end_time": answer["service_start_time"], "attach": "sandbox", **places, **answer}
    if "real_service_end_time" in answer:
        filled |= {f"real_{name}": filled[name] for name in places}
        filled["discounts"] = [
            {"discount_name": "满20减1元", "discount_desc": "不与其他优惠叠加", "discount_amount": 0}
        ]
    return filled
