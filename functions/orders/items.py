"""An order as an item of DynamoDB, and back: one attribute per field that has a value.

The payment's fields and the facts of WeChat Pay's answer are attributes of the item itself, next to the order's own.
What this version has no field for, at the top or within a nested record, is kept and written back unchanged.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from operator import attrgetter
from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from orders.errors import UnreadableItemError
from orders.order import Attempt, Facts, Order, Payment, Receipt, Refusal, Status
from wechatpay.text import printable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

type Attribute = AttributeValueTypeDef
"""A value with its DynamoDB type, such as `{"S": "text"}`."""

type Record = Payment | Facts | Attempt | Receipt | Refusal | Order

_DERIVED = frozenset({"pk", "attention"})  # attributes that `item_of` computes; no field holds them
_RENAMED: Mapping[tuple[type, str], str] = {(Facts, "answer"): "wechat"}  # every other attribute has its field's name


def item_of(order: Order) -> dict[str, Attribute]:
    """Return the order's item, with `attention` if its status needs attention."""
    item = {"pk": _attribute(order.key)} | _members(order)
    if order.status.needs_attention:
        item["attention"] = _attribute(order.status.value)
    return item


def order_of(item: Mapping[str, Attribute]) -> Order:
    """Return the order in an item; raise UnreadableItemError naming the attribute that this version cannot read."""
    try:
        order = _record(Order, {name: item[name] for name in item if name not in _DERIVED})
    except _UnreadableAttributeError as error:
        raise UnreadableItemError(item["pk"]["S"], str(error)) from error
    if not order.payment.paid_time and order.status is not Status.COLLECTED:
        raise UnreadableItemError(item["pk"]["S"], "paid_time missing")
    return order


def document_of(order: Order) -> dict[str, Any]:
    """Return the order as plain values under the names of its attributes, for people; `rest` holds the unknown ones."""
    return _document(order)


class _UnreadableAttributeError(ValueError):
    """An attribute is not as this version writes it; the text names it."""


# ---- layouts ---------------------------------------------------------------------------------------------------------


class _Column(NamedTuple):
    """A field that is one attribute: the names of both, how it is read, and whether it must be there."""

    field: str
    attribute: str
    read: Callable[[Attribute], object]
    required: bool


class _Part(NamedTuple):
    """A field whose own fields are attributes of the map that it is in; `optional`: None if there are none of them."""

    field: str
    kind: type[Payment | Facts]
    optional: bool


class _Layout(NamedTuple):
    """How a class lies in a map of attributes.

    `attributes` are the columns' names, `values` returns their values in one call. `names` are all attributes, those of
    the parts as well; `keeps_rest`: it keeps the others.
    """

    columns: tuple[_Column, ...]
    attributes: tuple[str, ...]
    values: Callable[[Record], tuple[object, ...]]
    parts: tuple[_Part, ...]
    names: frozenset[str]
    keeps_rest: bool


def _layout(kind: type[Record]) -> _Layout:
    columns, parts = [], []
    for name, type_ in kind.__annotations__.items():
        if flattened := [part for part in get_args(type_) or [type_] if part in {Payment, Facts}]:
            parts.append(_Part(name, flattened[0], NoneType in get_args(type_)))
        elif name != "rest":
            attribute = _RENAMED.get((kind, name), name)
            columns.append(_Column(name, attribute, _READERS[type_], name not in kind._field_defaults))
    own = tuple(column.attribute for column in columns)
    names = frozenset(own).union(*(_LAYOUTS[part.kind].names for part in parts))
    values = attrgetter(*(column.field for column in columns))
    return _Layout(tuple(columns), own, values, tuple(parts), names, "rest" in kind._fields)


# ---- reading ---------------------------------------------------------------------------------------------------------


def _record[T: Record](kind: type[T], attributes: Mapping[str, Attribute]) -> T:
    layout = _LAYOUTS[kind]
    values: dict[str, Any] = {}
    for part in layout.parts:
        if not part.optional or not _LAYOUTS[part.kind].names.isdisjoint(attributes):
            values[part.field] = _record(part.kind, attributes)
        else:
            values[part.field] = None
    if missing := [one.attribute for one in layout.columns if one.required and one.attribute not in attributes]:
        raise _UnreadableAttributeError(f"{', '.join(missing)} missing")
    for column in layout.columns:
        if column.attribute in attributes:
            try:
                values[column.field] = column.read(attributes[column.attribute])
            except _UnreadableAttributeError:
                raise
            except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
                raise _UnreadableAttributeError(f"{column.attribute} is not what this version writes") from error
    if layout.keeps_rest:
        values["rest"] = {name: attributes[name] for name in attributes.keys() - layout.names}
    return kind(**values)


def _text(attribute: Attribute) -> str:
    return str(attribute["S"])


def _status(attribute: Attribute) -> Status:
    try:
        return Status(attribute["S"])
    except ValueError:
        raise _UnreadableAttributeError(f"status {printable(attribute['S'], 64)!r} is none of this version's") from None


def _number(attribute: Attribute) -> int:
    return int(attribute["N"])


def _history(attribute: Attribute) -> tuple[Attempt, ...]:
    return tuple(_record(Attempt, entry["M"]) for entry in attribute["L"])


def _receipts(attribute: Attribute) -> dict[str, Receipt]:
    return {message_id: _record(Receipt, entry["M"]) for message_id, entry in attribute["M"].items()}


def _object(attribute: Attribute) -> dict[str, object]:
    return {name: _json(member) for name, member in attribute["M"].items()}


def _json(attribute: Attribute) -> object:
    """Return what JSON value an attribute stands for; DynamoDB's decimals as the int or float that they were."""
    [(kind, value)] = attribute.items()
    match kind, value:
        case "N", str():
            number = Decimal(value)
            return int(number) if number == number.to_integral_value() else float(number)
        case "M", _:
            return _object(attribute)
        case "L", list():
            return [_json(member) for member in value]
        case "NULL", _:
            return None
        case _:
            return value


_READERS: Mapping[object, Callable[[Attribute], object]] = {
    str: _text,
    str | None: _text,
    int: _number,
    int | None: _number,
    bool: lambda attribute: bool(attribute["BOOL"]),
    Status: _status,
    tuple[Attempt, ...]: _history,
    Mapping[str, Receipt]: _receipts,
    Mapping[str, Any] | None: _object,
    Refusal | None: lambda attribute: _record(Refusal, attribute["M"]),
}
_LAYOUTS: dict[type, _Layout] = {}
for _kind in (Payment, Facts, Attempt, Receipt, Refusal, Order):
    _LAYOUTS[_kind] = _layout(_kind)


# ---- writing ---------------------------------------------------------------------------------------------------------


def _members(record: Record) -> dict[str, Attribute]:
    """Return a record's fields as attributes, without the empty ones, on top of those that it has kept."""
    layout = _LAYOUTS[type(record)]
    members: dict[str, Attribute] = dict(getattr(record, "rest", {}))
    for part in layout.parts:
        if (value := getattr(record, part.field)) is not None:
            members |= _members(value)
    members |= {
        name: {"S": value} if type(value) is str else _attribute(value)
        for name, value in zip(layout.attributes, layout.values(record), strict=True)
        if value or type(value) is int  # 0 is a value
    }
    return members


def _attribute(value: object) -> Attribute:
    """Return a value of a record or of JSON with its DynamoDB type; TypeError for any other."""
    if (write := _WRITERS.get(type(value))) is None:
        raise TypeError(f"{type(value).__name__} is no JSON value")
    return write(value)


def _write_integer(value: int) -> Attribute:
    """Return an integer; as text beyond DynamoDB's 38 digits."""
    return {"N": repr(value)} if -(10**38) < value < 10**38 else {"S": repr(value)}


def _write_float(value: float) -> Attribute:
    """Return a number; as text beyond DynamoDB's exponents. boto3's serializer takes no float."""
    return {"N": repr(value)} if value == 0 or 1e-129 < abs(value) < 1e125 else {"S": repr(value)}


def _write_object(value: Mapping[str, object]) -> Attribute:
    return {"M": {name: {"S": one} if type(one) is str else _attribute(one) for name, one in value.items()}}


def _write_list(value: Iterable[object]) -> Attribute:
    return {"L": [_attribute(member) for member in value]}


def _write_record(value: Record) -> Attribute:
    return {"M": _members(value)}


_WRITERS: Mapping[type, Callable[[Any], Attribute]] = {
    str: lambda value: {"S": value},
    Status: lambda value: {"S": value.value},
    bool: lambda value: {"BOOL": value},
    int: _write_integer,
    float: _write_float,
    dict: _write_object,
    list: _write_list,
    tuple: _write_list,
    NoneType: lambda _: {"NULL": True},
    **dict.fromkeys((Attempt, Receipt, Refusal), _write_record),
}


def _document(record: Record) -> dict[str, Any]:
    document: dict[str, Any] = {}
    layout = _LAYOUTS[type(record)]
    for part in layout.parts:
        if (value := getattr(record, part.field)) is not None:
            document |= _document(value)
    for name, value in zip(layout.attributes, layout.values(record), strict=True):
        document[name] = _plain(value)
    return document | {"rest": dict(getattr(record, "rest", {}))} if layout.keeps_rest else document


def _plain(value: object) -> object:
    """Return a field of an order as plain values; the records in it become documents."""
    match value:
        case Attempt() | Receipt() | Refusal():
            return _document(value)
        case tuple():
            return tuple(map(_plain, value))
        case Mapping():
            return {name: _plain(member) for name, member in value.items()}
        case _:
            return value
