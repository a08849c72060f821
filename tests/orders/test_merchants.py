"""Merchants' keys: fetched once, refreshed on demand, kept if absent, never shown."""

import json
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.parsers import ResponseParserError

import wechatpay
from orders import secret
from orders.errors import MerchantUnavailableError, OrdersError, UnknownMerchantError
from orders.merchants import FRESH_LIMIT, MOST, Merchants
from sandbox.cloud import Cloud
from sandbox.testbed import MERCHANT
from sandbox.waiting import PATIENCE
from sandbox.wechat_pay import Simulator
from tests.orders.key_material import KeyMaterial, a_secret
from tests.wechatpay.conftest import NOW


class CountingSecrets:
    """A client of Secrets Manager that counts its calls."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls = 0

    def get_secret_value(self, **which: Any) -> Any:
        """Count the call, then make it."""
        self.calls += 1
        return self._client.get_secret_value(**which)


class Office:
    """The store of merchants' secrets."""

    def __init__(self, cloud: Cloud, wechat_pay: Simulator) -> None:
        self.cloud, self.wechat_pay = cloud, wechat_pay
        self.prefix = f"office-{time.monotonic_ns()}"
        self.secrets = CountingSecrets(cloud.client("secretsmanager"))
        self.merchants = Merchants(self.secrets, self.prefix, wechatpay.Client)  # type: ignore[arg-type]

    def store(self, **changes: Any) -> None:
        """Store the merchant's secret; `...` takes a field out."""
        values = self.wechat_pay.merchant(MERCHANT).secret() | changes
        content = {name: value for name, value in values.items() if value is not ...}
        self.cloud.put_secret(f"{self.prefix}/{MERCHANT}", content)


@pytest.fixture
def office(cloud: Cloud, wechat_pay: Simulator) -> Office:
    """A store with one merchant's secret."""
    office = Office(cloud, wechat_pay)
    office.store()
    return office


def test_a_secret_is_fetched_once_by_many_threads(office: Office) -> None:
    """Many threads share one fetch and one merchant object."""
    with ThreadPoolExecutor(16) as pool:
        merchants = list(pool.map(lambda _: office.merchants.get(MERCHANT), range(64)))
    assert office.secrets.calls == 1
    assert len({id(merchant) for merchant in merchants}) == 1


def test_refused_keys_cost_one_fetch(office: Office) -> None:
    """A batch of refused calls costs one fetch."""
    office.merchants.get(MERCHANT)
    refused_at = office.merchants.now()
    office.wechat_pay.merchant(MERCHANT).rotate_key()
    office.store()
    with ThreadPoolExecutor(8) as pool:
        fresh = list(pool.map(lambda _: office.merchants.refresh(MERCHANT, since=refused_at), range(16)))
    assert office.secrets.calls == 2
    assert {merchant.client.merchant.serial_no for merchant in fresh} == {
        office.wechat_pay.merchant(MERCHANT).serial_no
    }


def test_defaults_come_with_the_keys(office: Office) -> None:
    """A merchant has the default appid, service_id and endpoint of its secret."""
    assert office.merchants.get(MERCHANT).endpoint == "direct"
    office.store(appid="wx1", service_id="7", endpoint="partner")
    merchant = office.merchants.refresh(MERCHANT, since=office.merchants.now())
    assert (merchant.appid, merchant.service_id, merchant.endpoint) == ("wx1", "7", "partner")


def test_a_merchant_without_a_secret_is_unknown(office: Office) -> None:
    """The error about an unknown merchant names the secret to create."""
    with pytest.raises(UnknownMerchantError, match=f"{office.prefix}/4711"):
        office.merchants.get("4711")


@pytest.mark.parametrize(
    ("changes", "field"),
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
def test_an_unusable_secret_is_reported_by_field(office: Office, changes: dict[str, Any], field: str) -> None:
    """The error about an unusable secret names the field and repeats no value."""
    office.store(**changes)
    with pytest.raises(MerchantUnavailableError, match=field) as caught:
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
def test_a_secret_that_is_no_json_object_is_refused(office: Office, write: Callable[[Any, str], None]) -> None:
    """A secret must be a JSON object stored as text."""
    write(office.cloud.client("secretsmanager"), f"{office.prefix}/{MERCHANT}")
    with pytest.raises(MerchantUnavailableError, match=r"JSON"):
        office.merchants.get(MERCHANT)


def test_a_failed_fetch_is_shared(office: Office) -> None:
    """A failed fetch is shared by the threads that waited for it."""
    office.store(private_key="")
    for _ in range(3):
        with pytest.raises(MerchantUnavailableError):
            office.merchants.get(MERCHANT)
    assert office.secrets.calls == 1


# Below: a simulated Secrets Manager, and a clock that the test moves.


class Vault:
    """A simulated Secrets Manager; a content is a text, an exception or a whole answer, and absent means not found."""

    def __init__(self) -> None:
        self.contents: dict[str, Any] = {}
        self.calls: Counter[str] = Counter()
        self.meeting: threading.Barrier | None = None

    def get_secret_value(self, SecretId: str) -> dict[str, Any]:  # noqa: N803  AWS's spelling
        """Answer as Secrets Manager does."""
        mchid = SecretId.rpartition("/")[2]
        self.calls[mchid] += 1
        if self.meeting:
            self.meeting.wait(PATIENCE)
        content = self.contents.get(mchid, refused("ResourceNotFoundException", NOT_FOUND))
        if isinstance(content, Exception):
            raise content
        return content if isinstance(content, dict) else {"SecretString": content}


NOT_FOUND = "Secrets Manager can't find the specified secret."
NO_VALUE = "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"


def refused(code: str, message: str) -> ClientError:
    """An error answer of AWS."""
    return ClientError({"Error": {"Code": code, "Message": message}}, "GetSecretValue")


class Desk:
    """Merchants over that vault, with a clock that moves only by hand."""

    def __init__(self, keys: KeyMaterial) -> None:
        self.vault, self.seconds, self.unix = Vault(), 1000.0, float(NOW)
        self.values = a_secret(keys)
        self.clients = 0
        self.merchants = Merchants(
            self.vault,  # type: ignore[arg-type]
            "wechatpay",
            self.client,
            clock=lambda: self.seconds,
            wall_clock=lambda: self.unix,
        )
        self.store()

    def client(self, **arguments: Any) -> wechatpay.Client:
        """Count the clients, and return one."""
        self.clients += 1
        return wechatpay.Client(**arguments)

    def store(self, mchid: str = MERCHANT, **changes: Any) -> None:
        """Store a merchant's secret."""
        self.vault.contents[mchid] = json.dumps(self.values | {"mchid": mchid} | changes)

    def outcome(self, mchid: str = MERCHANT, *, since: float | None = None) -> str:
        """Get the merchant, or refresh it: "ok" or the name of the error."""
        try:
            if since is None:
                self.merchants.get(mchid)
            else:
                self.merchants.refresh(mchid, since=since)
        except OrdersError as error:
            return type(error).__name__
        return "ok"


@pytest.fixture(scope="module")
def key_material() -> KeyMaterial:
    """Keys for this module."""
    return KeyMaterial()


@pytest.fixture
def desk(key_material: KeyMaterial) -> Desk:
    """Merchants with one secret in the vault."""
    return Desk(key_material)


def test_a_secret_is_kept_for_300_seconds(desk: Desk) -> None:
    """A secret is kept for 300 seconds, then fetched, and read again only if it has changed."""
    first = desk.merchants.get(MERCHANT)
    desk.seconds += 299.9
    assert desk.merchants.get(MERCHANT) is first
    assert desk.vault.calls[MERCHANT] == 1
    desk.seconds += 0.1
    assert desk.merchants.get(MERCHANT) is first
    assert (desk.vault.calls[MERCHANT], desk.clients) == (2, 1)


def test_an_unknown_merchant_is_kept_as_long_as_a_secret(desk: Desk) -> None:
    """The absence of a secret is kept for 300 seconds; a refresh fetches once more."""
    for _ in range(12):
        assert desk.outcome("4711") == "UnknownMerchantError"
    assert desk.outcome("4711", since=desk.merchants.now() + 0.001) == "UnknownMerchantError"
    desk.seconds += 299
    for _ in range(12):
        assert desk.outcome("4711") == "UnknownMerchantError"
    assert desk.vault.calls["4711"] == 2


def test_a_refresh_finds_a_new_secret(desk: Desk) -> None:
    """A refresh finds a secret that was created after its absence was kept."""
    assert desk.outcome("4711") == "UnknownMerchantError"
    desk.store("4711")
    assert desk.outcome("4711") == "UnknownMerchantError"
    desk.seconds += 1
    assert desk.outcome("4711", since=desk.merchants.now()) == "ok"
    assert desk.outcome("4711") == "ok"
    assert desk.vault.calls["4711"] == 2


def test_a_refresh_finds_a_new_field(desk: Desk) -> None:
    """A refresh finds a field that was added to the secret."""
    desk.store(service_id="")
    assert desk.merchants.get(MERCHANT).service_id is None
    desk.store(service_id="500002")
    assert desk.merchants.get(MERCHANT).service_id is None
    assert desk.merchants.refresh(MERCHANT, since=desk.merchants.now() + 0.001).service_id == "500002"


def test_a_refresh_of_a_recent_secret_makes_no_call(desk: Desk) -> None:
    """A refresh makes no call if the secret was fetched at `since` or later."""
    since = desk.merchants.now()
    merchant = desk.merchants.get(MERCHANT)
    assert desk.merchants.refresh(MERCHANT, since=since) is merchant
    assert desk.outcome("4711", since=since) == desk.outcome("4711", since=since) == "UnknownMerchantError"
    assert desk.vault.calls == {MERCHANT: 1, "4711": 1}


def test_a_refresh_of_an_unchanged_secret_returns_the_same_object(desk: Desk) -> None:
    """A refresh of an unchanged secret returns the same object, so that a call signed ahead still fits."""
    merchant = desk.merchants.get(MERCHANT)
    desk.seconds += 1
    assert desk.merchants.refresh(MERCHANT, since=desk.merchants.now()) is merchant
    assert (desk.vault.calls[MERCHANT], desk.clients) == (2, 1)


def test_waiting_threads_share_one_fetch(desk: Desk) -> None:
    """All threads that wait for a merchant share one fetch."""
    with ThreadPoolExecutor(10) as pool:
        for mchid in (MERCHANT, "4711"):
            assert len(set(pool.map(lambda _, mchid=mchid: desk.outcome(mchid), range(40)))) == 1
            desk.seconds += 1
            since = desk.merchants.now()
            assert (
                len(set(pool.map(lambda _, mchid=mchid, since=since: desk.outcome(mchid, since=since), range(40)))) == 1
            )
    assert desk.vault.calls == {MERCHANT: 2, "4711": 2}


def test_ten_unknown_merchants_are_fetched_in_parallel(desk: Desk) -> None:
    """Fetches of different merchants run in parallel."""
    desk.vault.meeting = threading.Barrier(10)
    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(desk.outcome, map(str, range(4711, 4721)))) == {"UnknownMerchantError"}
    assert set(desk.vault.calls.values()) == {1}


def test_forced_fetches_are_bounded(desk: Desk) -> None:
    """Refreshes cause six fetches per merchant and minute at most."""
    for mchid, ends in ((MERCHANT, "ok"), ("4711", "UnknownMerchantError")):
        for _ in range(100):
            desk.seconds += 0.1
            assert desk.outcome(mchid, since=desk.merchants.now()) == ends
        assert desk.vault.calls[mchid] == FRESH_LIMIT == 6
    desk.seconds += 60
    assert desk.outcome(since=desk.merchants.now()) == "ok"
    assert desk.vault.calls[MERCHANT] == 7


def test_a_broken_secret_is_parsed_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A faulty secret is fetched again after a second, and read again only if its text has changed."""
    reads: list[str] = []
    read = secret.read

    def counted(text: str, mchid: str, now: datetime) -> secret.Secret:
        reads.append(mchid)
        return read(text, mchid, now)

    monkeypatch.setattr(secret, "read", counted)
    desk.store(private_key="")
    for _ in range(10):
        assert desk.outcome() == "MerchantUnavailableError"
    assert (desk.vault.calls[MERCHANT], len(reads)) == (1, 1)
    for _ in range(10):
        desk.seconds += 1
        assert desk.outcome() == "MerchantUnavailableError"
    assert (desk.vault.calls[MERCHANT], len(reads)) == (11, 1)
    desk.store()
    desk.seconds += 1
    assert (desk.outcome(), len(reads)) == ("ok", 2)


def test_a_certificate_that_was_not_valid_yet_is_read_again(desk: Desk) -> None:
    """An unchanged faulty secret is read again after 300 seconds, because its certificate may have become valid."""
    desk.unix = NOW - 101 * 86400
    assert desk.outcome() == "MerchantUnavailableError"
    desk.unix = NOW
    desk.seconds += 299
    assert desk.outcome() == "MerchantUnavailableError"
    desk.seconds += 2
    assert desk.outcome() == "ok"


def test_keys_stay_while_secrets_manager_fails(desk: Desk) -> None:
    """A failed refresh raises, and leaves the kept keys to other callers until they are 300 seconds old."""
    merchant = desk.merchants.get(MERCHANT)
    desk.vault.contents[MERCHANT] = refused("InternalServiceError", "again, please")
    desk.seconds += 1
    since = desk.merchants.now()
    assert [desk.outcome(since=since) for _ in range(10)] == ["MerchantUnavailableError"] * 10
    assert desk.merchants.get(MERCHANT) is merchant
    assert desk.vault.calls[MERCHANT] == 2
    desk.seconds += 300
    assert desk.outcome() == "MerchantUnavailableError"


def test_a_faulty_secret_replaces_the_good_one(desk: Desk) -> None:
    """A faulty new secret replaces the good one that was kept."""
    desk.merchants.get(MERCHANT)
    desk.store(private_key="")
    desk.seconds += 1
    assert desk.outcome(since=desk.merchants.now()) == "MerchantUnavailableError"
    assert desk.outcome() == "MerchantUnavailableError"
    desk.store()
    desk.seconds += 1
    assert desk.outcome() == "ok"


ARN = "arn:aws:sts::123456789012:assumed-role/orders/orders"
TROUBLES = [
    (refused("ResourceNotFoundException", NO_VALUE), f"has no value yet: .*{NO_VALUE}"),
    (refused("AccessDeniedException", "Access to KMS is not allowed"), "AccessDeniedException: Access to KMS is not"),
    (
        refused("AccessDeniedException", f"User: {ARN} is not authorized to perform: secretsmanager:GetSecretValue"),
        f"AccessDeniedException: User: {ARN} is not authorized",
    ),
    (refused("DecryptionFailure", "Secrets Manager can't decrypt the secret value"), "DecryptionFailure: Secrets Man"),
    (
        refused("InvalidRequestException", "You can't perform this operation, it was marked for deletion."),
        "InvalidRequestException: .* marked for deletion",
    ),
    (refused("ThrottlingException", ""), "ThrottlingException"),
    (refused("X\x1b[2J", "\u202e" + "y" * 100_000), r"X \[2J:  y+\)$"),
    (EndpointConnectionError(endpoint_url="https://secretsmanager.test"), "EndpointConnectionError: .*manager.test"),
    (ResponseParserError("a page of HTML"), "ResponseParserError: a page of HTML"),
    (ClientError({}, "GetSecretValue"), "cannot be fetched"),
    ({}, "has no text: store it as JSON text"),
    ({"SecretBinary": b"{}"}, "is binary: store it as JSON text"),
]


@pytest.mark.parametrize(("trouble", "words"), TROUBLES, ids=range(len(TROUBLES)))
def test_an_error_has_the_words_of_aws(desk: Desk, trouble: Any, words: str) -> None:
    """The error holds the code and the cleaned message of AWS, and none of these errors rejects an order."""
    desk.vault.contents[MERCHANT] = trouble
    with pytest.raises(MerchantUnavailableError, match=words) as caught:
        desk.merchants.get(MERCHANT)
    assert "wechatpay/1230000109" in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 800
    assert caught.value.fields == ()


def test_the_number_of_kept_merchants_is_bounded(desk: Desk) -> None:
    """1,024 merchants are kept; the least recently used goes first."""
    desk.merchants.get(MERCHANT)
    for number in range(10_000):
        assert desk.outcome(str(number)) == "UnknownMerchantError"
        if number % 500 == 0:
            desk.merchants.get(MERCHANT)
    assert len(desk.merchants._entries) == MOST == 1024
    assert desk.vault.calls[MERCHANT] == 1
    assert desk.outcome("0") == "UnknownMerchantError"
    assert desk.vault.calls["0"] == 2


def test_a_kept_error_does_not_grow(desk: Desk) -> None:
    """An error that is raised a thousand times keeps no frames of the threads that met it."""
    desk.store(private_key="")
    for mchid in (MERCHANT, "4711"):
        for _ in range(1000):
            desk.outcome(mchid)
        with pytest.raises(OrdersError) as caught:
            desk.merchants.get(mchid)
        assert len(list(traceback.walk_tb(caught.value.__traceback__))) < 10


def test_the_end_of_the_platform_keys_is_reported_at_each_fetch(office: Office) -> None:
    """Each fetch reports when the last platform certificate expires; a public key never does."""
    ends: list[datetime] = []
    secrets: Any = office.secrets
    merchants = Merchants(secrets, office.prefix, wechatpay.Client, on_key_end=ends.append)
    certificates = office.wechat_pay.platform.certificates
    office.store(platform_keys=certificates)
    certificates_only = merchants.get(MERCHANT)
    merchants.refresh(MERCHANT, since=merchants.now())
    end = max(end for _, end in certificates_only.client.platform_keys.validities.values())
    assert ends == [end, end]
    public_key: dict[str, str] = office.wechat_pay.merchant(MERCHANT).secret()["platform_keys"]
    office.store(platform_keys=public_key | certificates)
    assert merchants.refresh(MERCHANT, since=merchants.now()).key_end is None
    assert ends == [end, end]
