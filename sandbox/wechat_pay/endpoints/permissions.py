"""Permissions, in the three families that have them; overseas and payafter-orders have none.

Direct: wiki chapters 6_1_2 to 6_1_6. Partner: wiki chapters 6_2_18 to 6_2_22. Acquiring bank: docs 4012691489,
4012461004, 4012461012. Of the older way, without an application: wiki chapters 3_8, 9_1.
"""

import secrets
from collections.abc import Mapping

from sandbox.wechat_pay import permissions
from sandbox.wechat_pay.exchange import Exchange, Executed
from sandbox.wechat_pay.fields import permissions as fields
from sandbox.wechat_pay.message import no_content, ok
from sandbox.wechat_pay.permissions import IDENTITY, SimulatedPermission
from sandbox.wechat_pay.refusals import NO_AUTH, NOT_EXIST, wrong_parameter
from sandbox.wechat_pay.routes import operation

_DIRECT = "/v3/payscore/permissions"
_PARTNER = "/v3/payscore/partner/permissions"
_ACQUIRING_BANK = "/v3/payscore/acquiringbank/permissions"
_BY_CODE = "authorization-code/{authorization_code}"


@operation("POST", _DIRECT, "direct", fields=fields.APPLY)
@operation("POST", _PARTNER, "partner", fields=fields.APPLY_PARTNER)
@operation("POST", _ACQUIRING_BANK, "acquiringbank", fields=fields.APPLY_BANK)
def apply_permission(exchange: Exchange) -> Executed:
    """Apply for a permission: the answer's token leads the user to the page, for an hour."""
    identity = {name: exchange.parameters.get(name, "") for name in (*IDENTITY, "authorization_code", "notify_url")}
    application = SimulatedPermission(
        exchange.mchid, **identity, token=f"AAQ{secrets.token_urlsafe(96)}", token_at=exchange.at
    )
    register = exchange.ledger.permissions
    earlier = register.of_code(exchange.mchid, application.authorization_code)
    permission = register.store(permissions.apply(earlier, application))
    return Executed(ok({"apply_permissions_token": permission.token}))


@operation("GET", f"{_DIRECT}/{_BY_CODE}", "direct", fields=fields.OF_CODE)
@operation("GET", f"{_PARTNER}/{_BY_CODE}", "partner", fields=fields.OF_CODE_PARTNER)
@operation("GET", f"{_ACQUIRING_BANK}/{_BY_CODE}", "acquiringbank", fields=fields.OF_CODE_BANK)
def query_permission(exchange: Exchange) -> Executed:
    """Answer with the permission of an authorization_code."""
    return Executed(ok(permissions.answer(_of_code(exchange))))


@operation("POST", f"{_DIRECT}/{_BY_CODE}/terminate", "direct", fields=fields.TERMINATE)
@operation("POST", f"{_PARTNER}/{_BY_CODE}/terminate", "partner", fields=fields.TERMINATE_PARTNER)
@operation("POST", f"{_ACQUIRING_BANK}/{_BY_CODE}/terminate", "acquiringbank", fields=fields.TERMINATE_BANK)
def terminate_permission(exchange: Exchange) -> Executed:
    """Terminate the permission of an authorization_code: 204."""
    return _terminate(exchange, _of_code(exchange))


@operation("GET", _DIRECT + "/openid/{openid}", "direct", fields=fields.OF_USER)
@operation("GET", f"{_PARTNER}/search", "partner", fields=fields.OF_USER_PARTNER)
def query_permission_of_user(exchange: Exchange) -> Executed:
    """Answer with a user's permission; a user that never opened the service has it UNAVAILABLE."""
    user = _user(exchange)
    permission = exchange.ledger.permissions.of_user(exchange.mchid, user)
    answer = (
        permissions.answer(permission) if permission else permissions.answer_without_permission(exchange.mchid, user)
    )
    return Executed(ok(answer))


@operation("POST", _DIRECT + "/openid/{openid}/terminate", "direct", fields=fields.TERMINATE_USER)
@operation("POST", f"{_PARTNER}/terminate", "partner", fields=fields.TERMINATE_USER_PARTNER)
def terminate_permission_of_user(exchange: Exchange) -> Executed:
    """Terminate a user's permission: 204."""
    return _terminate(exchange, exchange.ledger.permissions.of_user(exchange.mchid, _user(exchange)))


@operation(
    "POST", "/v3/payscore/users/{openid}/permissions/{service_id}/terminate", "direct", fields=fields.TERMINATE_SERVICE
)
def terminate_service(exchange: Exchange) -> Executed:
    """Terminate what a user has opened in the older way: 204 (wiki chapter 9_1)."""
    user = {**exchange.path, "appid": exchange.parameters["appid"]}
    return _terminate(exchange, exchange.ledger.permissions.of_user(exchange.mchid, user))


@operation("GET", "/v3/payscore/user-service-state", "direct", fields=fields.SERVICE_STATE)
def user_service_state(exchange: Exchange) -> Executed:
    """Answer whether a user has the service open, AVAILABLE or UNAVAILABLE (wiki chapter 3_8)."""
    user = {name: exchange.parameters[name] for name in ("appid", "service_id", "openid")}
    permission = exchange.ledger.permissions.of_user(exchange.mchid, user)
    is_open = permission is not None and permission.state == "AVAILABLE"
    return Executed(ok({**user, "use_service_state": "AVAILABLE" if is_open else "UNAVAILABLE"}))


def _of_code(exchange: Exchange) -> SimulatedPermission:
    permission = exchange.ledger.permissions.of_code(exchange.mchid, exchange.path["authorization_code"])
    if permission is None:
        raise NOT_EXIST
    names = [name for name in IDENTITY if name in exchange.parameters]
    if any(exchange.parameters[name] != getattr(permission, name) for name in names):
        raise NO_AUTH
    return permission


def _user(exchange: Exchange) -> Mapping[str, str]:
    """Return by what a request names a user: openid in the path or the parameters, or sub_openid with sub_appid."""
    names = ("service_id", "appid", "sub_mchid", "sub_appid", "openid", "sub_openid")
    user = {name: exchange.parameters[name] for name in names if name in exchange.parameters} | dict(exchange.path)
    location = "query" if exchange.request.method == "GET" else "body"
    if ("openid" in user) == ("sub_openid" in user):
        raise wrong_parameter("/openid", "", "openid、sub_openid二选一传", location)
    if "sub_openid" in user and "sub_appid" not in user:
        raise wrong_parameter("/sub_appid", "", "传了sub_openid则sub_appid必填", location)
    return user


def _terminate(exchange: Exchange, permission: SimulatedPermission | None) -> Executed:
    if permission is None:
        raise NOT_EXIST
    exchange.ledger.permissions.store(permissions.close_service(permission, exchange.at))
    return Executed(no_content())
