"""The official refusals: HTTP status, code, Chinese message and sub-code of each (doc 4012587962)."""

from sandbox.wechat_pay.message import SimulatedReply, as_json, request_id


class SimulatedRefusal(Exception):  # noqa: N818  a refusal is an answer, not a failure of the simulator
    """An official error; `sub_code` ends the Request-ID and names WeChat Pay's internal cause."""

    def __init__(self, status: int, code: str, message: str, sub_code: str = "0", detail: object = None) -> None:
        super().__init__(f"{status} {code} {message}")
        self.status = status
        self.code = code
        self.message = message
        self.sub_code = sub_code
        self.detail = detail

    def reply(self, *, observed: bool = False) -> SimulatedReply:
        """Return the answer that carries the refusal, unsigned unless the switch `signed_refusals` is on.

        `observed` is the switch `observed_parameter_errors`: the issue is the message.
        """
        message, detail = self.message, self.detail
        if observed and isinstance(detail, dict):
            message, detail = detail["issue"], {"location": detail["location"], "value": detail["value"]}
        members: dict[str, object] = {"code": self.code, "message": message}
        if detail is not None:
            members["detail"] = detail
        headers = {"Request-ID": request_id(self.sub_code)}
        return SimulatedReply(self.status, as_json(members), headers, self.code, signed=False, signable=True)


def wrong_parameter(
    field_name: str, value: object, issue: str, location: str = "body", sub_code: str = "268435464"
) -> SimulatedRefusal:
    """Make a `PARAM_ERROR` that names the parameter (doc 4012081709)."""
    detail = {"field": field_name, "value": _as_text(value), "issue": issue, "location": location}
    return SimulatedRefusal(400, "PARAM_ERROR", "参数错误", sub_code, detail)


def _as_text(value: object) -> str:
    """Return a value as a refusal shows it: a text as it is, anything else as JSON; 64 characters at most."""
    return (value if isinstance(value, str) else as_json(value).decode())[:64]


def malformed_request(message: str) -> SimulatedRefusal:
    """Make an `INVALID_REQUEST` of the protocol kind."""
    return SimulatedRefusal(400, "INVALID_REQUEST", message)


def wrong_signature(message: str, sub_code: str = "270924332") -> SimulatedRefusal:
    """Make a `SIGN_ERROR`: the caller's identity could not be verified (doc 4012072670)."""
    return SimulatedRefusal(401, "SIGN_ERROR", message, sub_code)


NOT_A_REQUEST = malformed_request("HTTP 请求不符合微信支付 APIv3 接口规则")
HEADER_MISSING = malformed_request("Http头缺少Accept或User-Agent")
TOO_LARGE = SimulatedRefusal(413, "INVALID_REQUEST", "HTTP 请求不符合微信支付 APIv3 接口规则")
NOT_EXIST = SimulatedRefusal(404, "ORDER_NOT_EXIST", "订单不存在", "271317510")
NO_AUTH = SimulatedRefusal(403, "NO_AUTH", "商户信息不合法", "268503786")
DONE = SimulatedRefusal(400, "ORDER_DONE", "订单已完成", "271302262")
CANCELED = SimulatedRefusal(400, "ORDER_CANCELED", "单据已取消", "271302333")
INVALID_STATE = SimulatedRefusal(400, "INVALID_ORDER_STATE", "单据状态错误", "271302262")
NOT_COMPLETED = SimulatedRefusal(400, "INVALID_ORDER_STATE", "单据状态错误", "271316657")
DEDUCTING = SimulatedRefusal(400, "INVALID_REQUEST", "单据正在扣款中，请稍后再试", "271316754")
OTHER_PARAMETERS = SimulatedRefusal(400, "INVALID_REQUEST", "订单重入参数校验失败", "271316598")
NOT_CANCELABLE = SimulatedRefusal(400, "INVALID_REQUEST", "当前订单状态不满足撤销条件", "271316592")
NO_SUCH_RESOURCE = SimulatedRefusal(404, "RESOURCE_NOT_EXISTS", "请求的资源不存在")
METHOD_NOT_ALLOWED = SimulatedRefusal(405, "METHOD_NOT_ALLOWED", "不支持的请求方法")
FREQUENCY_LIMITED = SimulatedRefusal(429, "FREQUENCY_LIMITED", "频率超限")
SYSTEM_ERROR = SimulatedRefusal(500, "SYSTEM_ERROR", "系统异常，请稍后重试")

STATE_CODES = frozenset({"ORDER_DONE", "ORDER_CANCELED", "INVALID_ORDER_STATE"})
"""The codes that refuse an operation for the state of its order."""
