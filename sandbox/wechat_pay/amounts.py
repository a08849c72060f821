"""Amounts of an order: the total is the sum of payments minus discounts, and has a limit (doc 4012587955)."""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.wechat_pay.fields.shared import DEPOSIT_FREE
from sandbox.wechat_pay.refusals import wrong_parameter
from sandbox.wechat_pay.switches import Switches

type Parameters = Mapping[str, Any]


def require_rows(parameters: Parameters) -> None:
    """Refuse payments or discounts of one name, and a payment that has neither amount nor description."""
    for number, payment in enumerate(parameters.get("post_payments", ())):
        if not payment.keys() & {"amount", "description"}:
            path = f"/post_payments/{number}/amount"
            raise wrong_parameter(path, "", "填写付费名称时，付费金额和付费说明必须填写其一，或都填")
    for field, free in (("post_payments", "商品信息"), ("post_discounts", "")):
        names: set[str] = set()
        for number, row in enumerate(parameters.get(field, ())):
            if row["name"] in names and row["name"] != free:
                raise wrong_parameter(f"/{field}/{number}/name", row["name"], "名称不可重复")
            names.add(row["name"])


def require_total(parameters: Parameters, risk_fund: Mapping[str, Any], switches: Switches) -> None:
    """Refuse a total that is not payments minus discounts, or above its limit.

    An amount is that of its whole row: `count` multiplies nothing.
    """
    total = parameters["total_amount"]
    if total != _sum(parameters.get("post_payments", ())) - _sum(parameters.get("post_discounts", ())):
        raise wrong_parameter("/total_amount", total, "最终总金额计算非法")
    if total > limit(risk_fund, switches):
        raise wrong_parameter("/total_amount", total, "总金额超过此服务的服务风险金额", sub_code="271316656")


def require_risk_fund(risk_fund: Mapping[str, Any], switches: Switches) -> None:
    """Refuse a risk fund above the service's limit, where one is told."""
    amount = risk_fund["amount"]
    if switches.service_risk_limit is not None and amount > switches.service_risk_limit:
        issue = "创建订单的订单风险金额超过此服务的服务风险金额"
        raise wrong_parameter("/risk_fund/amount", amount, issue, sub_code="271316656")


def limit(risk_fund: Mapping[str, Any], switches: Switches) -> int:
    """Return the largest total: the order's risk fund, or the service's limit for an estimated cost."""
    amount = int(risk_fund["amount"])
    if risk_fund["name"] in DEPOSIT_FREE or switches.service_risk_limit is None:
        return amount
    return switches.service_risk_limit


def _sum(rows: Sequence[Mapping[str, Any]]) -> int:
    return sum(row.get("amount", 0) for row in rows)
