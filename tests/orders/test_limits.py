"""The limits of what an event can make the function do: one path, one host, one secret, one order."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import requests
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import wechatpay
from orders.envelope import BODY_LIMIT
from orders.errors import SettingsError
from orders.event import Message
from orders.order import Status
from orders.results import RetryNow
from orders.settings import Settings
from sandbox.testbed import MERCHANT
from sandbox.wechat_pay import Simulator
from wechatpay import connections

from .conftest import PAID_TIME, Shop, a_message

BASES = (
    "/v3/payscore/serviceorder",
    "/v3/payscore/partner/serviceorder",
    "/v3/payscore/acquiringbank/serviceorder",
    "/v3/payscore/payafter-orders",
    "/v3/payscore/oversea/partner/serviceorder",
)
_WILD = st.text(max_size=32) | st.sampled_from(
    [
        "../../secret",
        "..",
        ".",
        "a/b",
        "http://127.0.0.1/",
        "//evil",
        "@evil.example",
        "%2e%2e%2f",
        "a?b=c",
        "a#b",
        "a&out_order_no=b",
        "\r\nHost: evil",
        "|*|",
    ]
)
_DIGITS_OF_OTHERS = ["１２３", "١٢٣", "²", "1230000109\n", "1230000109/x", "../1230000109", "*"]
_NUMBERS = st.from_regex(r"[0-9A-Za-z_\-|*]{1,32}", fullmatch=True)
_SHORT = st.from_regex(r"[0-9a-z]{1,8}", fullmatch=True)
_FIELDS = st.fixed_dictionaries(
    {
        "mchid": st.just(MERCHANT) | st.from_regex(r"[0-9]{1,32}", fullmatch=True) | st.sampled_from(_DIGITS_OF_OTHERS),
        "out_order_no": _NUMBERS | _WILD,
    },
    optional={
        "endpoint": st.sampled_from(["direct", "partner", "acquiringbank", "payafter", "oversea"]) | _WILD,
        **dict.fromkeys(("appid", "service_id", "sub_mchid", "channel_id", "event_id"), _SHORT | _WILD),
    },
)
_HOSTILE = {"mchid": MERCHANT, "sub_mchid": "a&out_order_no=b#c", "service_id": "../..?x=y"}


@dataclass
class Traffic:
    """The URLs of the calls that were sent, and the names of the secrets that were fetched."""

    urls: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)

    def note_secret(self, params: dict[str, Any], **_: object) -> None:
        """Record the name of a secret; boto3 calls this before it sends."""
        self.secrets.append(params["SecretId"])


@pytest.fixture
def traffic(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traffic]:
    """Calls are recorded where they are sent: one to an unknown host would never reach the simulator."""
    traffic = Traffic()
    send = requests.adapters.HTTPAdapter.send

    def record_and_send(self: Any, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        if isinstance(self, connections._Adapter):  # what a thread of another test sends is no call to WeChat Pay
            traffic.urls.append(str(request.url))
        return send(self, request, *args, **options)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", record_and_send)  # records our adapters alone
    events = shop.cloud.client("secretsmanager").meta.events
    events.register("provide-client-params.secretsmanager.GetSecretValue", traffic.note_secret)
    yield traffic
    events.unregister("provide-client-params.secretsmanager.GetSecretValue", traffic.note_secret)


def test_an_event_reaches_no_other_host_path_or_secret(shop: Shop, traffic: Traffic) -> None:
    """Whatever an event holds, calls go to an order's own path on the two hosts, and secrets are named by digits."""
    hosts = {shop.wechat_pay.base_url, shop.wechat_pay.backup_url}
    numbers = count()

    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(_FIELDS, st.sampled_from([1, 2]))
    @example({**_HOSTILE, "out_order_no": "|*|"}, 1)
    @example({**_HOSTILE, "out_order_no": "*-_1", "endpoint": "direct"}, 2)
    @example({**_HOSTILE, "out_order_no": "*-_2", "endpoint": "partner"}, 2)
    @example({**_HOSTILE, "out_order_no": "*-_3", "endpoint": "acquiringbank", "channel_id": "../..?x=y"}, 2)
    @example({**_HOSTILE, "out_order_no": "*-_4", "endpoint": "payafter"}, 2)
    @example({**_HOSTILE, "out_order_no": "*-_5", "endpoint": "oversea"}, 2)
    @example({**_HOSTILE, "out_order_no": "*-_6", "mchid": "9" * 32}, 1)
    def tell(fields: dict[str, Any], receive_count: int) -> None:
        calls, secrets = len(traffic.urls), len(traffic.secrets)
        body = json.dumps({**fields, "detail": {"paid_time": PAID_TIME}})
        shop.run(Message(f"m{next(numbers)}", body, receive_count))
        for url in traffic.urls[calls:]:
            assert _only_about(url, fields["out_order_no"], hosts), url
        for name in traffic.secrets[secrets:]:
            assert re.fullmatch(rf"shop-[0-9]+/{fields['mchid']}", name)
            assert re.fullmatch(r"[0-9]{1,32}", fields["mchid"])

    tell()
    assert {urlsplit(url).path for url in traffic.urls} >= {*BASES, f"{BASES[0]}/%7C*%7C/sync"}
    assert {name.rpartition("/")[2] for name in traffic.secrets} >= {MERCHANT, "9" * 32}


def _only_about(url: str, number: str, hosts: set[str]) -> bool:
    """Whether a call is a query or a sync of this order, at one of the official paths."""
    there = urlsplit(url)
    if f"{there.scheme}://{there.netloc}" not in hosts or there.fragment:
        return False
    if there.path in BASES:
        numbers = [
            unquote(pair.partition("=")[2]) for pair in there.query.split("&") if pair.startswith("out_order_no=")
        ]
        return numbers == [number]
    base, escaped, operation = there.path.rsplit("/", 2)
    return (base in BASES, unquote(escaped), operation, there.query) == (True, number, "sync", "")


TRICKS = (
    "http://api.mch.weixin.qq.com",
    "http://127.0.0.1:1@evil.example",
    "http://localhost:1@evil.example:80",
    "http://127.0.0.1.evil.example",
    "HTTP://evil.example",
    "ftp://127.0.0.1:1",
    "//evil.example",
    "https://",
    "https://api.mch.weixin.qq.com@evil.example",
    "https://api.mch.weixin.qq.com/v3",
    "https://api.mch.weixin.qq.com?x",
    "https://api.mch.weixin.qq.com#x",
)


@pytest.mark.parametrize("name", ["WECHATPAY_BASE_URL", "WECHATPAY_BACKUP_URL"])
@pytest.mark.parametrize("url", TRICKS)
def test_nothing_is_sent_to_a_host_in_disguise(wechat_pay: Simulator, name: str, url: str) -> None:
    """A disguised host is refused by the settings, or by the client before its first call."""
    needed = {"ORDERS_TABLE": "orders", "ORDER_QUEUE_URL": "queue", "MERCHANT_SECRET_PREFIX": "wechatpay"}
    merchant = wechat_pay.merchant(MERCHANT).secret()
    keys: dict[str, Any] = {key: merchant[key] for key in ("mchid", "serial_no", "private_key", "platform_keys")}

    def begin() -> None:
        read = Settings.from_env({**needed, name: url})
        wechatpay.Client(**keys, base_url=read.wechatpay_base_url, backup_url=read.wechatpay_backup_url)

    with pytest.raises((SettingsError, ValueError), match=r"must be|must have no path"):
        begin()


@pytest.mark.parametrize("fault", ["huge_body", "redirect", "gateway_error"])
def test_an_oversized_answer_costs_one_order(shop: Shop, fault: str) -> None:
    """After an oversized answer, a redirect or a page of HTML, that order waits and its neighbour is settled."""
    bad, fine = shop.order_no(), shop.order_no()
    shop.wechat_pay.misbehave(fault, out_order_no=bad)
    waits, done = shop.run(a_message(bad, "m1"), a_message(fine, "m2"))
    assert (waits.failed, done.failed) == (True, False)
    assert shop.item(bad).status is Status.RETRYING
    assert shop.item(fine).status is Status.SYNCED


@pytest.mark.parametrize("depth", [40, 200, 300, 400, 600, 900, 2_000, 100_000])
def test_an_answer_nested_too_deeply_costs_one_order(shop: Shop, depth: int) -> None:
    """An answer too deep for DynamoDB (32 levels) is left out of the item; one too deep for JSON is retried."""
    bad, fine = shop.order_no(), shop.order_no()
    shop.wechat_pay.misbehave("nested_answer", depth=depth, out_order_no=bad)
    waits, done = shop.run(a_message(bad, "m1"), a_message(fine, "m2"))
    readable = depth < 100  # what is nested deeper is no JSON to the library
    assert (waits.failed, done.failed) == (not readable, False)
    if readable:
        assert shop.facts(bad).omitted.startswith("wechat: ")
    shop.wechat_pay.behave()
    [result] = shop.run(a_message(bad, "m1", receive_count=2))
    assert not result.failed
    assert shop.item(bad).status is Status.SYNCED


@pytest.mark.parametrize(
    "body",
    [
        "[" * 65_000,
        '{"a":' * 13_000,
        "9" * 60_000,
        '{"mchid":"' + "1" * 70_000 + '"}',
        json.dumps({"mchid": MERCHANT, "out_order_no": "LONG", "detail": {"paid_time": PAID_TIME}}).ljust(
            BODY_LIMIT + 1
        ),
    ],
    ids=["nested lists", "nested objects", "a long number", "a long field", "one byte too many"],
)
def test_an_oversized_body_costs_one_message(shop: Shop, traffic: Traffic, body: str) -> None:
    """A nested, long or wide body goes to the dead letters before any call."""
    [refused] = shop.run(Message("m1", body))
    assert (refused.ending, refused.event) == (RetryNow(), None)
    assert (traffic.urls, traffic.secrets) == ([], [])


def test_a_refused_body_leaves_its_neighbour_alone(shop: Shop) -> None:
    """A refused body and a good message in one batch: the good one is settled."""
    fine = shop.order_no()
    refused, done = shop.run(Message("m1", "[" * 100_000), a_message(fine, "m2"))
    assert (refused.ending, done.failed) == (RetryNow(), False)
