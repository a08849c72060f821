"""What is sent to a client: a true notification of the simulator, three forgeries, and one that was recorded before."""

from collections.abc import Mapping

from sandbox.wechat_pay import Simulator
from sandbox.wechat_pay.draft import Signing

TRUE = "notification"
FORGERIES = ("forged body", "forged signature", "forged serial")
REPLAY = "replay after 10 min"
RECORDED_BEFORE = -600.0  # seconds; a notification is valid for five minutes

type Notification = tuple[Mapping[str, str], str]


def notifications(wechat_pay: Simulator, mchid: str, number: str, serial: str) -> dict[str, Notification]:
    """Return the notifications about an order by name; `serial` names the key that signs the true one."""
    headers, body = wechat_pay.notification(mchid, number, serial=serial)
    other_body = body.replace(b"PAYSCORE.USER_PAID", b"PAYSCORE.USER_OPEN", 1)
    signings = {
        "forged signature": Signing(serial=serial, key="0" * 40),  # an attacker's key under WeChat Pay's serial
        "forged serial": Signing(serial="0" * 40),  # an attacker's key under a serial of its own
        REPLAY: Signing(serial=serial, shift=RECORDED_BEFORE),
    }
    signed = {name: signing.headers(wechat_pay.platform, body, _now(headers)) for name, signing in signings.items()}
    notifications = {TRUE: (headers, body), "forged body": (headers, other_body)}
    notifications |= {name: (forged, body) for name, forged in signed.items()}
    return {name: (forged, content.decode()) for name, (forged, content) in notifications.items()}


def _now(headers: Mapping[str, str]) -> float:
    return float(headers["Wechatpay-Timestamp"])
