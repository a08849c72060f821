"""The values of an order: what they hold, and that they do not change."""

from copy import replace

import pytest

from orders.order import (
    SUB_MERCHANT_ENDPOINTS,
    Attempt,
    Facts,
    Outcome,
    Refusal,
    Status,
    instant,
)
from wechatpay.endpoints import ENDPOINTS

from .values import FINAL, NOW, OPEN, PAYMENT, TILL, an_attempt, an_order


class TestValues:
    """Values that threads share."""

    @pytest.mark.parametrize(
        "value",
        [
            PAYMENT,
            TILL,
            an_attempt("m1", "RETRYING"),
            Refusal("A", "b"),
            an_order(Status.SYNCED),
            Outcome(Status.SYNCED, PAYMENT),
            Facts(),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_a_value_does_not_change(self, value: object) -> None:
        """A value is frozen and has no attributes but its fields."""
        assert not hasattr(value, "__dict__")
        with pytest.raises(AttributeError):
            setattr(value, value._fields[0], None)  # type: ignore[attr-defined]

    def test_the_default_latency_is_zero(self) -> None:
        """The latency of an attempt and of an outcome is 0 unless it is given."""
        assert Attempt("at", "m1", "RETRYING").latency_ms == Outcome(Status.SYNCED, PAYMENT).latency_ms == 0

    @pytest.mark.parametrize("status", Status)
    def test_three_statuses_are_final(self, status: Status) -> None:
        """Three statuses are final; an order that is open, rejected or paid twice needs attention."""
        assert status.final is (status in FINAL)
        assert status.needs_attention is (status in {*OPEN, Status.PAID_BY_WECHAT})

    def test_a_key_is_merchant_and_number(self) -> None:
        """A payment and its order have the same key, made of the mchid and the order number."""
        assert PAYMENT.key == an_order(Status.SYNCED).key == "1230000109#A1"

    @pytest.mark.parametrize(
        ("endpoint", "sub_mchid", "key"),
        [
            ("partner", "1900000109", "1230000109/1900000109#A1"),
            ("acquiringbank", "1900000109", "1230000109/1900000109#A1"),
            ("oversea", "1900000109", "1230000109/1900000109#A1"),
            ("direct", "1900000109", "1230000109#A1"),
            ("payafter", "1900000109", "1230000109#A1"),
            ("partner", None, "1230000109#A1"),
            (None, None, "1230000109#A1"),
            (None, "1900000109", "1230000109/1900000109#A1"),
        ],
    )
    def test_a_sub_merchants_order_has_a_key_of_its_own(
        self, endpoint: str | None, sub_mchid: str | None, key: str
    ) -> None:
        """The key names the sub-merchant at endpoints that have one, and while the endpoint is not known."""
        payment = replace(PAYMENT, endpoint=endpoint, sub_mchid=sub_mchid)
        assert payment.key == replace(an_order(Status.RETRYING), payment=payment).key == key
        assert payment.key_is_open is (endpoint is None and sub_mchid is not None)

    def test_the_endpoints_with_a_sub_merchant_are_those_of_the_library(self) -> None:
        """The key of an order names a sub-merchant exactly if the endpoint has a place for one."""
        assert {name for name, one in ENDPOINTS.items() if "sub_mchid" in one.fields} == SUB_MERCHANT_ENDPOINTS


def test_an_instant_is_iso_8601_in_utc() -> None:
    """An instant is ISO 8601 in UTC with milliseconds, which sorts as text."""
    assert instant(NOW) == "2026-01-01T04:00:00.000Z"
