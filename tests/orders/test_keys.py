"""Keys that change, fail or are missing between events: one refresh, one more try, and no rejection by mistake."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import replace
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from botocore.config import Config

import wechatpay
from orders.conversation import WeChatPay
from orders.merchants import FAILURE_MAX_AGE, Merchants
from orders.order import Status
from orders.results import RetryNow
from sandbox.aws_proxy import AwsProxy, ProxyAction
from sandbox.testbed import APPID, MERCHANT, OTHER_MERCHANT, SERVICE_ID
from sandbox.waiting import until
from tests.gate import hold_answers

from .conftest import CALL_BUDGET, LIMITS, LONG_AGO, Shop, a_message

EIGHT = range(8)


class Clock:
    """The clock of the secrets' ages; each reading advances it by a microsecond, and the test advances it further."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        self.now += 1e-6
        return self.now


@dataclass
class Office:
    """A shop whose secrets come through a proxy that counts the calls and fails them on demand."""

    shop: Shop
    proxy: AwsProxy
    prefix: str
    clock: Clock
    faults: dict[str, ProxyAction] = field(default_factory=dict)

    def store(self, mchid: str = MERCHANT, /, **changes: Any) -> None:
        """Store the merchant's current keys."""
        secret = self.shop.wechat_pay.merchant(mchid).secret() | {"appid": APPID, "service_id": SERVICE_ID} | changes
        self.shop.cloud.put_secret(f"{self.prefix}/{mchid}", secret)

    def ready(self, mchid: str = MERCHANT) -> str:
        """A new order of this merchant."""
        number = f"K{time.monotonic_ns()}"
        self.shop.wechat_pay.ready_to_sync(mchid, number, at=LONG_AGO)
        return number

    @property
    def fetches(self) -> int:
        """How many calls Secrets Manager got."""
        return sum(count for (operation, _), count in self.proxy.actions.items() if operation == "GetSecretValue")


@pytest.fixture
def office(shop: Shop) -> Iterator[Office]:
    """One merchant's keys are stored."""
    faults: dict[str, ProxyAction] = {}
    with AwsProxy(shop.cloud.endpoint_url, lambda operation: faults.get(operation, "pass")) as proxy:
        twice = Config(retries={"mode": "standard", "total_max_attempts": 2})
        secrets = shop.cloud.session.client("secretsmanager", endpoint_url=proxy.url, config=twice)
        hosts: dict[str, Any] = {"base_url": shop.wechat_pay.base_url, "backup_url": shop.wechat_pay.backup_url}
        prefix = f"office-{time.monotonic_ns()}"
        clock = Clock()
        merchants = Merchants(secrets, prefix, partial(wechatpay.Client, timeout=LIMITS, **hosts), clock=clock)
        with ThreadPoolExecutor(8) as pool:
            relay = replace(shop.relay, wechat_pay=WeChatPay(merchants, call_budget=CALL_BUDGET), executor=pool)
            office = Office(replace(shop, relay=relay), proxy, prefix, clock, faults)
            office.store()
            yield office


def test_a_secret_replaced_between_two_batches_is_taken_up(office: Office) -> None:
    """The cached keys are refused once, the secret is fetched once, and the same attempt succeeds."""
    first, second = office.ready(), office.ready()
    office.shop.run(a_message(first, "m1"))
    office.shop.wechat_pay.merchant(MERCHANT).rotate_key()
    office.store()
    [result] = office.shop.run(a_message(second, "m2"))
    assert not result.failed
    assert office.shop.calls(second) == ["sync", "sync"]
    assert office.fetches == 2


def test_keys_replaced_in_the_middle_of_a_batch_cost_no_message(office: Office) -> None:
    """Half of the calls are refused before the secret has the new keys, half of them after."""
    numbers = [office.ready() for _ in EIGHT]
    early, late = numbers[:4], numbers[4:]
    office.shop.run(a_message(office.ready(), "m0"))
    office.shop.wechat_pay.merchant(MERCHANT).rotate_key()
    messages = [a_message(number, f"m{n}") for n, number in enumerate(numbers)]
    calls = office.shop.calls
    with (
        hold_answers(
            office.shop.wechat_pay, holds=lambda request: any(number in request.target for number in late)
        ) as let_go,
        ThreadPoolExecutor(1) as beside,
    ):
        batch = beside.submit(office.shop.run, *messages)
        until(lambda: all(calls(number) == ["sync"] for number in late), state="the late ones are on their way")
        until(
            lambda: all(calls(number) == ["sync", "sync"] for number in early), state="the early ones are refused twice"
        )
        office.store()
        let_go.set()
        assert all(result.failed for result in batch.result()), "they share what was fetched for the early ones"
    assert all(office.shop.item(number).status is Status.RETRYING for number in numbers), "nothing permanent"
    again = office.shop.run(*(a_message(number, f"m{number}", receive_count=2) for number in numbers))
    assert not any(result.failed for result in again)
    assert {office.shop.item(number).status for number in numbers} == {Status.SYNCED}
    assert all(office.shop.wechat_pay.order(MERCHANT, number).syncs == 1 for number in numbers)


def test_a_stampede_of_refusals_refreshes_once(office: Office) -> None:
    """Eight calls in parallel meet the same 401."""
    office.shop.run(a_message(office.ready(), "m0"))
    office.shop.wechat_pay.merchant(MERCHANT).rotate_key()
    office.store()
    numbers = [office.ready() for _ in EIGHT]
    results = office.shop.run(*(a_message(number, f"m{n}") for n, number in enumerate(numbers)))
    assert not any(result.failed for result in results)
    assert office.fetches == 2


def test_a_key_that_stays_wrong_is_tried_twice_and_waits(office: Office) -> None:
    """One refresh, one more try; then the message waits, and no order is rejected for it."""
    number = office.ready()
    office.shop.wechat_pay.merchant(MERCHANT).rotate_key()
    [result] = office.shop.run(a_message(number))
    assert (result.failed, office.shop.item(number).status) == (True, Status.RETRYING)
    assert (office.shop.item(number).reason, office.shop.calls(number)) == ("SIGN_ERROR", ["sync", "sync"])
    office.store()
    assert not office.shop.run(a_message(number, receive_count=2))[0].failed


def test_two_merchants_in_a_batch_sign_with_their_own_keys(office: Office) -> None:
    """Each merchant's calls are signed with its own keys; a failure of one does not affect the other."""
    good, bad = office.ready(), office.ready(OTHER_MERCHANT)
    office.store(OTHER_MERCHANT, private_key="nonsense")
    fine, waits = office.shop.run(a_message(good, "m1"), a_message(bad, "m2", mchid=OTHER_MERCHANT))
    assert (fine.failed, waits.failed) == (False, True)
    assert office.shop.item(bad, OTHER_MERCHANT).reason == "SECRET_UNAVAILABLE"
    assert office.shop.calls(bad) == []
    office.store(OTHER_MERCHANT)
    office.clock.now += FAILURE_MAX_AGE
    [mended] = office.shop.run(a_message(bad, "m2", receive_count=2, mchid=OTHER_MERCHANT))
    assert not mended.failed


def test_an_unknown_merchant_is_rejected_with_the_remedy(office: Office) -> None:
    """An event of a merchant without a secret is rejected without a call, and the error says what to create."""
    [result] = office.shop.run(a_message("N1", mchid="1999999999"))
    assert result.ending == RetryNow()
    assert result.order is not None
    assert result.order.reason == "UNKNOWN_MERCHANT"
    assert result.order.last_error is not None
    assert "create it" in result.order.last_error.message


def test_an_unknown_merchant_costs_one_fetch_for_a_whole_batch_and_for_all_receives(office: Office) -> None:
    """Ten events of an unknown merchant, received twelve times each, cost one fetch."""
    mchid = f"18{time.time_ns() % 10**8:08d}"
    for receive_count in range(1, 13):
        results = office.shop.run(*(a_message(f"N{n}", f"m{n}", receive_count, mchid=mchid) for n in range(10)))
        assert {result.ending for result in results} == {RetryNow()}
    assert office.fetches == 1


@pytest.mark.parametrize("fault", ["throttle", "fail", "cut before"])
def test_while_secrets_manager_is_in_trouble_nothing_is_permanent(office: Office, fault: ProxyAction) -> None:
    """While Secrets Manager fails, the message waits and the item says SECRET_UNAVAILABLE."""
    number = office.ready()
    office.faults["GetSecretValue"] = fault
    [result] = office.shop.run(a_message(number))
    assert result.problem == ""
    item = office.shop.item(number)
    assert (result.failed, item.status, item.reason) == (True, Status.RETRYING, "SECRET_UNAVAILABLE")
    assert office.shop.calls(number) == []
    office.faults.clear()
    office.clock.now += FAILURE_MAX_AGE
    assert not office.shop.run(a_message(number, receive_count=2))[0].failed


def test_keys_refused_while_secrets_manager_is_down_wait(office: Office) -> None:
    """If the fresh secret cannot be fetched, the order waits with WeChat Pay's own refusal as the last error."""
    office.shop.run(a_message(office.ready(), "m0"))
    number = office.ready()
    office.shop.wechat_pay.merchant(MERCHANT).rotate_key()
    office.faults["GetSecretValue"] = "fail"
    [result] = office.shop.run(a_message(number))
    item = office.shop.item(number)
    assert (result.failed, item.status, item.reason) == (True, Status.RETRYING, "SIGN_ERROR")
    assert item.last_error is not None
    assert item.last_error.http_status == 401


@pytest.mark.parametrize(
    ("secret", "fault"),
    [
        (b"\x00", "is binary"),
        ("nonsense", "not JSON"),
        ("[]", "not a JSON object"),
    ],
)
def test_an_unusable_secret_is_described(office: Office, secret: Any, fault: str) -> None:
    """An unusable secret is described by its fault, never by its value."""
    client = office.shop.cloud.client("secretsmanager")
    kind = {"SecretBinary": secret} if isinstance(secret, bytes) else {"SecretString": secret}
    client.create_secret(Name=f"{office.prefix}/1700000000", **kind)
    [result] = office.shop.run(a_message("N2", mchid="1700000000"))
    assert result.order is not None
    assert result.order.last_error is not None
    assert fault in result.order.last_error.message
    assert result.order.status is Status.RETRYING


def test_an_unknown_merchant_costs_one_fetch_however_often_its_event_is_received(office: Office) -> None:
    """An unknown merchant's event that is received twelve times costs two fetches at most."""
    for received in range(1, 13):
        [result] = office.shop.run(a_message("N3", mchid="1999999998", receive_count=received))
        assert result.ending == RetryNow()
    assert office.fetches <= 2


def test_ten_events_of_an_unknown_merchant_cost_one_fetch(office: Office) -> None:
    """Ten events of an unknown merchant in one batch share a fetch."""
    results = office.shop.run(*(a_message(f"N{n}", f"m{n}", mchid="1999999997") for n in range(10)))
    assert {result.ending for result in results} == {RetryNow()}
    assert office.fetches <= 2


@pytest.mark.parametrize("field", ["appid", "service_id", "endpoint", "mchid"])
@pytest.mark.parametrize("value", ["500001😀", "5\n1", "5" * 33, 500001])
def test_a_field_that_cannot_be_sent_is_named_on_the_item(office: Office, field: str, value: Any) -> None:
    """A secret with a field that cannot be sent makes the order wait, with the field's name as the last error."""
    office.store(OTHER_MERCHANT, **{field: value})
    number = office.ready(OTHER_MERCHANT)
    [result] = office.shop.run(a_message(number, mchid=OTHER_MERCHANT))
    item = office.shop.item(number, OTHER_MERCHANT)
    assert (result.problem, item.status, item.reason) == ("", Status.RETRYING, "SECRET_UNAVAILABLE")
    assert item.last_error is not None
    assert f": {field} is" in item.last_error.message or f": {field} has" in item.last_error.message
    assert str(value) not in item.last_error.message


def test_a_secret_without_a_value_yet_rejects_nothing(office: Office) -> None:
    """A secret without a value yet, as while it is being set up, makes the order wait."""
    office.shop.cloud.client("secretsmanager").create_secret(Name=f"{office.prefix}/1999999996")
    [result] = office.shop.run(a_message("N4", mchid="1999999996"))
    assert result.order is not None
    assert (result.order.status, result.order.reason) == (Status.RETRYING, "SECRET_UNAVAILABLE")
    assert result.order.last_error is not None
    assert "has no" in result.order.last_error.message
