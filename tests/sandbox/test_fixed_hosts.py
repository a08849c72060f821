"""Our own library, unmodified and with WeChat Pay's own hosts, through the proxy: two variables and a file of keys."""

from pathlib import Path

import pytest

import wechatpay
from sandbox.wechat_pay import Simulator, credentials
from tests.sandbox.signed import LONG_AGO, MCHID, WHO

PAID = {"paid_time": "20260101120000"}
SYNC = {**WHO, "type": "Order_Paid", "detail": PAID}


@pytest.fixture
def folder(wechat_pay: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The merchant's files, with the environment that a user sets."""
    credentials.write(tmp_path, wechat_pay.credentials(MCHID, "both"))
    for name in ("NO_PROXY", "no_proxy", "https_proxy", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", wechat_pay.proxy_url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "proxy_ca.pem"))
    wechat_pay.ready_to_sync(MCHID, "S1", at=LONG_AGO)
    return tmp_path


def client_of(wechat_pay: Simulator, folder: Path, **options: object) -> wechatpay.Client:
    """A client with the keys of the folder and nothing else."""
    key = {(folder / "pub_key_id.txt").read_text().strip(): (folder / "pub_key.pem").read_text()}
    arguments = {
        "mchid": MCHID,
        "serial_no": wechat_pay.merchant(MCHID).serial_no,
        "private_key": (folder / "apiclient_key.pem").read_text(),
        "platform_keys": key,
        "apiv3_key": (folder / "apiv3_key.txt").read_text(),
        **options,
    }
    return wechatpay.Client(**arguments)  # type: ignore[arg-type]


def hosts(wechat_pay: Simulator) -> list[str]:
    """The simulated hosts that were called."""
    return [call.host for call in wechat_pay.calls]


def test_sync_query_echo_and_notification(wechat_pay: Simulator, folder: Path) -> None:
    """Sync, query, echo and a notification work at the main host, with the public key."""
    client = client_of(wechat_pay, folder)
    orders = client.v3.payscore.serviceorder
    assert orders.get(params={**WHO, "out_order_no": "S1"}).json()["state"] == "DOING"
    assert orders._out_order_no_.sync.post(out_order_no="S1", json=SYNC).json()["state"] == "DONE"
    assert client.security.echo("你好").json() == {"echo_message": "你好"}
    headers, body = wechat_pay.notification(MCHID, "S1")
    assert client.notification(headers, body).resource["out_order_no"] == "S1"
    assert hosts(wechat_pay) == ["main"] * 3


def test_certificates_are_downloaded(wechat_pay: Simulator, folder: Path) -> None:
    """Without a key the client downloads the platform certificates first, through the proxy too."""
    client = client_of(wechat_pay, folder, platform_keys={})
    assert client.v3.payscore.serviceorder.get(params={**WHO, "out_order_no": "S1"}).json()["state"] == "DOING"
    assert [call.operation for call in wechat_pay.calls] == ["certificates", "query"]
    [name] = [path.name for path in folder.glob("wechatpay_*.pem")]
    assert name == f"wechatpay_{next(iter(client.platform_keys))}.pem"


def test_the_backup_host_takes_over(wechat_pay: Simulator, folder: Path) -> None:
    """While the main host refuses connections, a call goes to api2 at once; afterwards, both work again."""
    wechat_pay.misbehave("connection_refused", host="main")
    client = client_of(wechat_pay, folder)
    assert client.v3.payscore.serviceorder.get(params={**WHO, "out_order_no": "S1"}).status == 200
    assert client.backup.security.echo().status == 200
    assert hosts(wechat_pay) == ["backup", "backup"]
    wechat_pay.behave()
    assert client_of(wechat_pay, folder).security.echo().status == 200
    assert hosts(wechat_pay)[2:] == ["main"]


def test_an_outage_of_both_hosts_is_known_to_have_sent_nothing(wechat_pay: Simulator, folder: Path) -> None:
    """While both hosts refuse connections, the library knows that nothing was sent, and names the fault."""
    wechat_pay.misbehave("connection_refused")
    with pytest.raises(wechatpay.UnansweredError, match="refuses connections by a fault of the sandbox") as caught:
        client_of(wechat_pay, folder).security.echo()
    assert not caught.value.sent
    assert hosts(wechat_pay) == []


def test_the_overseas_host_is_hong_kongs(wechat_pay: Simulator, folder: Path) -> None:
    """The overseas view of the client calls apihk."""
    client = client_of(wechat_pay, folder)
    assert client.oversea.security.echo().status == 200
    assert hosts(wechat_pay) == ["overseas"]


def test_another_host_is_refused_before_anything_leaves(wechat_pay: Simulator, folder: Path) -> None:
    """A call of another host ends at the proxy, with its line as the reason."""
    with pytest.raises(wechatpay.UnansweredError, match="403 Forbidden: this proxy serves") as caught:
        client_of(wechat_pay, folder, base_url="https://example.com").security.echo()
    assert not caught.value.sent
