"""A permission's life in the three families that have one: apply, the user opens, query, terminate."""

from pathlib import Path
from typing import Any

import pytest

from sandbox.wechat_pay import permissions
from sandbox.wechat_pay.permissions import SimulatedPermission
from sandbox.wechat_pay.refusals import SimulatedRefusal
from sandbox.wechat_pay.registers import Permissions
from tests.sandbox.asking import APPID, CHANNEL_ID, OPENID, OTHER_OPENID, SERVICE_ID, SUB_APPID, SUB_MCHID, Asking

FAMILIES: dict[str, tuple[str, dict[str, str]]] = {
    "direct": ("/v3/payscore/permissions", {}),
    "partner": ("/v3/payscore/partner/permissions", {"sub_mchid": SUB_MCHID}),
    "acquiringbank": (
        "/v3/payscore/acquiringbank/permissions",
        {"sub_mchid": SUB_MCHID, "channel_id": CHANNEL_ID},
    ),
}
APPLICATION = {"service_id": SERVICE_ID, "appid": APPID, "authorization_code": "CODE-1"}
NOTIFY = {"notify_url": "https://shop.example.com/permissions"}


@pytest.fixture
def asking(key_ring: Path) -> Asking:
    """The merchant."""
    return Asking.alone(key_ring)


def applied(asking: Asking, family: str = "direct", **more: str) -> str:
    """Apply for CODE-1, and return where its permission is."""
    base, names = FAMILIES[family]
    assert asking.post(base, {**APPLICATION, **names, **NOTIFY, **more}).status == 200
    return f"{base}/authorization-code/CODE-1"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_permission_passes_its_three_states(asking: Asking, family: str) -> None:
    """A permission is UNBINDUSER, AVAILABLE after the user has opened it, UNAVAILABLE after its termination by 204."""
    at, names = applied(asking, family), FAMILIES[family][1]
    before = asking.get(at, service_id=SERVICE_ID, **names).body
    assert before == {**APPLICATION, **names, **NOTIFY, "mchid": asking.mchid, "authorization_state": "UNBINDUSER"}
    asking.service.open_service(asking.mchid, "CODE-1", openid=OPENID)
    opened = asking.get(at, service_id=SERVICE_ID, **names).body
    assert (opened["authorization_state"], opened["openid"]) == ("AVAILABLE", OPENID)
    assert opened["authorization_success_time"] == "2026-01-01T12:00:00+08:00"
    asking.clock.now += 60
    end = asking.post(f"{at}/terminate", {"service_id": SERVICE_ID, "reason": "撤销原因", **names})
    assert (end.status, end.reply.body) == (204, b"")
    closed = asking.get(at, service_id=SERVICE_ID, **names).body
    assert closed["authorization_state"] == "UNAVAILABLE"
    assert closed["cancel_authorization_time"] == "2026-01-01T12:01:00+08:00"


def test_a_user_is_found_by_openid(asking: Asking) -> None:
    """By openid a merchant finds and terminates the permission; a user without one has it UNAVAILABLE."""
    applied(asking)
    at, names = f"/v3/payscore/permissions/openid/{OPENID}", {"service_id": SERVICE_ID, "appid": APPID}
    before = asking.get(at, **names)
    assert (before.status, before.body) == (
        200,
        {**names, "openid": OPENID, "mchid": asking.mchid, "authorization_state": "UNAVAILABLE"},
    )
    asking.service.open_service(asking.mchid, "CODE-1", openid=OPENID)
    assert asking.get(at, **names).body["authorization_code"] == "CODE-1"
    assert asking.post(f"{at}/terminate", {**names, "reason": "撤销原因"}).status == 204
    assert asking.get(at, **names).body["authorization_state"] == "UNAVAILABLE"


def test_a_service_provider_searches_by_either_openid(asking: Asking) -> None:
    """A service provider searches and terminates by openid or by sub_openid with sub_appid, as parameters."""
    applied(asking, "partner", sub_appid=SUB_APPID)
    asking.service.open_service(asking.mchid, "CODE-1", sub_openid="sub-user")
    base = FAMILIES["partner"][0]
    names = {"service_id": SERVICE_ID, "appid": APPID, "sub_mchid": SUB_MCHID}
    user = {"sub_appid": SUB_APPID, "sub_openid": "sub-user"}
    body = asking.get(f"{base}/search", **names, **user).body
    assert (body["authorization_state"], body["sub_openid"], body.get("openid")) == ("AVAILABLE", "sub-user", None)
    assert asking.post(f"{base}/terminate", {**names, **user, "reason": "撤销原因"}).status == 204
    assert asking.get(f"{base}/search", **names, **user).body["authorization_state"] == "UNAVAILABLE"


def test_the_older_way_needs_no_application(asking: Asking) -> None:
    """A user can open a service without an application; its state is asked by user-service-state and ended likewise."""
    names = {"service_id": SERVICE_ID, "appid": APPID, "openid": OPENID}
    at = "/v3/payscore/user-service-state"
    assert asking.get(at, **names).body == {**names, "use_service_state": "UNAVAILABLE"}
    asking.service.open_service(asking.mchid, openid=OPENID)
    assert asking.get(at, **names).body == {**names, "use_service_state": "AVAILABLE"}
    end = f"/v3/payscore/users/{OPENID}/permissions/{SERVICE_ID}/terminate"
    assert asking.post(end, {"appid": APPID, "reason": "撤销原因"}).status == 204
    assert asking.get(at, **names).body["use_service_state"] == "UNAVAILABLE"
    asking.service.open_service(asking.mchid, openid=OPENID)
    assert asking.get(at, **names).body["use_service_state"] == "AVAILABLE"


def test_a_permission_is_ended_once(asking: Asking) -> None:
    """A permission that no user has opened, that has ended, or that does not exist cannot be terminated."""
    at, reason = applied(asking), {"service_id": SERVICE_ID, "reason": "撤销原因"}
    assert asking.post(f"{at}/terminate", reason).refusal == (400, "INVALID_ORDER_STATE")
    asking.service.open_service(asking.mchid, "CODE-1", openid=OPENID)
    assert asking.post(f"{at}/terminate", reason).status == 204
    assert asking.post(f"{at}/terminate", reason).refusal == (400, "ORDER_CANCELED")
    assert asking.post(f"{at}2/terminate", reason).refusal == (404, "ORDER_NOT_EXIST")
    assert asking.get(f"{at}2", service_id=SERVICE_ID).refusal == (404, "ORDER_NOT_EXIST")
    other = f"/v3/payscore/permissions/openid/{OTHER_OPENID}/terminate"
    assert asking.post(other, {**reason, "appid": APPID}).refusal == (404, "ORDER_NOT_EXIST")


def test_a_number_belongs_to_one_application(asking: Asking) -> None:
    """The same application gets a token again; another one under its number is refused, as is a foreign service."""
    at = applied(asking)
    assert asking.post(FAMILIES["direct"][0], {**APPLICATION, **NOTIFY}).body["apply_permissions_token"]
    other = {**APPLICATION, "service_id": "500002"}
    assert asking.post(FAMILIES["direct"][0], other).refusal == (400, "INVALID_REQUEST")
    assert asking.get(at, service_id="500002").refusal == (403, "NO_AUTH")


USER_ERRORS: list[tuple[dict[str, str], str]] = [
    ({}, "either openid or sub_openid"),
    ({"openid": OPENID, "sub_openid": "x"}, "either openid or sub_openid"),
    ({"sub_openid": "x"}, "give openid instead"),
]


@pytest.mark.parametrize(("user", "remedy"), USER_ERRORS)
def test_a_user_is_named_in_one_way(asking: Asking, user: dict[str, str], remedy: str) -> None:
    """The command that opens a service says how the user is to be named."""
    applied(asking)
    with pytest.raises(ValueError, match=remedy):
        asking.service.open_service(asking.mchid, "CODE-1", **user)


def test_a_token_is_valid_for_an_hour(asking: Asking) -> None:
    """A user cannot open a service by a token older than an hour; a new application gives a new token."""
    applied(asking)
    asking.clock.now += 3601
    with pytest.raises(ValueError, match="apply for the permission again"):
        asking.service.open_service(asking.mchid, "CODE-1", openid=OPENID)
    applied(asking)
    assert asking.service.open_service(asking.mchid, "CODE-1", openid=OPENID).state == "AVAILABLE"


def test_a_number_belongs_to_one_user(asking: Asking) -> None:
    """The user that has opened a service can open it again after its end; another one needs another number."""
    applied(asking)
    asking.service.open_service(asking.mchid, "CODE-1", openid=OPENID)
    with pytest.raises(ValueError, match="open already"):
        asking.service.open_service(asking.mchid, "CODE-1", openid=OPENID)
    with pytest.raises(ValueError, match="apply under another one"):
        asking.service.open_service(asking.mchid, "CODE-1", openid=OTHER_OPENID)
    asking.service.close_service(asking.mchid, openid=OPENID)
    assert asking.service.open_service(asking.mchid, "CODE-1", openid=OPENID).state == "AVAILABLE"
    asking.service.close_service(asking.mchid, "CODE-1")
    with pytest.raises(SimulatedRefusal, match="ORDER_CANCELED"):
        asking.service.close_service(asking.mchid, "CODE-1")


def test_a_command_about_no_permission_says_the_remedy(asking: Asking) -> None:
    """A command about a permission that does not exist says what to do first."""
    with pytest.raises(LookupError, match="POST a permission first"):
        asking.service.open_service(asking.mchid, "CODE-9", openid=OPENID)
    with pytest.raises(LookupError, match="give the authorization_code or openid"):
        asking.service.close_service(asking.mchid, "CODE-9")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_merchant_is_told_of_both_ends(asking: Asking, family: str) -> None:
    """The facts of both notifications: event type, the documented fields, and the address of the application."""
    applied(asking, family)
    opened = asking.service.open_service(asking.mchid, "CODE-1", openid=OPENID)
    facts = permissions.notification_facts(opened)
    assert (facts.event_type, facts.original_type, facts.notify_url) == (
        "PAYSCORE.USER_OPEN_SERVICE",
        "payscore",
        NOTIFY["notify_url"],
    )
    assert facts.resource == {
        **APPLICATION,
        **FAMILIES[family][1],
        "mchid": asking.mchid,
        "openid": OPENID,
        "user_service_status": "USER_OPEN_SERVICE",
        "openorclose_time": "20260101120000",
    }
    closed = permissions.notification_facts(asking.service.close_service(asking.mchid, "CODE-1"))
    assert closed.event_type == "PAYSCORE.USER_CLOSE_SERVICE"
    assert closed.resource["user_service_status"] == "USER_CLOSE_SERVICE"


def test_permissions_survive_in_their_records(asking: Asking) -> None:
    """A register that is filled with the records of another one answers as that one."""
    records: dict[str, Any] = {}
    register = Permissions(lambda kind, name, record: records.update({f"{kind} {name}": record}))
    register.store(SimulatedPermission(asking.mchid, SERVICE_ID, APPID, "CODE-1"))
    opened = permissions.open_service(register.all()[0], 1.0, openid=OPENID)
    register.store(opened)
    restored = Permissions()
    restored.restore(records.values())
    assert (restored.all(), list(records)) == ([opened], [f"permission {asking.mchid} CODE-1"])
