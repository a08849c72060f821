"""Check the parameters of a request against the fields that a page documents, in WeChat Pay's own words.

The rules are values: `Text`, `Whole`, `Truth`, `Group` and `Rows` say what one field may be, and `require` refuses the
first one that is missing or wrong (docs 4012081709, 4012587900).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sandbox.wechat_pay.refusals import wrong_parameter

type Location = Literal["body", "query", "url"]

INT64 = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Text:
    """A text of `least` to `most` characters; `words` are all that it may be, `pattern` is what it must match."""

    name: str
    title: str
    most: int
    required: bool = False
    least: int = 1
    words: tuple[str, ...] = ()
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number, such as an amount in fen."""

    name: str
    title: str
    least: int = 0
    most: int = INT64
    required: bool = False


@dataclass(frozen=True, slots=True)
class Truth:
    """True or false."""

    name: str
    title: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """An object with fields of its own."""

    name: str
    title: str
    fields: "Fields"
    required: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """An array of `least` to `most` objects with the same fields."""

    name: str
    title: str
    fields: "Fields"
    most: int
    required: bool = False
    least: int = 0


type Field = Text | Whole | Truth | Group | Rows
type Fields = tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a field: where it is, its value, and the sentence that WeChat Pay has for it."""

    path: str  # such as /risk_fund/amount
    value: object
    issue: str


def require(fields: Fields, values: Mapping[str, object], location: Location) -> None:
    """Raise the `PARAM_ERROR` of the first field that is missing or wrong."""
    problem = next(problems(fields, values, location), None)
    if problem is not None:
        name = problem.path if location == "body" else problem.path.removeprefix("/")
        raise wrong_parameter(name, problem.value, problem.issue, location)


def problems(fields: Fields, values: Mapping[str, object], location: Location) -> Iterator[Problem]:
    """Yield every problem, in the order of the fields."""
    return _problems(fields, values, location, "")


def _problems(fields: Fields, values: Mapping[str, object], location: Location, prefix: str) -> Iterator[Problem]:
    for field in fields:
        path = f"{prefix}/{field.name}"
        source = f"输入源“/{_SOURCES[location]}{path}”"
        if field.name in values:
            yield from _of_value(field, values[field.name], location, path, source)
        elif field.required:
            issue = f"{source}映射到字段“{field.title}”必填性规则校验失败，此字段为必填项"
            yield Problem(path, "", issue)


_SOURCES: Mapping[Location, str] = {"body": "body", "query": "query", "url": "uri_template"}


def _of_value(field: Field, value: object, location: Location, path: str, source: str) -> Iterator[Problem]:
    if not _has_type(field, value):
        issue = f"无法将 JSON {source}映射到目标字段“{field.title}”中，此字段需要一个合法的{_TYPES[type(field)]}"
        yield Problem(path, value, issue)
        return
    if issue := _issue(field, value):
        yield Problem(path, value, f"{source}映射到{issue}")
    match field, value:
        case Group(), dict():
            yield from _problems(field.fields, value, location, path)
        case Rows(), list():
            for number, row in enumerate(value):
                yield from _problems(field.fields, row, location, f"{path}/{number}")


_TYPES: Mapping[type, str] = {
    Text: "字符串",
    Whole: " 64 位有符号整数",
    Truth: "布尔值",
    Group: " JSON 对象",
    Rows: " JSON 对象数组",
}


def _has_type(field: Field, value: object) -> bool:
    match field:
        case Text():
            return isinstance(value, str)
        case Whole():
            return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= INT64
        case Truth():
            return isinstance(value, bool)
        case Group():
            return isinstance(value, dict)
        case Rows():
            return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def _issue(field: Field, value: object) -> str:
    """Return what is wrong with a value of the right type; empty where nothing is."""
    match field, value:
        case Text(), str():
            issue = _issue_of_text(field, value)
            return f"值字段“{field.title}”字符串规则校验失败，{issue}" if issue else ""
        case Whole(), int():
            issue = _outside("值", value, field.least, field.most)
            return f"数值字段“{field.title}”规则校验失败，{issue}" if issue else ""
        case Rows(), list():
            issue = _outside("元素个数", len(value), field.least, field.most)
            return f"数组字段“{field.title}”规则校验失败，{issue}" if issue else ""
        case _:
            return ""


def _issue_of_text(field: Text, value: str) -> str:
    if issue := _outside("字符数", len(value), field.least, field.most):
        return issue
    if field.words and value not in field.words:
        return f"字符串必须为枚举值“{'、'.join(field.words)}”之一"
    if field.pattern and not re.fullmatch(field.pattern, value):
        return f"字符串必须匹配正则表达式“^{field.pattern}$”"
    return ""


def _outside(what: str, number: int, least: int, most: int) -> str:
    if number < least:
        return f"{what} {number}，小于最小值 {least}"
    return f"{what} {number}，大于最大值 {most}" if number > most else ""


def refuse_unknown(fields: Fields, values: Mapping[str, object], location: Location) -> None:
    """Raise the `PARAM_ERROR` of the first field that no page has."""
    for path in _unknown(fields, values, ""):
        name = path if location == "body" else path.removeprefix("/")
        raise wrong_parameter(name, "", "文档中没有此字段", location)


def _unknown(fields: Fields, values: Mapping[str, object], prefix: str) -> Iterator[str]:
    documented = {field.name: field for field in fields}
    for name, value in values.items():
        match documented.get(name), value:
            case None, _ if prefix or name != "mchid":  # taken where it is the Authorization's
                yield f"{prefix}/{name}"
            case Group() as group, dict():
                yield from _unknown(group.fields, value, f"{prefix}/{name}")
            case Rows() as rows, list():
                for number, row in enumerate(value):
                    yield from _unknown(rows.fields, row, f"{prefix}/{name}/{number}")


def without(fields: Fields, *names: str) -> Fields:
    """Return the fields but those of these names."""
    return tuple(field for field in fields if field.name not in names)


def names(fields: Sequence[Field]) -> tuple[str, ...]:
    """Return the names of the fields."""
    return tuple(field.name for field in fields)
