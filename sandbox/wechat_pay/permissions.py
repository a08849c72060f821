"""Permissions, by which a user lets a merchant charge without confirming each order, and their official states.

apply → UNBINDUSER ─the user opens→ AVAILABLE ─the user closes, or the merchant terminates→ UNAVAILABLE
(docs partner 4012691489, 4012461004, 4012461012; wiki chapters 6_1_2 to 6_1_6, 6_1_10)
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from sandbox.wechat_pay import refusals, times
from sandbox.wechat_pay.notification_facts import NotificationFacts

TOKEN_SECONDS = 3600  # a token opens the user's page for an hour

State = Literal["UNBINDUSER", "AVAILABLE", "UNAVAILABLE"]
IDENTITY = ("service_id", "appid", "sub_mchid", "sub_appid", "channel_id")
"""Whose permission it is; an application under the same number names the same."""


@dataclass(frozen=True, slots=True)
class SimulatedPermission:
    """One permission; times are Unix seconds, 0 for what has not happened.

    `authorization_code` is the merchant's own number of it; one that the user has given without an application of the
    merchant (the older way) has none.
    """

    mchid: str
    service_id: str
    appid: str
    authorization_code: str = ""
    notify_url: str = ""
    sub_mchid: str = ""
    sub_appid: str = ""
    channel_id: str = ""
    token: str = ""
    token_at: float = 0.0
    state: State = "UNBINDUSER"
    openid: str = ""
    sub_openid: str = ""
    opened_at: float = 0.0
    closed_at: float = 0.0

    @property
    def name(self) -> str:
        """The name under which it is stored: the merchant and its number, or the user of one without a number."""
        return f"{self.mchid} {self.authorization_code or f'{self.service_id} {self.openid or self.sub_openid}'}"

    def as_dict(self) -> dict[str, Any]:
        """Return the permission for a view."""
        return asdict(self)


def apply(earlier: SimulatedPermission | None, application: SimulatedPermission) -> SimulatedPermission:
    """Return the permission with a new token; INVALID_REQUEST where its number already belongs to another one."""
    if earlier is None:
        return application
    if any(getattr(earlier, name) != getattr(application, name) for name in IDENTITY):
        raise refusals.OTHER_PARAMETERS
    return replace(earlier, token=application.token, token_at=application.token_at, notify_url=application.notify_url)


def open_service(
    permission: SimulatedPermission, at: float, *, openid: str = "", sub_openid: str = ""
) -> SimulatedPermission:
    """Open the service, as the user does on the page that the token leads to; ValueError with the remedy otherwise."""
    if bool(openid) == bool(sub_openid):
        raise ValueError("give either openid or sub_openid: the user that opens the service")
    if sub_openid and not permission.sub_appid:
        raise ValueError("the application had no sub_appid: give openid instead of sub_openid")
    if permission.token and at - permission.token_at > TOKEN_SECONDS:
        raise ValueError("the token is older than an hour: apply for the permission again")
    if permission.state == "AVAILABLE" and (openid, sub_openid) == (permission.openid, permission.sub_openid):
        raise ValueError("this user has the service open already")
    if permission.opened_at and (openid, sub_openid) != (permission.openid, permission.sub_openid):
        raise ValueError("this authorization_code belongs to another user: apply under another one")
    return replace(permission, state="AVAILABLE", openid=openid, sub_openid=sub_openid, opened_at=at)


def close_service(permission: SimulatedPermission, at: float) -> SimulatedPermission:
    """Close the service, as the user or the merchant does; the official refusal where it is not open."""
    if permission.state == "UNBINDUSER":
        raise refusals.INVALID_STATE
    if permission.state == "UNAVAILABLE":
        raise refusals.CANCELED
    return replace(permission, state="UNAVAILABLE", closed_at=at)


_ANSWER = ("service_id", "appid", "mchid", "openid", "sub_openid", "authorization_code")
_OF_THE_SHOP = ("notify_url", "sub_mchid", "sub_appid", "channel_id")


def answer(permission: SimulatedPermission) -> dict[str, Any]:
    """Return what a query answers: every documented field that the permission has by now."""
    fields: dict[str, Any] = {name: getattr(permission, name) for name in _ANSWER}
    fields["authorization_state"] = permission.state
    fields |= {name: getattr(permission, name) for name in _OF_THE_SHOP}
    moments = {"authorization_success_time": permission.opened_at, "cancel_authorization_time": permission.closed_at}
    fields |= {name: times.rfc_3339(times.digits(at)) for name, at in moments.items() if at}
    return {name: value for name, value in fields.items() if value}


def answer_without_permission(mchid: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a query by openid answers about a user that has never opened the service."""
    names = ("service_id", "appid", "openid", "sub_mchid", "sub_appid", "sub_openid")
    fields = {name: parameters[name] for name in names if parameters.get(name)}
    return {**fields, "mchid": mchid, "authorization_state": "UNAVAILABLE"}


_NOTIFICATION = ("appid", "mchid", "sub_appid", "sub_mchid", "channel_id", "service_id", "openid", "sub_openid")


def notification_facts(permission: SimulatedPermission) -> NotificationFacts:
    """Return what WeChat Pay tells the merchant after the service was opened or closed (wiki chapter 6_1_10)."""
    is_open = permission.state == "AVAILABLE"
    status = "USER_OPEN_SERVICE" if is_open else "USER_CLOSE_SERVICE"
    fields = {name: value for name in _NOTIFICATION if (value := getattr(permission, name))}
    fields |= {"user_service_status": status, "authorization_code": permission.authorization_code}
    fields["openorclose_time"] = times.digits(permission.opened_at if is_open else permission.closed_at)
    resource = {name: value for name, value in fields.items() if value}
    summary = "签约成功" if is_open else "解约成功"
    return NotificationFacts(f"PAYSCORE.{status}", summary, "payscore", resource, permission.notify_url)
