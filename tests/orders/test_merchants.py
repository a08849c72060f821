"""Merchants' keys: fetched once, refreshed when refused, named when unusable, never shown."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import wechatpay
from orders.errors import MerchantUnavailableError, UnknownMerchantError
from orders.merchants import Merchants
from sandbox.cloud import Cloud
from sandbox.wechat_pay import Simulator
from sandbox.world import MERCHANT


class CountingSecrets:
    """A client of Secrets Manager that counts what it is asked."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.asked = 0

    def get_secret_value(self, **which: Any) -> Any:
        """Count, then ask."""
        self.asked += 1
        return self._client.get_secret_value(**which)


class Office:
    """Where merchants' secrets are kept."""

    def __init__(self, cloud: Cloud, wechat_pay: Simulator) -> None:
        self.cloud, self.wechat_pay = cloud, wechat_pay
        self.prefix = f"office-{time.monotonic_ns()}"
        self.secrets = CountingSecrets(cloud.client("secretsmanager"))
        self.merchants = Merchants(self.secrets, self.prefix, wechatpay.Client)  # type: ignore[arg-type]

    def store(self, **changes: Any) -> None:
        """Store the merchant's secret; `...` takes a field out."""
        secret = self.wechat_pay.merchant(MERCHANT).secret() | changes
        kept = {name: value for name, value in secret.items() if value is not ...}
        self.cloud.put_secret(f"{self.prefix}/{MERCHANT}", kept)


@pytest.fixture
def office(cloud: Cloud, wechat_pay: Simulator) -> Office:
    """An office with one merchant."""
    office = Office(cloud, wechat_pay)
    office.store()
    return office


def test_a_secret_is_fetched_once_by_many_threads(office: Office) -> None:
    """One parse, one object for all of them."""
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: office.merchants.get(MERCHANT), range(64)))
    assert office.secrets.asked == 1
    assert len({id(merchant) for merchant in found}) == 1


def test_refused_keys_are_fetched_anew_once_for_all(office: Office) -> None:
    """A batch of ten refused calls costs one fetch."""
    office.merchants.get(MERCHANT)
    refused_at = office.merchants.now()
    office.wechat_pay.merchant(MERCHANT).rotate_key()
    office.store()
    with ThreadPoolExecutor(8) as pool:
        fresh = list(pool.map(lambda _: office.merchants.refresh(MERCHANT, since=refused_at), range(16)))
    assert office.secrets.asked == 2
    assert {merchant.client.merchant.serial_no for merchant in fresh} == {
        office.wechat_pay.merchant(MERCHANT).serial_no
    }


def test_defaults_come_with_the_keys(office: Office) -> None:
    """What events may leave out."""
    assert office.merchants.get(MERCHANT).endpoint == "direct"
    office.store(appid="wx1", service_id="7", endpoint="partner")
    merchant = office.merchants.refresh(MERCHANT, since=office.merchants.now())
    assert (merchant.appid, merchant.service_id, merchant.endpoint) == ("wx1", "7", "partner")


def test_a_merchant_without_a_secret_is_unknown(office: Office) -> None:
    """And the name of the secret to create is told."""
    with pytest.raises(UnknownMerchantError, match=f"{office.prefix}/4711"):
        office.merchants.get("4711")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"mchid": "4711"}, "mchid"),
        ({"serial_no": ...}, "serial_no"),
        ({"private_key": ""}, "private_key"),
        ({"private_key": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"}, "private_key"),
        ({"private_key": "c2VjcmV0LXRoYXQtbXVzdC1ub3QtYmUtc2hvd24"}, "private_key"),
        ({"platform_keys": {}}, "platform_keys"),
        ({"platform_keys": {"PUB_KEY_ID_1": "nonsense!"}}, "platform_keys"),
        ({"platform_keys": "nonsense"}, "platform_keys"),
        ({"apiv3_key": "short"}, "apiv3_key"),
        ({"endpoint": "moon"}, "endpoint"),
    ],
)
def test_an_unusable_secret_is_told_by_field(office: Office, changes: dict[str, Any], named: str) -> None:
    """Retried and paged, because mending it makes every order work; no value is repeated."""
    office.store(**changes)
    with pytest.raises(MerchantUnavailableError, match=named) as caught:
        office.merchants.get(MERCHANT)
    for value in changes.values():
        if isinstance(value, str) and len(value) > 10:
            assert value not in str(caught.value)
    assert "PRIVATE KEY" not in str(caught.value)


@pytest.mark.parametrize(
    "write",
    [
        lambda secrets, name: secrets.put_secret_value(SecretId=name, SecretString="not json"),
        lambda secrets, name: secrets.put_secret_value(SecretId=name, SecretString="[]"),
        lambda secrets, name: secrets.put_secret_value(SecretId=name, SecretBinary=b"{}"),
    ],
)
def test_a_secret_that_is_no_json_object_is_told(office: Office, write: Callable[[Any, str], None]) -> None:
    """Text, JSON, an object: in these words."""
    write(office.cloud.client("secretsmanager"), f"{office.prefix}/{MERCHANT}")
    with pytest.raises(MerchantUnavailableError, match=r"JSON"):
        office.merchants.get(MERCHANT)


def test_a_failure_is_not_asked_for_again_by_those_who_queued_behind_it(office: Office) -> None:
    """Otherwise a batch of ten would wait ten times for an AWS that does not answer."""
    office.store(private_key="")
    for _ in range(3):
        with pytest.raises(MerchantUnavailableError):
            office.merchants.get(MERCHANT)
    assert office.secrets.asked == 1
