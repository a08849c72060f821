"""Rows about permissions, of three families and of the older way."""

from collections.abc import Mapping
from typing import Any

from sandbox.wechat_pay import permissions
from tests.sandbox.asking import APPID, CHANNEL_ID, OPENID, SERVICE_ID, SUB_APPID, SUB_MCHID, Answer, Asking
from tests.sandbox.conformance.entering import enter
from tests.sandbox.conformance.families import PARAM_ERROR
from tests.sandbox.conformance.row import Section

SECTION = Section("Permissions", "permission", Asking.alone)
SECTIONS = (SECTION,)
BASES = {
    "direct": "/v3/payscore/permissions",
    "partner": "/v3/payscore/partner/permissions",
    "acquiringbank": "/v3/payscore/acquiringbank/permissions",
}
NAMES: Mapping[str, Mapping[str, str]] = {
    "direct": {},
    "partner": {"sub_mchid": SUB_MCHID},
    "acquiringbank": {"sub_mchid": SUB_MCHID, "channel_id": CHANNEL_ID},
}
_APPLY = {"direct": "wiki chapter6_1_2", "partner": "wiki chapter6_2_18", "acquiringbank": "partner/4012691489"}
_QUERY = {"direct": "wiki chapter6_1_3", "partner": "wiki chapter6_2_19", "acquiringbank": "partner/4012461004"}
_TERMINATE = {"direct": "wiki chapter6_1_4", "partner": "wiki chapter6_2_20", "acquiringbank": "partner/4012461012"}
_NOTIFICATION = "wiki chapter6_1_10"


def apply(asking: Asking, family: str, **changes: Any) -> Answer:
    """Apply for the permission C1."""
    body = {"service_id": SERVICE_ID, "appid": APPID, "authorization_code": "C1", **NAMES[family], **changes}
    return asking.post(BASES[family], {name: value for name, value in body.items() if value is not None})


def of_code(asking: Asking, family: str) -> dict[str, Any]:
    """The permission C1."""
    return asking.get(f"{BASES[family]}/authorization-code/C1", service_id=SERVICE_ID, **NAMES[family]).body


for _family in BASES:

    @enter(SECTION, f"{_family}-apply", _APPLY[_family], "an application is answered with a token of an hour")
    def _(asking: Asking, family: str = _family) -> None:
        answer = apply(asking, family)
        assert answer.body.keys() == {"apply_permissions_token"}
        assert len(answer.body["apply_permissions_token"]) <= 300

    @enter(SECTION, f"{_family}-required", _APPLY[_family], "service, appid and number are sent, and whose shop it is")
    def _(asking: Asking, family: str = _family) -> None:
        for name in ("service_id", "appid", "authorization_code", *NAMES[family]):
            answer = apply(asking, family, **{name: None})
            assert (answer.refusal, answer.field) == (PARAM_ERROR, f"/{name}")
        assert apply(asking, family, authorization_code="a b").field == "/authorization_code"
        assert apply(asking, family, authorization_code="a" * 33).field == "/authorization_code"

    @enter(SECTION, f"{_family}-states", _QUERY[_family], "UNBINDUSER, AVAILABLE, UNAVAILABLE, with both times")
    def _(asking: Asking, family: str = _family) -> None:
        apply(asking, family)
        assert of_code(asking, family)["authorization_state"] == "UNBINDUSER"
        asking.service.open_service(asking.mchid, "C1", openid=OPENID)
        opened = of_code(asking, family)
        assert (opened["authorization_state"], opened["openid"]) == ("AVAILABLE", OPENID)
        asking.service.close_service(asking.mchid, "C1")
        closed = of_code(asking, family)
        assert closed["authorization_state"] == "UNAVAILABLE"
        assert {"authorization_success_time", "cancel_authorization_time"} <= closed.keys()

    @enter(SECTION, f"{_family}-terminate", _TERMINATE[_family], "a merchant terminates with a reason of 50: 204")
    def _(asking: Asking, family: str = _family) -> None:
        apply(asking, family)
        asking.service.open_service(asking.mchid, "C1", openid=OPENID)
        at, names = f"{BASES[family]}/authorization-code/C1/terminate", {"service_id": SERVICE_ID, **NAMES[family]}
        assert asking.post(at, names).field == "/reason"
        assert asking.post(at, {**names, "reason": "因" * 51}).field == "/reason"
        answer = asking.post(at, {**names, "reason": "因" * 50})
        assert (answer.status, answer.reply.body) == (204, b"")

    @enter(
        SECTION,
        f"{_family}-terminate-again",
        _TERMINATE[_family],
        "the table of errors has ORDER_CANCELED: nothing to do; when it is answered is not said",
        does="ORDER_CANCELED for one that has ended, INVALID_ORDER_STATE for one that no user has opened",
    )
    def _(asking: Asking, family: str = _family) -> None:
        apply(asking, family)
        body = {"service_id": SERVICE_ID, **NAMES[family], "reason": "撤销原因"}
        at = f"{BASES[family]}/authorization-code/C1/terminate"
        assert asking.post(at, body).refusal == (400, "INVALID_ORDER_STATE")
        asking.service.open_service(asking.mchid, "C1", openid=OPENID)
        assert [asking.post(at, body).status for _ in range(2)] == [204, 400]

    @enter(SECTION, f"{_family}-unique", _APPLY[_family], "a number belongs to one application and one user")
    def _(asking: Asking, family: str = _family) -> None:
        apply(asking, family)
        assert apply(asking, family).status == 200
        assert apply(asking, family, service_id="500002").refusal == (400, "INVALID_REQUEST")

    @enter(SECTION, f"{_family}-notifications", _NOTIFICATION, "USER_OPEN_SERVICE and USER_CLOSE_SERVICE, with fields")
    def _(asking: Asking, family: str = _family) -> None:
        apply(asking, family, notify_url="https://shop.example.com/permissions")
        opened = permissions.notification_facts(asking.service.open_service(asking.mchid, "C1", openid=OPENID))
        closed = permissions.notification_facts(asking.service.close_service(asking.mchid, "C1"))
        assert [opened.event_type, closed.event_type] == [
            "PAYSCORE.USER_OPEN_SERVICE",
            "PAYSCORE.USER_CLOSE_SERVICE",
        ]
        names = {"appid", "mchid", "service_id", "openid", "user_service_status", "openorclose_time"}
        assert opened.resource.keys() == names | {"authorization_code"} | NAMES[family].keys()


@enter(SECTION, "direct-of-user", "wiki chapter6_1_5", "by openid, service and appid; a user without one: UNAVAILABLE")
def _(asking: Asking) -> None:
    at, names = f"{BASES['direct']}/openid/{OPENID}", {"service_id": SERVICE_ID, "appid": APPID}
    for name in names:
        assert asking.get(at, **{key: names[key] for key in names if key != name}).field == name
    assert asking.get(at, **names).body["authorization_state"] == "UNAVAILABLE"
    apply(asking, "direct")
    asking.service.open_service(asking.mchid, "C1", openid=OPENID)
    assert asking.get(at, **names).body["authorization_code"] == "C1"


@enter(SECTION, "direct-of-user-terminate", "wiki chapter6_1_6", "by openid, with appid and a reason: 204")
def _(asking: Asking) -> None:
    apply(asking, "direct")
    asking.service.open_service(asking.mchid, "C1", openid=OPENID)
    at, names = f"{BASES['direct']}/openid/{OPENID}/terminate", {"service_id": SERVICE_ID, "appid": APPID}
    assert asking.post(at, names).field == "/reason"
    assert asking.post(at, {**names, "reason": "撤销原因"}).status == 204


@enter(
    SECTION, "partner-search", "wiki chapter6_2_21", "by openid or by sub_openid, which needs sub_appid; not by both"
)
def _(asking: Asking) -> None:
    at = f"{BASES['partner']}/search"
    names = {"service_id": SERVICE_ID, "appid": APPID, "sub_mchid": SUB_MCHID}
    assert asking.get(at, **names).refusal == PARAM_ERROR
    assert asking.get(at, **names, openid=OPENID, sub_openid="u", sub_appid=SUB_APPID).refusal == PARAM_ERROR
    assert asking.get(at, **names, sub_openid="u").field == "/sub_appid"
    assert asking.get(at, **names, sub_openid="u", sub_appid=SUB_APPID).status == 200


@enter(SECTION, "partner-search-terminate", "wiki chapter6_2_22", "by either openid, with a reason: 204")
def _(asking: Asking) -> None:
    apply(asking, "partner", sub_appid=SUB_APPID)
    asking.service.open_service(asking.mchid, "C1", sub_openid="u")
    names = {"service_id": SERVICE_ID, "appid": APPID, "sub_mchid": SUB_MCHID}
    body = {**names, "sub_openid": "u", "sub_appid": SUB_APPID, "reason": "撤销原因"}
    assert asking.post(f"{BASES['partner']}/terminate", body).status == 204
    assert of_code(asking, "partner")["authorization_state"] == "UNAVAILABLE"


@enter(
    SECTION,
    "user-service-state",
    "wiki chapter3_8",
    "AVAILABLE or UNAVAILABLE for a user; appid, service and openid are sent",
)
def _(asking: Asking) -> None:
    at, names = "/v3/payscore/user-service-state", {"service_id": SERVICE_ID, "appid": APPID, "openid": OPENID}
    for name in names:
        assert asking.get(at, **{key: names[key] for key in names if key != name}).field == name
    assert asking.get(at, **names).body["use_service_state"] == "UNAVAILABLE"
    asking.service.open_service(asking.mchid, openid=OPENID)
    assert asking.get(at, **names).body == {**names, "use_service_state": "AVAILABLE"}


@enter(
    SECTION,
    "user-service-terminate",
    "wiki chapter9_1",
    "what a user opened in the older way is terminated by openid and service",
)
def _(asking: Asking) -> None:
    asking.service.open_service(asking.mchid, openid=OPENID)
    at = f"/v3/payscore/users/{OPENID}/permissions/{SERVICE_ID}/terminate"
    assert asking.post(at, {"appid": APPID}).field == "/reason"
    assert asking.post(at, {"appid": APPID, "reason": "撤销原因"}).status == 204
