"""A request is checked against the documented fields, and refused in WeChat Pay's own words."""

from typing import Any

import pytest

from sandbox.wechat_pay.fields.shared import IN_PATH, RISK_FUND
from sandbox.wechat_pay.parameters import Fields, Group, Rows, Text, Truth, Whole, names, problems, require, without
from sandbox.wechat_pay.refusals import SimulatedRefusal

FIELDS: Fields = (
    Text("name", "名称", 3, required=True),
    Whole("amount", "金额", 1, 100),
    Truth("open", "开关"),
    Text("kind", "类型", 10, words=("A", "B")),
    Text("number", "单号", 10, pattern="[0-9]+"),
    Group("fund", "资金", (Whole("amount", "金额", required=True),)),
    Rows("rows", "明细", (Text("name", "名称", 3, required=True),), 2, least=1),
)
TYPE = "无法将 JSON 输入源“/body{}”映射到目标字段“{}”中，此字段需要一个合法的{}"
VALUE = "输入源“/body{}”映射到{}字段“{}”{}规则校验失败，{}"


@pytest.mark.parametrize(
    ("values", "path", "value", "issue"),
    [
        ({}, "/name", "", "输入源“/body/name”映射到字段“名称”必填性规则校验失败，此字段为必填项"),
        ({"name": 7}, "/name", 7, TYPE.format("/name", "名称", "字符串")),
        ({"name": ""}, "/name", "", VALUE.format("/name", "值", "名称", "字符串", "字符数 0，小于最小值 1")),
        (
            {"name": "四个汉字"},
            "/name",
            "四个汉字",
            VALUE.format("/name", "值", "名称", "字符串", "字符数 4，大于最大值 3"),
        ),
        ({"amount": True}, "/amount", True, TYPE.format("/amount", "金额", " 64 位有符号整数")),
        ({"amount": "1"}, "/amount", "1", TYPE.format("/amount", "金额", " 64 位有符号整数")),
        ({"amount": 1.0}, "/amount", 1.0, TYPE.format("/amount", "金额", " 64 位有符号整数")),
        ({"amount": 2**63}, "/amount", 2**63, TYPE.format("/amount", "金额", " 64 位有符号整数")),
        ({"amount": 0}, "/amount", 0, VALUE.format("/amount", "数值", "金额", "", "值 0，小于最小值 1")),
        ({"amount": 101}, "/amount", 101, VALUE.format("/amount", "数值", "金额", "", "值 101，大于最大值 100")),
        ({"open": 1}, "/open", 1, TYPE.format("/open", "开关", "布尔值")),
        ({"kind": "C"}, "/kind", "C", VALUE.format("/kind", "值", "类型", "字符串", "字符串必须为枚举值“A、B”之一")),
        (
            {"number": "1\n"},
            "/number",
            "1\n",
            VALUE.format("/number", "值", "单号", "字符串", "字符串必须匹配正则表达式“^[0-9]+$”"),
        ),
        ({"fund": []}, "/fund", [], TYPE.format("/fund", "资金", " JSON 对象")),
        (
            {"fund": {}},
            "/fund/amount",
            "",
            "输入源“/body/fund/amount”映射到字段“金额”必填性规则校验失败，此字段为必填项",
        ),
        ({"rows": {}}, "/rows", {}, TYPE.format("/rows", "明细", " JSON 对象数组")),
        ({"rows": [7]}, "/rows", [7], TYPE.format("/rows", "明细", " JSON 对象数组")),
        ({"rows": []}, "/rows", [], VALUE.format("/rows", "数组", "明细", "", "元素个数 0，小于最小值 1")),
        (
            {"rows": [{"name": "a"}, {"name": 1}]},
            "/rows/1/name",
            1,
            TYPE.format("/rows/1/name", "名称", "字符串"),
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_place_and_cause(
    values: dict[str, Any], path: str, value: object, issue: str
) -> None:
    """The first problem has the JSON Pointer of the field, its value, and WeChat Pay's sentence."""
    complete = values if not values or "name" in values else {"name": "abc", **values}
    [problem] = problems(FIELDS, complete, "body")
    assert (problem.path, problem.value, problem.issue) == (path, value, issue)


def test_right_values_and_unknown_ones_pass() -> None:
    """Values that are as documented pass, and so do fields that no page has."""
    values = {"name": "a", "amount": 100, "open": False, "kind": "A", "fund": {"amount": 0}, "rows": [{"name": "b"}]}
    require(FIELDS, {**values, "goods": [1]}, "body")


@pytest.mark.parametrize(
    ("location", "field", "source"),
    [("body", "/out_order_no", "body"), ("query", "out_order_no", "query"), ("url", "out_order_no", "uri_template")],
)
def test_a_refusal_says_where_the_parameter_is(location: Any, field: str, source: str) -> None:
    """`detail` has a JSON Pointer for a body and a name elsewhere, with the location (doc 4012081709)."""
    with pytest.raises(SimulatedRefusal) as caught:
        require(IN_PATH, {"out_order_no": "x" * 33}, location)
    refusal = caught.value
    assert (refusal.status, refusal.code, refusal.message) == (400, "PARAM_ERROR", "参数错误")
    assert isinstance(refusal.detail, dict)
    assert (refusal.detail["field"], refusal.detail["location"]) == (field, location)
    assert refusal.detail["issue"].startswith(f"输入源“/{source}/out_order_no”")


def test_fields_can_be_chosen_by_name() -> None:
    """A page that lacks some fields of another takes the rest."""
    assert names(without(FIELDS, "rows", "fund")) == ("name", "amount", "open", "kind", "number")
    assert names(RISK_FUND.fields) == ("name", "amount", "description")
