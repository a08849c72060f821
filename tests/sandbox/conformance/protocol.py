"""The protocol of APIv3: headers, signatures, paths, JSON, and how refusals look."""

import json
from dataclasses import replace

from tests.sandbox.conformance.row import Section
from tests.sandbox.conformance.shop import MCHID, ORDERS, Shop

SECTION = Section("Protocol: headers, signatures, paths and bodies", "protocol", Shop)
row = SECTION.row
RULES = (400, "INVALID_REQUEST", "HTTP 请求不符合微信支付 APIv3 接口规则")
QUERY = f"{ORDERS}?service_id=500001&appid=wxd678efh567hg6787&out_order_no=S1"


def with_headers(shop: Shop, method: str, target: str, content: bytes = b"", /, **headers: str) -> tuple[int, str, str]:
    """Send a signed request with other headers, and return its refusal."""
    request = shop.request(method, target, content)
    others = {name.replace("_", "-"): text for name, text in headers.items()}
    return shop.send(replace(request, headers={**request.headers, **others})).refusal


def sign_error(shop: Shop, **signed: str) -> str:
    """Send a query with another Authorization, and return the message of its refusal."""
    status, code, message = shop.send(shop.request("GET", QUERY, **signed)).refusal
    assert (status, code) == (401, "SIGN_ERROR")
    return message


@row("accept", "a request sets `Accept: application/json`; official SDKs send `*/*` as well", "4012081709")
def _(shop: Shop) -> None:
    """Takes every Accept that admits JSON: `*/*`, `application/*`, lists, weights, blanks."""
    shop.created()
    for accept in ("application/json", "*/*", " */*", "application/*", "text/html, application/json;q=0.1"):
        request = shop.request("GET", QUERY)
        assert shop.send(replace(request, headers={**request.headers, "Accept": accept})).status == 200


@row("accept-without-json", "a request sets `Accept: application/json`", "4012081709")
def _(shop: Shop) -> None:
    """400 INVALID_REQUEST where no media range admits JSON, or one excludes it by `q=0`."""
    for accept in ("text/html", "application/json;q=0, */*", "*/*;q=0"):
        assert with_headers(shop, "GET", QUERY, Accept=accept) == RULES


@row("accept-missing", "a request without Accept or User-Agent is refused", "4012081709")
def _(shop: Shop) -> None:
    """400 INVALID_REQUEST `Http头缺少Accept或User-Agent`."""
    for header in ("Accept", "User_Agent"):
        refusal = with_headers(shop, "GET", QUERY, **{header: ""})
        assert refusal == (400, "INVALID_REQUEST", "Http头缺少Accept或User-Agent")


@row("content-type", "a body is declared as `application/json`", "4012081709")
def _(shop: Shop) -> None:
    """400 INVALID_REQUEST for another type; parameters and capitals are taken."""
    assert with_headers(shop, "POST", f"{ORDERS}/S1/cancel", b"{}", Content_Type="text/plain") == RULES
    declared = with_headers(shop, "POST", f"{ORDERS}/S1/cancel", b"{}", Content_Type="Application/JSON; charset=utf-8")
    assert declared[1] == "PARAM_ERROR"


@row("scheme", "the Authorization begins with WECHATPAY2-SHA256-RSA2048", "4012072670")
def _(shop: Shop) -> None:
    """401 SIGN_ERROR `HTTP头Authorization认证类型不正确` for another scheme or none."""
    for value in ("Bearer x", ""):
        assert with_headers(shop, "GET", QUERY, Authorization=value)[2] == "HTTP头Authorization认证类型不正确"


@row("authorization", "the Authorization has five fields", "4012072670")
def _(shop: Shop) -> None:
    """401 SIGN_ERROR `HTTP头Authorization值格式错误` for a missing, further or unreadable one."""
    assert sign_error(shop, timestamp="now") == "HTTP头Authorization值格式错误"
    assert sign_error(shop, extra="x") == "HTTP头Authorization值格式错误"


@row("timestamp", "the timestamp is five minutes away at most, and is checked before the signature", "4012072670")
def _(shop: Shop) -> None:
    """401 SIGN_ERROR with the sentence about five minutes, also under a wrong signature."""
    words = "HTTP头Authorization中的timestamp与发起请求的时间不得超过5分钟"
    for shift in (-301, 301):
        assert sign_error(shop, timestamp=str(int(shop.now) + shift), signature="x") == words


@row("mchid-unknown", "the mchid must exist (271302144)", "4012072670")
def _(shop: Shop) -> None:
    """401 SIGN_ERROR `商户号不存在`; the Request-ID ends in 271302144."""
    request = shop.request("GET", QUERY)
    value = request.headers["Authorization"].replace(f'mchid="{MCHID}"', 'mchid="4711"')
    answer = shop.send(replace(request, headers={**request.headers, "Authorization": value}))
    assert answer.refusal == (401, "SIGN_ERROR", "商户号不存在")
    assert answer.headers["Request-ID"].endswith("-271302144")


@row("serial", "`serial_no` is the merchant certificate's", "4012072670")
def _(shop: Shop) -> None:
    """401 SIGN_ERROR `商户证书序列号有误。` for another one."""
    assert sign_error(shop, serial_no="F" * 40) == "商户证书序列号有误。"


@row(
    "serial-case",
    "no page says whether small letters are taken; a much used client sends them",
    "silent",
    "switch `lower_case_serials`, on",
)
def _(shop: Shop) -> None:
    """Takes the serial in capitals and in small letters; without the switch 401 for small letters."""
    shop.created()
    serial = shop.service.merchant(MCHID).serial_no
    for text in (serial.lower(), serial.upper()):
        assert shop.send(shop.request("GET", QUERY, serial=text)).status == 200
    shop.switch(lower_case_serials=False)
    assert sign_error(shop, serial=serial.lower()) == "商户证书序列号有误。"


@row("signature", "a wrong signature is refused", "4012072670")
def _(shop: Shop) -> None:
    """401 SIGN_ERROR `错误的签名，导致验签失败。`."""
    assert sign_error(shop, signature="AAAA") == "错误的签名，导致验签失败。"


@row(
    "signed-bytes", "the signature covers method, path with query, time, nonce and body as they are sent", "4012365336"
)
def _(shop: Shop) -> None:
    """401 SIGN_ERROR where the path, the query or the body is another than the signed one."""
    request = shop.request("POST", f"{ORDERS}/S1/cancel", b'{"a":1}')
    for other in (
        replace(request, target=f"{ORDERS}/S2/cancel"),
        replace(request, target=f"{request.target}?x=1"),
        replace(request, body=b'{"a": 1}'),
    ):
        assert shop.send(other).refusal == (401, "SIGN_ERROR", "错误的签名，导致验签失败。")


@row("percent-encoding", "what is signed is the path as it stands on the wire", "4012365336")
def _(shop: Shop) -> None:
    """Takes the vertical bar and the asterisk of a number raw and percent-encoded: both name the same order."""
    shop.created("A|1*")
    for number in ("A%7C1*", "A%7C1%2A", "A|1*"):
        target = f"{ORDERS}/{number}/cancel"
        body = b'{"appid":"wxd678efh567hg6787","reason":"x"}'
        assert shop.send(shop.request("POST", target, body)).status == 200


@row("unknown-path", "an unknown path is 404", "4012081717")
def _(shop: Shop) -> None:
    """404 RESOURCE_NOT_EXISTS, under every method."""
    for method in ("GET", "POST", "PUT"):
        assert shop.send(shop.request(method, "/v3/payscore/unknown")).refusal[:2] == (404, "RESOURCE_NOT_EXISTS")


@row("known-path", "a known path under another method is 405", "4012081717")
def _(shop: Shop) -> None:
    """405 METHOD_NOT_ALLOWED."""
    for method, path in (("PUT", "/S1/sync"), ("GET", "/S1/cancel"), ("DELETE", "")):
        assert shop.send(shop.request(method, ORDERS + path)).refusal[:2] == (405, "METHOD_NOT_ALLOWED")


@row("json", "a body is a JSON object in UTF-8", "4012081709")
def _(shop: Shop) -> None:
    """400 INVALID_REQUEST for other text, an array, NaN, UTF-16 and endless nesting."""
    for body in (b"", b"x", b"[]", b"7", b'{"a":NaN}', '{"a":1}'.encode("utf-16"), b'{"a":' * 100_000, b'{"a":"\xff"}'):
        assert shop.post("/S1/cancel", body).refusal == RULES


@row("null", "null is not allowed", "4012081709")
def _(shop: Shop) -> None:
    """400 INVALID_REQUEST for a null at any depth."""
    for body in ({"reason": None}, {"rows": [{"name": None}]}, {"a": {"b": [None]}}):
        assert shop.post("/S1/cancel", body).refusal == RULES


@row("four-bytes", "only characters of one to three bytes of UTF-8 are taken", "4012081709")
def _(shop: Shop) -> None:
    """400 INVALID_REQUEST for an emoji in a name or value, written out or escaped, and in a query."""
    for body in ('{"reason":"🏪"}'.encode(), b'{"reason":"\\ud83c\\udfea"}', '{"🏪":1}'.encode()):
        assert shop.post("/S1/cancel", body).refusal == RULES
    assert shop.send(shop.request("GET", f"{QUERY}&x=%F0%9F%8F%AA")).refusal == RULES


@row(
    "unknown-fields",
    "no page says that a field that it does not have is refused",
    "silent",
    "switch `unknown_fields_refused`, off",
)
def _(shop: Shop) -> None:
    """Takes and ignores it; with the switch 400 PARAM_ERROR that names it, which finds a misspelled name."""
    assert "colour" not in shop.created(colour="red")
    shop.switch(unknown_fields_refused=True)
    fund = {"name": "DEPOSIT", "amount": 1}
    shop.create("S2", attatch="x").wrong("/attatch")
    shop.create("S2", risk_fund={**fund, "desc": "x"}).wrong("/risk_fund/desc")
    shop.create("S2", post_payments=[{"name": "x", "amount": 1, "counts": 1}]).wrong("/post_payments/0/counts")
    shop.query(outOrderNo="S1").wrong("outOrderNo", location="query")
    assert shop.create("S2", risk_fund=fund, mchid=MCHID).status == 200


@row("parameter-error", "`PARAM_ERROR` names field, value, issue and location", "4012081709")
def _(shop: Shop) -> None:
    """400 PARAM_ERROR `参数错误` with all four; the field is a JSON Pointer in a body, a name elsewhere."""
    shop.create(risk_fund={"name": "DEPOSIT", "amount": 0}).wrong("/risk_fund/amount", "值 0，小于最小值 1")
    shop.query(appid=None).wrong("appid", "此字段为必填项", "query")
    shop.post(f"/{'x' * 33}/cancel", {}).wrong("out_order_no", "字符数 33，大于最大值 32", "url")


@row(
    "parameter-error-observed",
    "merchants report the sentence as message, and `detail` with `location` and `value` alone",
    "4012081709",
    "switch `observed_parameter_errors`, off",
)
def _(shop: Shop) -> None:
    """As the page says; with the switch as merchants report it."""
    shop.switch(observed_parameter_errors=True)
    answer = shop.create(appid=None).json
    assert answer["detail"] == {"location": "body", "value": ""}
    assert answer["message"] == "输入源“/body/appid”映射到字段“公众账号ID”必填性规则校验失败，此字段为必填项"


@row("mchid-in-body", "an mchid in the body must be the Authorization's", "4012072670")
def _(shop: Shop) -> None:
    """400 PARAM_ERROR that names `/mchid`; the right one is taken."""
    shop.create(mchid="1900000109").wrong("/mchid")
    shop.query(mchid="1900000109").wrong("mchid", location="query")
    assert shop.create(mchid=MCHID).status == 200


@row("request-id", "every answer has a Request-ID", "4012081709")
def _(shop: Shop) -> None:
    """A Request-ID on successes and refusals, with the internal code of a refusal at its end."""
    for answer in (shop.create(), shop.query(), shop.create(attach="x"), shop.sync()):
        assert answer.headers["Request-ID"].startswith("08")
    assert shop.create(attach="x").headers["Request-ID"].endswith("-271316598")


@row("answer-signed", "a success is signed over time, nonce and body", "4013053249")
def _(shop: Shop) -> None:
    """Five Wechatpay headers; the signature verifies, and is WECHATPAY2-SHA256-RSA2048."""
    answer = shop.create()
    shop.verify(answer)
    assert answer.headers["Wechatpay-Signature-Type"] == "WECHATPAY2-SHA256-RSA2048"


@row(
    "answer-key", "the request's Wechatpay-Serial asks for the public key; a certificate signs otherwise", "4012154180"
)
def _(shop: Shop) -> None:
    """Signs with the public key where its id is asked for, with the newest platform certificate otherwise."""
    shop.created()
    assert shop.query().headers["Wechatpay-Serial"] == shop.service.platform.public_key_id
    request = shop.request("GET", QUERY)
    answer = shop.send(replace(request, headers={**request.headers, "Wechatpay-Serial": ""}))
    assert answer.headers["Wechatpay-Serial"] == shop.service.platform.certificate_serial


@row(
    "refusal-signed",
    "every answer is signed; in practice many refusals are not",
    "4013053249",
    "switch `signed_refusals`, off",
)
def _(shop: Shop) -> None:
    """Unsigned; with the switch signed with the key that was asked for."""
    assert "Wechatpay-Signature" not in shop.query().headers
    shop.switch(signed_refusals=True)
    shop.verify(shop.query())
    shop.verify(shop.send(shop.request("GET", "/v3/unknown")))


@row("size", "no page states the largest body", "silent", "switch `largest_body`, 1048576 bytes")
def _(shop: Shop) -> None:
    """413 INVALID_REQUEST above it; chunked bodies and `Expect: 100-continue` are taken."""
    request = shop.request("POST", ORDERS, b"x" * 1_048_577)
    assert shop.send(request).refusal == (413, *RULES[1:])
    shop.switch(largest_body=2 << 20)
    assert shop.send(request).refusal == RULES
    assert shop.send(replace(request, framing="too large")).refusal == (413, *RULES[1:])
    assert shop.send(replace(request, framing="wrong")).refusal == RULES


@row("json-order", "the order of fields means nothing", "4012081709")
def _(shop: Shop) -> None:
    """A repetition with the same fields in another order is the same request."""
    shop.created()
    calls = [json.loads(call.body) for call in shop.service.calls]
    assert shop.post("", dict(reversed(calls[0].items()))).status == 200
