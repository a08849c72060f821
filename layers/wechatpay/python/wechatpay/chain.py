"""Paths as Python: `client.v3.payscore.serviceorder._out_order_no_.sync`, after the official PHP and JS libraries.

Three spellings, one object:

    client.v3.payscore.serviceorder._out_order_no_.sync
    client.chain("v3/payscore/serviceorder/{out_order_no}/sync")
    client["v3/payscore/serviceorder/{out_order_no}/sync"]

Attribute names follow the official rule: a capital becomes `-` and its lower case (`payafterOrders` is
`payafter-orders`), `_x_` becomes `{x}`, inner underscores stay. Strings are taken literally.
A node is immutable; `str(node)` is its path. Nothing here uses the network: the client that a path began at does.
"""

import re
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from wechatpay.answer import Answer
from wechatpay.paths import is_segment, literal, segment

Timeout: TypeAlias = float | tuple[float, float]
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


class SupportsCalls(Protocol):
    """What makes the calls of a path; in the end `wechatpay.Client`."""

    def call(self, call: Call, /) -> Answer:
        """Make the call and return the verified answer."""

    def call_async(self, call: Call, /) -> Coroutine[object, None, Answer]:
        """Make the same call without blocking the event loop."""


class _PathMethod:
    """A method of one path, and the client that makes its calls."""

    __slots__ = ("_client", "_method", "_template")

    def __init__(self, client: SupportsCalls, method: str, template: str) -> None:
        self._client = client
        self._method = method
        self._template = template

    def __repr__(self) -> str:
        return f"<wechatpay {self._method} {self._template}>"


class Verb(_PathMethod):
    """A method of one path, such as `client.v3.certificates.get`; calling it makes the call."""

    __slots__ = ()

    def __call__(
        self,
        /,
        *,
        json: object = None,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: Timeout | None = None,
        **values: object,
    ) -> Answer:
        """Make the call.

        Args:
            json: the body, of what JSON can hold without null, NaN and emoji.
            params: the query; a list repeats its name.
            headers: further headers, in place of the library's own where they have the same name.
            timeout: seconds to connect and seconds for the whole answer; the client's by default.
            **values: the path's values by name, text or whole numbers.

        Returns:
            The verified answer.

        Raises:
            TypeError: path names are missing or surplus; nothing was sent.
            ValueError: a value cannot be sent; nothing was.
            UnansweredError, RefusedError, UntrustedError: as `Client.call` raises them.
        """
        return self._client.call(Call(self._method, self._template, values, json, params, headers, timeout))


class AsyncVerb(_PathMethod):
    """The same method, awaited: the call is made on a thread of the client."""

    __slots__ = ()

    async def __call__(
        self,
        /,
        *,
        json: object = None,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: Timeout | None = None,
        **values: object,
    ) -> Answer:
        """Make the call as `Verb` does; see `Client.call_async` for what cancelling means."""
        return await self._client.call_async(Call(self._method, self._template, values, json, params, headers, timeout))


_PROBE = r"_(repr|ipython|jupyter)_.*"  # what IPython asks every object for
_PLACEHOLDER_NAME = r"_[^_].*_"


class Node:
    """One path, ready to be continued or called with `get`, `post`, `put`, `patch` or `delete`.

    Path values are given by name, together with `json=`, `params=`, `headers=` and `timeout=`. Missing and surplus
    names raise TypeError, bad values (empty, `.`, `..`, with `/`, None) ValueError, always before anything is sent.
    """

    __slots__ = ("_client", "_template")

    def __init__(self, client: SupportsCalls, template: str) -> None:
        self._client = client
        self._template = template

    def __getattr__(self, name: str) -> "Node":
        part = segment(name)
        private = name.startswith("_") and not re.fullmatch(_PLACEHOLDER_NAME, name)
        if private or re.fullmatch(_PROBE, name) or not is_segment(part):
            raise AttributeError(name)
        return self._append(part)

    def __getitem__(self, path: str) -> "Node":
        return self.chain(path)

    __iter__ = None  # else `__getitem__` would make every node look like a sequence
    __contains__ = None

    def chain(self, path: str) -> "Node":
        """Continue by a literal path, which may hold `{name}` placeholders; ValueError where it cannot be sent."""
        return self._append(literal(path))

    def _append(self, part: str) -> "Node":
        return Node(self._client, f"{self._template}/{part}" if self._template else part)

    @property
    def get(self) -> Verb:
        """GET the path."""
        return Verb(self._client, "GET", self._template)

    @property
    def post(self) -> Verb:
        """POST to the path."""
        return Verb(self._client, "POST", self._template)

    @property
    def put(self) -> Verb:
        """PUT to the path."""
        return Verb(self._client, "PUT", self._template)

    @property
    def patch(self) -> Verb:
        """PATCH the path."""
        return Verb(self._client, "PATCH", self._template)

    @property
    def delete(self) -> Verb:
        """DELETE the path."""
        return Verb(self._client, "DELETE", self._template)

    @property
    def get_async(self) -> AsyncVerb:
        """GET the path, awaited."""
        return AsyncVerb(self._client, "GET", self._template)

    @property
    def post_async(self) -> AsyncVerb:
        """POST to the path, awaited."""
        return AsyncVerb(self._client, "POST", self._template)

    @property
    def put_async(self) -> AsyncVerb:
        """PUT to the path, awaited."""
        return AsyncVerb(self._client, "PUT", self._template)

    @property
    def patch_async(self) -> AsyncVerb:
        """PATCH the path, awaited."""
        return AsyncVerb(self._client, "PATCH", self._template)

    @property
    def delete_async(self) -> AsyncVerb:
        """DELETE the path, awaited."""
        return AsyncVerb(self._client, "DELETE", self._template)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Node):
            return NotImplemented
        return self._client is other._client and self._template == other._template

    def __hash__(self) -> int:
        return hash((id(self._client), self._template))

    def __str__(self) -> str:
        return self._template

    def __repr__(self) -> str:
        return f"<wechatpay {self._template}>"
