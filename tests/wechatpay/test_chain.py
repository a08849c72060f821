"""Paths as Python: three spellings of one object, and only whole paths are sent."""

import asyncio
import copy
import functools
import inspect
import pickle
import string
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from wechatpay.answer import Answer
from wechatpay.chain import Call, Node
from wechatpay.client import Client
from wechatpay.paths import expand, literal, segment
from wechatpay.platform_keys import PlatformKeys

PATH = "v3/payscore/serviceorder/{out_order_no}/sync"


class Recorder:
    """A client that records its calls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def call(self, call: Call, /) -> Answer:
        """Record the call, after its path could be expanded."""
        path = expand(call.template, call.values)
        self.calls.append(call)
        return Answer(204, {}, b"", "", "", call.method, path)

    async def call_async(self, call: Call, /) -> Answer:
        """Record the call on the event loop."""
        await asyncio.sleep(0)
        return self.call(call)


class Root(Node):
    """A node with an empty path, as a client is."""

    __slots__ = ()

    def __init__(self, caller: Recorder) -> None:
        super().__init__(caller, "")


@pytest.fixture
def recorder() -> Recorder:
    """The client that records."""
    return Recorder()


@pytest.fixture
def client(recorder: Recorder) -> Node:
    """The beginning of all paths."""
    return Root(recorder)


def spellings(client: Node | Client) -> list[Node]:
    """Return one path in the three documented spellings."""
    chained = client.v3.payscore.serviceorder._out_order_no_.sync
    return [chained, client.chain(PATH), client[PATH]]


def test_three_spellings_are_one_object(client: Node, recorder: Recorder) -> None:
    """The three spellings of a path are equal, have one hash and are printed as the path."""
    nodes = spellings(client)
    assert all(node == nodes[0] for node in nodes)
    assert len(set(nodes)) == 1
    assert {str(node) for node in nodes} == {PATH}
    assert repr(nodes[0]) == f"<wechatpay {PATH}>"
    assert nodes[0] != client.chain("v3/payscore")
    assert nodes[0] != Root(Recorder())[PATH]
    assert nodes[0] != PATH


@pytest.mark.parametrize("spelling", range(3), ids=["pure chain", "declarative", "array style"])
@pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete"])
@pytest.mark.parametrize("mode", ["", "_async"], ids=["sync", "async"])
def test_every_form_makes_the_same_call(client: Node, recorder: Recorder, spelling: int, verb: str, mode: str) -> None:
    """Each of six forms and five verbs makes a call with the method, values and options that were passed."""
    call = getattr(spellings(client)[spelling], verb + mode)
    words: dict[str, Any] = {"json": {"a": 1}, "params": {"b": 2}, "headers": {"C": "3"}, "timeout": (1.0, 2.0)}
    answer = call(out_order_no="A|B", **words)
    if mode:
        answer = asyncio.run(answer)
    assert answer.path == "/v3/payscore/serviceorder/A%7CB/sync"
    assert recorder.calls == [Call(verb.upper(), PATH, {"out_order_no": "A|B"}, **words)]


def test_a_call_waits_until_it_is_awaited(client: Node, recorder: Recorder) -> None:
    """An asynchronous call that is never awaited is never sent."""
    waiting = client[PATH].post_async(out_order_no="1")
    waiting.close()
    assert recorder.calls == []


SAFE = st.text(string.ascii_letters + string.digits + "-._~!$&'()*+,;=:@", min_size=1, max_size=8)
SEGMENT = SAFE.filter(lambda text: text not in {".", ".."}) | st.from_regex(r"\{[a-z_][a-z_]{0,5}\}", fullmatch=True)
PATHS = st.lists(SEGMENT, min_size=1, max_size=5).map("/".join)


@given(PATHS, st.integers(0, 4), st.booleans(), st.booleans())
def test_a_string_is_taken_literally_wherever_it_is_cut(path: str, cut: int, before: bool, after: bool) -> None:
    """A literal path keeps its capitals, loses outer slashes and may be given in parts."""
    client = Root(Recorder())
    parts = path.split("/")
    head, tail = "/".join(parts[:cut]), "/".join(parts[cut:])
    whole = client.chain("/" * before + path + "/" * after)
    assert str(whole) == path
    assert whole == client[path]
    if head and tail:
        assert whole == client.chain(head).chain(tail) == client[head][tail] == client.chain(head)[tail]


TAKEN = {name for name in dir(Node) if not name.startswith("_")}
NAMES = st.from_regex(r"[a-z][a-zA-Z0-9_]{0,8}|_[a-z][a-z0-9_]{0,8}_", fullmatch=True).filter(
    lambda name: name not in TAKEN and not name.startswith(("_repr_", "_ipython_", "_jupyter_"))
)


@given(st.lists(NAMES, min_size=1))
def test_the_three_spellings_agree_for_every_path(names: list[str]) -> None:
    """For any path the three spellings and every mixture of them are equal."""
    client = Root(Recorder())
    path = "/".join(segment(name) for name in names)
    chained = functools.reduce(getattr, names, client)
    mixed: Node = client
    for position, name in enumerate(names):
        mixed = mixed[segment(name)] if position % 2 else getattr(mixed, name)
    assert chained == mixed == client.chain(path) == client[path]
    assert hash(chained) == hash(client[path])
    assert str(chained) == path


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("v3", "v3"),
        ("serviceorder", "serviceorder"),
        ("payafterOrders", "payafter-orders"),
        ("merchantService", "merchant-service"),
        ("ComplaintNotifications", "complaint-notifications"),
        ("direct_complete", "direct_complete"),
        ("trailing_", "trailing_"),
        ("_out_order_no_", "{out_order_no}"),
        ("_outOrderNo_", "{out-order-no}"),
        ("_variableMixed_underline_", "{variable-mixed_underline}"),
    ],
)
def test_an_attribute_follows_the_official_rule(client: Node, name: str, path: str) -> None:
    """Attribute names become path segments by the rule of the official PHP and JS libraries."""
    assert str(getattr(client, name)) == path


def test_a_node_never_changes(client: Node) -> None:
    """A node that is continued twice is the beginning of two paths."""
    begin = client.v3.payscore
    assert str(begin.serviceorder) == "v3/payscore/serviceorder"
    assert str(begin.partner) == "v3/payscore/partner"
    assert str(begin) == "v3/payscore"
    with pytest.raises(AttributeError):
        begin.partner = 1  # type: ignore[attr-defined]


def test_import_is_a_path_like_any_other(client: Node) -> None:
    """`[]` and `chain()` reach segments that are Python keywords or names of verbs."""
    assert str(client.v3["import"]) == str(client.v3.chain("import")) == "v3/import"
    assert str(client.v3["get"].x) == "v3/get/x"


@pytest.mark.parametrize(
    "name",
    [
        "__len__",
        "__array__",
        "__wrapped__",
        "__rich_repr__",
        "__deepcopy__",
        "_repr_html_",
        "_repr_mimebundle_",
        "_ipython_display_",
        "_ipython_canary_method_should_not_exist_",
        "_jupyter_messages_",
        "_is_coroutine",
        "_private",
        "_",
        "__",
        "___",
        "awehflow aweihflwehf",
        "a/b",
        "充电宝",
        "",
    ],
)
def test_what_others_ask_every_object_for_is_no_path(client: Node, name: str) -> None:
    """Attributes that IPython, inspect, rich, numpy and mocks look for raise AttributeError."""
    assert not hasattr(client.v3, name)
    assert not hasattr(client, name)


def test_a_node_behaves_where_objects_are_looked_at(client: Node) -> None:
    """A node is not callable, not iterable, no container and no coroutine function."""
    node = client.v3.payscore
    assert inspect.unwrap(node) is node  # type: ignore[arg-type]
    assert not inspect.iscoroutinefunction(node)
    assert not callable(node)
    assert bool(node) is True
    with pytest.raises(TypeError, match="not iterable"):
        iter(node)
    with pytest.raises(TypeError):
        "v3" in node  # noqa: B015
    assert dict(inspect.getmembers(node))["_template"] == "v3/payscore"


class Silent:
    """A client that can be pickled."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Silent)

    def __hash__(self) -> int:
        return 1


def test_a_node_is_copied_and_pickled_like_any_object(client: Node) -> None:
    """A copied or unpickled node has the same path."""
    node = client.v3[PATH]
    assert copy.copy(node) == node
    silent = Node(Silent(), PATH)  # type: ignore[arg-type]
    assert str(pickle.loads(pickle.dumps(silent))) == PATH  # noqa: S301
    assert str(copy.deepcopy(silent)) == PATH


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "v3//x",
        "v3/./x",
        "v3/../x",
        "v3/%2E/x",
        "v3/%2E./x",
        "v3/x?y=1",
        "v3/x#y",
        "v3/a b",
        "v3/a|b",
        "v3/充电宝",
        "v3/%7c",
        "v3/100%",
        "v3/x\n",
        "v3/{",
        "v3/{}",
        "v3/{a b}",
        "v3/{+url}",
        "v3/{{x}}",
        "https://api.mch.weixin.qq.com/v3/x",
    ],
)
def test_a_path_that_cannot_be_sent_as_it_is_is_refused(client: Node, path: str) -> None:
    """A literal path that cannot be sent as it is raises ValueError when it is written."""
    for spelling in (client.chain, client.__getitem__):
        with pytest.raises(ValueError, match=r"^path "):
            spelling(path)


def test_a_refused_path_is_shown_with_its_remedy(client: Node) -> None:
    """The error of a refused path shows the path and the remedy."""
    with pytest.raises(ValueError, match=r"^path 'v3//x' has an empty or relative segment$"):
        client.chain("v3//x")
    with pytest.raises(
        ValueError,
        match=r"^path 'v3/a\|b' cannot be sent as it is: use a \{placeholder\} for values, %XX for characters$",
    ):
        client.chain("v3/a|b")
    with pytest.raises(TypeError, match=r"^a path must be text, not int$"):
        client.chain(3)  # type: ignore[arg-type]
    assert str(client.chain("/X/x/X/")) == "X/x/X"


def test_a_wrong_name_is_shown_with_the_path() -> None:
    """The error of missing or surplus path values names all of them, sorted."""
    with pytest.raises(TypeError, match=r"^v3/\{b\}/\{a\} needs a, b$"):
        expand("v3/{b}/{a}", {"c": "1"})
    with pytest.raises(TypeError, match=r"^v3/\{a\} has no place for b, c$"):
        expand("v3/{a}", {"c": "1", "b": "2", "a": "3"})


def test_a_call_does_not_change() -> None:
    """A call is frozen."""
    with pytest.raises(FrozenInstanceError):
        Call("GET", PATH, {}).method = "POST"  # type: ignore[misc]


@pytest.mark.parametrize("path", [None, 3, b"v3/x", ["v3"]])
def test_a_path_is_text(client: Node, path: Any) -> None:
    """A path that is not text raises TypeError."""
    with pytest.raises(TypeError, match="a path must be text"):
        client[path]


@pytest.mark.parametrize("verb", ["post", "post_async"])
@pytest.mark.parametrize(
    ("values", "error", "text"),
    [
        ({}, TypeError, "needs out_order_no"),
        ({"order": "1"}, TypeError, "needs out_order_no"),
        ({"out_order_no": "1", "appid": "wx", "b": "2"}, TypeError, "has no place for appid, b"),
        ({"out_order_no": None, "appid": "wx"}, TypeError, "has no place for appid"),
        ({"out_order_no": None}, ValueError, "out_order_no must be text, not NoneType"),
        ({"out_order_no": True}, ValueError, "out_order_no must be text, not bool"),
        ({"out_order_no": b"1"}, ValueError, "out_order_no must be text, not bytes"),
        ({"out_order_no": 1.5}, ValueError, "out_order_no must be text, not float"),
        ({"out_order_no": ""}, ValueError, "out_order_no must be one path segment"),
        ({"out_order_no": "."}, ValueError, "out_order_no must be one path segment"),
        ({"out_order_no": ".."}, ValueError, "out_order_no must be one path segment"),
        ({"out_order_no": "a/../b"}, ValueError, "out_order_no must be one path segment"),
        ({"out_order_no": "\ud83d"}, ValueError, "out_order_no holds half a character"),
    ],
)
def test_values_are_judged_before_anything_is_signed(
    merchant_key: rsa.RSAPrivateKey,
    platform_keys: PlatformKeys,
    verb: str,
    values: dict[str, Any],
    error: type[Exception],
    text: str,
) -> None:
    """Missing names raise TypeError first, then surplus names, then bad values ValueError; nothing is signed."""
    client = Client(
        mchid="1230000109",
        serial_no="3775B6A45ACD5888",
        private_key=merchant_key,
        platform_keys=platform_keys,
        base_url="http://127.0.0.1:9",
        nonce=lambda: pytest.fail("something was signed"),
    )
    for node in spellings(client):
        with pytest.raises(error, match=text):
            run(getattr(node, verb)(json={}, **values))


def run(outcome: Any) -> None:
    """Let an asynchronous call run."""
    if asyncio.iscoroutine(outcome):
        asyncio.run(outcome)


@pytest.mark.parametrize(
    ("value", "sent"),
    [("A|B*C", "A%7CB*C"), ("100%", "100%25"), ("宝", "%E5%AE%9D"), (42, "42"), ("a?b#c", "a%3Fb%23c")],
)
def test_a_value_is_encoded_once(value: str | int, sent: str) -> None:
    """A value is percent-encoded once, so that no HTTP library changes it after it was signed."""
    assert expand(PATH, {"out_order_no": value}) == f"/v3/payscore/serviceorder/{sent}/sync"


def test_two_values_may_share_a_segment_and_one_may_stand_twice() -> None:
    """Placeholders may share a segment, and one may be used twice."""
    assert expand("v3/{a}-{b}/{a}", {"a": "1", "b": "2"}) == "/v3/1-2/1"


def test_a_value_that_looks_like_a_place_is_a_value() -> None:
    """A value that looks like a placeholder is not expanded."""
    assert expand("v3/{a}/{b}", {"a": "{b}", "b": "x"}) == "/v3/%7Bb%7D/x"


def test_any_name_may_be_a_place_but_the_four_words(client: Node, recorder: Recorder) -> None:
    """`self` and `method` can be placeholders; `json`, `params`, `headers` and `timeout` are always options."""
    client["v3/{self}/{method}/{call}"].get(self="1", method="2", call="3")
    assert recorder.calls[0].values == {"self": "1", "method": "2", "call": "3"}
    with pytest.raises(TypeError, match="needs json"):
        client["v3/{json}"].get(json="1")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_value_stays_one_segment_or_is_refused(value: str) -> None:
    """Any value stays within its segment of the path or raises ValueError."""
    try:
        path = expand(PATH, {"out_order_no": value})
    except ValueError:
        assert value in {"", ".", ".."} or "/" in value
        return
    begin, end = "/v3/payscore/serviceorder/", "/sync"
    assert path.startswith(begin)
    assert path.endswith(end)
    assert literal(path.removesuffix(end).removeprefix(begin)) not in {".", ".."}


@given(st.text())
def test_a_literal_path_is_sent_as_written_or_refused(path: str) -> None:
    """Any text is a path as written or raises ValueError."""
    try:
        node = Root(Recorder()).chain(path)
    except ValueError:
        return
    assert str(node) == path.strip("/")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("_a_", "{a}"),
        ("_a", "_a"),
        ("a_", "a_"),
        ("aba", "aba"),
        ("zaz", "zaz"),
        ("a_b", "a_b"),
        ("__", "__"),
        ("_", "_"),
    ],
)
def test_underscores_make_a_place_only_around_a_name(name: str, part: str) -> None:
    """Underscores make a placeholder only where both are there and a name between them."""
    assert segment(name) == part


def test_paths_differ_whichever_comes_first(client: Node) -> None:
    """Two paths are unequal in either order of comparison."""
    assert client.chain("v3/a") != client.chain("v3/b")
    assert client.chain("v3/b") != client.chain("v3/a")
