"""An order can be answered with every documented field, so that a client's parser meets them all."""

from pathlib import Path
from typing import Any

import pytest

from sandbox.wechat_pay import family_examples
from sandbox.wechat_pay.families import ENDPOINTS
from tests.sandbox.asking import Asking

FAMILIES = ("direct", "partner", "acquiringbank", "oversea")
GOODS = {"goods_id", "quantity", "unit_price", "discount_amount", "goods_remark"}
PROMOTION = {"coupon_id", "name", "scope", "type", "amount", "stock_id", "currency", "goods_detail"}
CONTRIBUTIONS = {"wechatpay_contribute", "merchant_contribute", "other_contribute"}


@pytest.fixture
def asking(key_ring: Path) -> Asking:
    """The merchant."""
    return Asking.alone(key_ring)


def answered(asking: Asking, family: str) -> dict[str, Any]:
    """The answer about S1."""
    return asking.get(ENDPOINTS[family], **family_examples.WHO[family], out_order_no="S1").body


def opened(asking: Asking, family: str, **options: Any) -> None:
    """S1 waits for its money."""
    names: dict[str, Any] = {
        name: value for name, value in family_examples.WHO[family].items() if name in {"sub_mchid", "channel_id"}
    }
    asking.service.ready_to_sync(asking.mchid, "S1", endpoint=family, **names, **options)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_filled_answer_has_every_field(asking: Asking, family: str) -> None:
    """A filled answer has remarks, places, discounts, the bank and a promotion with its goods; its sums are right."""
    opened(asking, family, every_field=True)
    waiting = answered(asking, family)
    assert {"start_time_remark", "end_time_remark"} <= waiting["time_range"].keys()
    assert waiting["post_discounts"][0].keys() == {"name", "description", "amount", "count"}
    paid, off = (sum(row["amount"] for row in waiting[name]) for name in ("post_payments", "post_discounts"))
    assert (paid - off, off) == (waiting["total_amount"], 100)
    assert "bank_type" not in waiting["collection"]
    asking.service.deduct(asking.mchid, "S1")
    collection = answered(asking, family)["collection"]
    promotion = collection["details"][0]["promotion_detail"][0]
    assert (collection["bank_type"], promotion.keys()) == ("CMB_DEBIT", PROMOTION | CONTRIBUTIONS)
    assert promotion["goods_detail"][0].keys() == GOODS
    assert promotion["amount"] == sum(promotion[name] for name in CONTRIBUTIONS)
    assert promotion["currency"] == ("HKD" if family == "oversea" else "CNY")
    assert ("currency_rate_info" in answered(asking, family)) == (family == "oversea")


def test_a_payment_at_the_till_has_no_promotion(asking: Asking) -> None:
    """A filled answer about a synced order has no promotion: WeChat Pay has not collected it."""
    opened(asking, "direct", every_field=True)
    body = family_examples.sync("direct", asking.clock.now - 60)
    assert (
        "promotion_detail" not in asking.post(f"{ENDPOINTS['direct']}/S1/sync", body).body["collection"]["details"][0]
    )


def test_a_payafter_order_is_filled_in_its_own_words(asking: Asking) -> None:
    """A filled answer of payafter-orders has the actual places and discounts in its own words."""
    opened(asking, "payafter", every_field=True)
    answer = answered(asking, "payafter")
    assert {"service_end_time", "real_service_start_location", "real_service_end_location"} <= answer.keys()
    assert answer["discounts"][0].keys() == {"discount_name", "discount_desc", "discount_amount"}


def test_an_order_is_filled_on_command(asking: Asking) -> None:
    """A command fills the answers about an order that a call has created, and ends it."""
    created = asking.post(ENDPOINTS["partner"], family_examples.create("partner", "S1"))
    assert created.status == 200
    plain = answered(asking, "partner")
    asking.service.fill(asking.mchid, "S1")
    assert answered(asking, "partner").keys() > plain.keys()
    asking.service.fill(asking.mchid, "S1", on=False)
    assert answered(asking, "partner") == plain
