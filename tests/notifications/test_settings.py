"""The second function's environment."""

import pytest

from notifications.settings import Settings
from orders.errors import SettingsError

ENVIRONMENT = {"ORDERS_TABLE": "orders", "MERCHANT_SECRET_PREFIX": "wechatpay/"}


def test_defaults_are_those_of_the_template() -> None:
    """Without the optional variables the function answers within five seconds and remembers for fourteen days."""
    settings = Settings.from_env(ENVIRONMENT)
    assert (settings.answer_within, settings.collected_days, settings.merchant_secret_prefix) == (5.0, 14, "wechatpay")
    assert settings.wechatpay_base_url == "https://api.mch.weixin.qq.com"


def test_three_calls_fit_into_the_answers_time() -> None:
    """Two calls at their limit leave time to begin neither a third nor an answer that is late."""
    settings = Settings.from_env(ENVIRONMENT)
    assert 2 * settings.call_limit < settings.answer_within < 3 * settings.call_limit
    assert sum(settings.timeout) < settings.call_limit


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ORDERS_TABLE", " "),
        ("MERCHANT_SECRET_PREFIX", ""),
        ("WECHATPAY_BASE_URL", "http://example.com"),
        ("COLLECTED_DAYS", "0"),
        ("COLLECTED_DAYS", "1.5"),
        ("COLLECTED_DAYS", "²"),
        ("COLLECTED_DAYS", "99999"),
        ("ANSWER_WITHIN", "0"),
        ("ANSWER_WITHIN", "soon"),
    ],
)
def test_an_unusable_variable_is_named(name: str, value: str) -> None:
    """The error names the variable."""
    with pytest.raises(SettingsError, match=name):
        Settings.from_env(ENVIRONMENT | {name: value})
