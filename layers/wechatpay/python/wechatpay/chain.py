"""Paths as Python: `client.v3.payscore.serviceorder._out_order_no_.sync`, after the official PHP and JS libraries.

Three spellings, one object:

    client.v3.payscore.serviceorder._out_order_no_.sync
    client.chain("v3/payscore/serviceorder/{out_order_no}/sync")
    client["v3/payscore/serviceorder/{out_order_no}/sync"]

Attribute names follow the official rule: a capital becomes `-` and its lower case (`payafterOrders` is
`payafter-orders`), `_x_` becomes `{x}`, inner underscores stay. Strings are taken literally.
A node is immutable; `str(node)` is its path. Nothing here speaks to the network: a `Caller` does.
"""

import re
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from wechatpay.answer import Answer
from wechatpay.message import escape

Timeout = float | tuple[float, float]
"""Seconds to connect and seconds for the whole answer; one number serves for both."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call before it is signed.

    `repeatable`: it may be executed twice, so that it is sent again where a kept connection died unheard; a GET always
    is. What may name people (values, body, query, headers) is not in its `repr`.
    """

    method: str
    template: str
    values: Mapping[str, object] = field(repr=False)
    json: object = field(default=None, repr=False)
    params: Mapping[str, object] | None = field(default=None, repr=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    timeout: Timeout | None = None
    repeatable: bool = False


class Caller(Protocol):
    """What makes the calls; in the end `wechatpay.Client`."""

    def call(self, call: Call, /) -> Answer:
        """Make the call and return the verified answer."""

    def call_async(self, call: Call, /) -> Coroutine[Any, Any, Answer]:
        """Make the same call without blocking the event loop."""


class Verb(Protocol):
    """A call waiting for its values: the path's by name, the rest by these words."""

    def __call__(
        self,
        *,
        json: object = None,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: Timeout | None = None,
        **values: object,
    ) -> Answer:
        """Make the call; raises TypeError or ValueError before anything is sent, WeChatPayError afterwards."""


class AsyncVerb(Protocol):
    """The same, to be awaited."""

    def __call__(
        self,
        *,
        json: object = None,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: Timeout | None = None,
        **values: object,
    ) -> Coroutine[Any, Any, Answer]:
        """Make the call on a thread of the client; see `Client.call_async` for what cancelling means."""


_PROBE = re.compile(r"_(repr|ipython|jupyter)_.*")  # what IPython asks every object for
_PLACEHOLDER_NAME = re.compile(r"_[^_].*_")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}")
_CAPITAL = re.compile(r"[A-Z]")
# RFC 3986 `pchar`, and upper-case escapes: what HTTP libraries pass on as it is.
_SEGMENT = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-F]{2}|\{[A-Za-z_][A-Za-z0-9_-]*\})+")


class Node:
    """One path, ready to be continued or called with `get`, `post`, `put`, `patch` or `delete`.

    Path values are given by name beside `json=`, `params=`, `headers=` and `timeout=`. Missing and surplus names
    raise TypeError, bad values (empty, `.`, `..`, with `/`, None) ValueError, always before anything is sent.
    """

    __slots__ = ("_caller", "_template")

    def __init__(self, caller: Caller, template: str) -> None:
        self._caller = caller
        self._template = template

    def __getattr__(self, name: str) -> "Node":
        part = segment(name)
        private = name.startswith("_") and not _PLACEHOLDER_NAME.fullmatch(name)
        if private or _PROBE.fullmatch(name) or not _SEGMENT.fullmatch(part):
            raise AttributeError(name)
        return self._continued(part)

    def __getitem__(self, path: str) -> "Node":
        return self.chain(path)

    __iter__ = None  # else `__getitem__` would make every node look like a sequence
    __contains__ = None

    def chain(self, path: str) -> "Node":
        """Continue by a literal path, which may hold `{name}` placeholders; ValueError where it cannot be sent."""
        return self._continued(literal(path))

    def _continued(self, part: str) -> "Node":
        return Node(self._caller, f"{self._template}/{part}" if self._template else part)

    @property
    def get(self) -> Verb:
        """GET the path."""
        return partial(self._call, "GET")

    @property
    def post(self) -> Verb:
        """POST to the path."""
        return partial(self._call, "POST")

    @property
    def put(self) -> Verb:
        """PUT to the path."""
        return partial(self._call, "PUT")

    @property
    def patch(self) -> Verb:
        """PATCH the path."""
        return partial(self._call, "PATCH")

    @property
    def delete(self) -> Verb:
        """DELETE the path."""
        return partial(self._call, "DELETE")

    @property
    def get_async(self) -> AsyncVerb:
        """GET the path, to be awaited."""
        return partial(self._call_async, "GET")

    @property
    def post_async(self) -> AsyncVerb:
        """POST to the path, to be awaited."""
        return partial(self._call_async, "POST")

    @property
    def put_async(self) -> AsyncVerb:
        """PUT to the path, to be awaited."""
        return partial(self._call_async, "PUT")

    @property
    def patch_async(self) -> AsyncVerb:
        """PATCH the path, to be awaited."""
        return partial(self._call_async, "PATCH")

    @property
    def delete_async(self) -> AsyncVerb:
        """DELETE the path, to be awaited."""
        return partial(self._call_async, "DELETE")

    def _call(self, method: str, /, **given: Any) -> Answer:  # noqa: ANN401  `Verb` has the types
        return self._caller.call(_call(method, self._template, given))

    async def _call_async(self, method: str, /, **given: Any) -> Answer:  # noqa: ANN401  `AsyncVerb` has the types
        return await self._caller.call_async(_call(method, self._template, given))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Node):
            return NotImplemented
        return self._caller is other._caller and self._template == other._template

    def __hash__(self) -> int:
        return hash((id(self._caller), self._template))

    def __str__(self) -> str:
        return self._template

    def __repr__(self) -> str:
        return f"<wechatpay {self._template}>"


_WORDS = frozenset({"json", "params", "headers", "timeout"})


def _call(method: str, template: str, given: Mapping[str, Any]) -> Call:
    values = {name: value for name, value in given.items() if name not in _WORDS}
    return Call(method, template, values, **{word: given[word] for word in _WORDS & given.keys()})


def segment(name: str) -> str:
    """Return the path segment that an attribute's name stands for: `payafterOrders` → `payafter-orders`."""
    hyphened = _CAPITAL.sub(lambda capital: f"-{capital[0].lower()}", name[:1].lower() + name[1:])
    return f"{{{hyphened[1:-1]}}}" if len(hyphened) > 2 and hyphened[0] == hyphened[-1] == "_" else hyphened


def literal(path: str) -> str:
    """Check a literal path and return it without its outer slashes; ValueError for what could not be sent as it is."""
    if not isinstance(path, str):
        raise TypeError(f"a path must be text, not {type(path).__name__}")
    trimmed = path.strip("/")
    for part in trimmed.split("/"):
        if part.replace("%2E", ".") in {"", ".", ".."}:  # HTTP libraries decode %2E
            raise ValueError(f"path {path!r} has an empty or relative segment")
        if not _SEGMENT.fullmatch(part):
            raise ValueError(f"path {path!r} cannot be sent as it is: use a {{placeholder}} for values, %XX for signs")
    return trimmed


def expand(template: str, values: Mapping[str, object]) -> str:
    """Return the path that goes over the wire, `/` first, each value percent-encoded once.

    Raises TypeError for missing and surplus names, ValueError for a value that is no single path segment.
    """
    names = set(_PLACEHOLDER.findall(template))
    if missing := sorted(names - values.keys()):
        raise TypeError(f"{template} needs {', '.join(missing)}")
    if surplus := sorted(values.keys() - names):
        raise TypeError(f"{template} has no place for {', '.join(surplus)}")
    return "/" + _PLACEHOLDER.sub(lambda found: _path_value(found[1], values[found[1]]), template)


def _path_value(name: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"{name} must be text, not {type(value).__name__}")  # noqa: TRY004  one error for bad values
    text = str(value)
    if text in {"", ".", ".."} or "/" in text:
        raise ValueError(f"{name} must be one path segment: not empty, no '/', not '.' or '..'")
    try:
        return escape(text)
    except UnicodeEncodeError:
        raise ValueError(f"{name} holds half a character (a lone surrogate)") from None
