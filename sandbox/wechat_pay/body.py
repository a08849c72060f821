"""Read the JSON body of a request as WeChat Pay does (doc 4012081709)."""

import json
from typing import Any

from sandbox.wechat_pay.refusals import malformed_request


def json_object(body: bytes) -> dict[str, Any]:
    """Read a body as WeChat Pay does: an object without any null; INVALID_REQUEST otherwise."""
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        raise malformed_request("HTTP 请求不符合微信支付 APIv3 接口规则") from None
    if not isinstance(value, dict) or _contains_null(value):
        raise malformed_request("HTTP 请求不符合微信支付 APIv3 接口规则")
    return value


def _contains_null(value: object) -> bool:
    parts = [value]
    while parts:
        part = parts.pop()
        if part is None:
            return True
        parts += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return False
