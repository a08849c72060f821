"""What WeChat Pay says: its official refusals, and the shape of an answer before it is signed (doc 4012587962)."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer. `signed` False leaves the Wechatpay headers out, as WeChat Pay does on most errors."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    code: str = ""
    signed: bool = True


class Refusal(Exception):  # noqa: N818  WeChat Pay's word for it
    """An official error; `sub_code` ends the Request-ID and tells WeChat Pay's internal cause."""

    def __init__(self, status: int, code: str, message: str, sub_code: str = "0", detail: object = None) -> None:
        super().__init__(f"{status} {code} {message}")
        self.status = status
        self.code = code
        self.message = message
        self.sub_code = sub_code
        self.detail = detail

    def reply(self) -> Reply:
        """The answer that carries the refusal, unsigned."""
        words: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.detail is not None:
            words["detail"] = self.detail
        headers = {"Request-ID": request_id(self.sub_code)}
        return Reply(self.status, as_json(words), headers, self.code, signed=False)


def as_json(value: object) -> bytes:
    """JSON as WeChat Pay writes it: compact, UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def request_id(sub_code: str = "0") -> str:
    """A Request-ID such as `08F5B8C2B506102C18FDDFEEA30620BE821E28EDC405-0`."""
    return f"08{secrets.token_hex(21).upper()}-{sub_code}"


def ok(value: object) -> Reply:
    """A signed 200 with a JSON body."""
    return Reply(200, as_json(value), {"Request-ID": request_id()})


def no_content() -> Reply:
    """A signed 204."""
    return Reply(204, b"", {"Request-ID": request_id()})


def wrong_parameter(field_name: str, value: object, issue: str, location: str = "body") -> Refusal:
    """`PARAM_ERROR`, naming the parameter."""
    detail = {"field": field_name, "value": str(value)[:64], "issue": issue, "location": location}
    return Refusal(400, "PARAM_ERROR", "参数错误", "268435464", detail)


def malformed_request(message: str) -> Refusal:
    """`INVALID_REQUEST` of the protocol kind."""
    return Refusal(400, "INVALID_REQUEST", message)


def wrong_signature(message: str, sub_code: str = "270924332") -> Refusal:
    """`SIGN_ERROR`: who calls could not be proven (doc 4012072670)."""
    return Refusal(401, "SIGN_ERROR", message, sub_code)


NOT_EXIST = Refusal(404, "ORDER_NOT_EXIST", "订单不存在", "271317510")
NO_AUTH = Refusal(403, "NO_AUTH", "商户信息不合法", "268503786")
DONE = Refusal(400, "ORDER_DONE", "订单已完成", "271302262")
CANCELED = Refusal(400, "ORDER_CANCELED", "单据已取消", "271302333")
INVALID_STATE = Refusal(400, "INVALID_ORDER_STATE", "单据状态错误", "271302262")
NOT_COMPLETED = Refusal(400, "INVALID_ORDER_STATE", "单据状态错误", "271316657")
DEDUCTING = Refusal(400, "INVALID_REQUEST", "单据正在扣款中，请稍后再试", "271316754")
FREQUENCY_LIMITED = Refusal(429, "FREQUENCY_LIMITED", "频率超限")
SYSTEM_ERROR = Refusal(500, "SYSTEM_ERROR", "系统异常，请稍后重试")


def with_headers(reply: Reply, **headers: str) -> Reply:
    """The reply with further headers; `_` in a name stands for `-`."""
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return replace(reply, headers={**reply.headers, **more})
