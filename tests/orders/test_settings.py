"""The environment is read once; a missing variable is named."""

import pytest

from orders.errors import SettingsError
from orders.settings import Settings

ENVIRONMENT = {
    "ORDERS_TABLE": "orders",
    "ORDER_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/orders",
    "MERCHANT_SECRET_PREFIX": "wechatpay",
}


def test_the_defaults_are_production() -> None:
    """Without optional variables the hosts are the official ones, the timeouts 3 and 8 s, and waits are unscaled."""
    settings = Settings.from_env(ENVIRONMENT)
    assert settings.wechatpay_base_url == "https://api.mch.weixin.qq.com"
    assert settings.wechatpay_backup_url == "https://api2.mch.weixin.qq.com"
    assert (settings.connect_timeout, settings.read_timeout, settings.retry_scale) == (3.0, 8.0, 1.0)
    assert settings.call_budget == 14.0
    assert settings.backoff_cap == 3600.0


@pytest.mark.parametrize("name", ENVIRONMENT)
@pytest.mark.parametrize("value", [None, "", " "])
def test_a_missing_variable_is_named(name: str, value: str | None) -> None:
    """A missing or unusable variable fails the start of the function."""
    environment = {key: text for key, text in ENVIRONMENT.items() if key != name}
    with pytest.raises(SettingsError, match=name) as caught:
        Settings.from_env(environment | ({name: value} if value is not None else {}))
    assert caught.value.name == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WECHATPAY_BASE_URL", "http://api.mch.weixin.qq.com"),
        ("WECHATPAY_BACKUP_URL", "api2.mch.weixin.qq.com"),
        ("WECHATPAY_TIMEOUT", "3"),
        ("WECHATPAY_TIMEOUT", "3,x"),
        ("WECHATPAY_TIMEOUT", "0,8"),
        ("RETRY_SCALE", "-1"),
        ("RETRY_SCALE", "inf"),
        ("BACKOFF_CAP", "0"),
    ],
)
def test_an_unusable_value_is_named(name: str, value: str) -> None:
    """Plain http to a public host is refused."""
    with pytest.raises(SettingsError, match=name):
        Settings.from_env(ENVIRONMENT | {name: value})


def test_a_sandbox_may_speak_plain_http() -> None:
    """Plain http is accepted on this machine, and where AWS itself is simulated."""
    local = Settings.from_env(ENVIRONMENT | {"WECHATPAY_BASE_URL": "http://127.0.0.1:4510/"})
    assert local.wechatpay_base_url == "http://127.0.0.1:4510"
    other = {"WECHATPAY_BASE_URL": "http://pay:1", "AWS_ENDPOINT_URL": "http://aws:2"}
    assert Settings.from_env(ENVIRONMENT | other).wechatpay_base_url == "http://pay:1"
