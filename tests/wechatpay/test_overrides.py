"""Every override of urllib3, requests, http.client and queue: registered, read, and called on the way of a call.

`wechatpay.http1`, `connection_pools` and `connections` lean on the insides of these libraries. A test fails where one
of them changes; the changed source is read again then, and the override with it.
"""

import hashlib
import inspect
import re
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection as StdlibConnection
from http.client import HTTPResponse as StdlibResponse
from importlib.metadata import version
from types import CodeType, FrameType
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool, _close_pool_connections
from urllib3.poolmanager import PoolManager
from urllib3.util.ssltransport import SSLTransport

from sandbox.waiting import PATIENCE
from wechatpay import connection_pools, connections, heads, http1
from wechatpay.connections import Session
from wechatpay.sockets import ProxySocket

from .wire import OK, Server, loopback_certificate, tunnel_to

ROOMS = (heads, http1, connection_pools, connections)
THIRD_PARTY = {"http", "queue", "requests", "urllib3"}


def _any(owner: Any) -> Any:
    """Let a type checker pass over what stubs leave out."""
    return owner


# What is overridden, or calls an override, and the SHA-256 of its source when it was read. http.client has no digest,
# because its source differs between CPython 3.11 and 3.14.
READ: dict[Any, str] = {
    HTTPConnection._new_conn: "83e6a5dd7db98a0a",
    HTTPConnection.connect: "b70c63e7308857b1",
    HTTPConnection.request: "751c8aa0eb50e741",
    HTTPConnection.getresponse: "b00fb0a4b235caa1",
    HTTPConnection.close: "8fe19deb36fa4b24",
    _any(HTTPConnection).is_connected.fget: "2a727e90f341c6eb",
    HTTPSConnection.connect: "2a2e1795406d7f38",
    HTTPSConnection._connect_tls_proxy: "3a32edb139845f44",
    HTTPConnectionPool._get_conn: "78fb22fdf2f90a26",
    HTTPConnectionPool._put_conn: "f4b8abb8b95650c7",
    HTTPConnectionPool._new_conn: "243b34ca0fe6eb15",
    HTTPSConnectionPool._new_conn: "a41f4433fded3c79",
    HTTPConnectionPool._make_request: "34d8501e40be381b",
    HTTPConnectionPool.urlopen: "6e4cd79631f91d15",
    HTTPConnectionPool._new_pool_queue: "5b304317a92319b4",
    _close_pool_connections: "b3129a509e217050",
    HTTPSConnectionPool._prepare_proxy: "905ee19370068d43",
    HTTPSConnectionPool._validate_conn: "1733e081ae57da06",
    PoolManager._new_pool: "6b5c00b2084b0ba4",
    SSLTransport._ssl_io_loop: "bb16201c229ff59f",
    SSLTransport.makefile: "4134fc317eb1567b",
    HTTPAdapter.__init__: "fd3e5e9d250eeebd",
    _any(HTTPAdapter).__getstate__: "f0297de15647ae46",
    _any(HTTPAdapter).__setstate__: "7b53db652d49de4c",
    HTTPAdapter.init_poolmanager: "dcc10b3b4da2db73",
    HTTPAdapter.proxy_manager_for: "a463432b830fda67",
    HTTPAdapter.cert_verify: "d5b2e7394e8c45f2",
    HTTPAdapter.build_response: "e10fa3a87ef21620",
    HTTPAdapter.build_connection_pool_key_attributes: "5c4516bca20d82d0",
    HTTPAdapter.get_connection_with_tls_context: "cf749a3be9e291a6",
    HTTPAdapter.send: "a8b4a1d8c114e29d",
    requests.Session.__init__: "2a9d61e574e2749a",
    requests.Session.send: "11793248454d9e3d",
    requests.Session.merge_environment_settings: "a8b1ebe6caf46b2e",
    _any(requests.PreparedRequest).path_url.fget: "52391a8a6d3900f9",
}


@pytest.mark.parametrize("function", READ, ids=lambda function: str(function.__qualname__))
def test_the_installed_source_is_the_one_that_was_read(function: Callable[..., Any]) -> None:
    """urllib3 2.8.0 and requests 2.34.2: where a function's source changes, the override is read again."""
    digest = hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:16]
    library = function.__module__.partition(".")[0]
    assert digest == READ[function], f"{function.__qualname__} of {library} {version(library)} has changed: read it"


def test_http_client_calls_what_is_overridden() -> None:
    """`begin` and `_tunnel` read the status by `_read_status`, from the file of `makefile`, in every CPython."""
    names = {
        function: set(_any(function).__code__.co_names)
        for function in (
            StdlibResponse.begin,
            StdlibResponse.__init__,
            StdlibConnection.getresponse,
            _any(HTTPConnection)._tunnel,
            _any(StdlibConnection)._send_output,
        )
    }
    assert "_read_status" in names[StdlibResponse.begin]
    assert "makefile" in names[StdlibResponse.__init__]
    assert "response_class" in names[StdlibConnection.getresponse]
    assert {"_read_status", "response_class", "send"} <= names[_any(HTTPConnection)._tunnel]
    assert "send" in names[_any(StdlibConnection)._send_output]


def _classes() -> Iterator[type]:
    for room in ROOMS:
        for kind in vars(room).values():
            if inspect.isclass(kind) and kind.__module__ == room.__name__:
                yield kind


def _ancestor(kind: type, name: str) -> type | None:
    """Return the class of another library from which a class inherits this name."""
    parents = (parent for parent in kind.__mro__[1:] if parent.__module__.partition(".")[0] in THIRD_PARTY)
    return next((parent for parent in parents if name in vars(parent)), None)


OVERRIDES = {
    f"{kind.__name__}.{name}": (member, ancestor)
    for kind in _classes()
    for name, member in vars(kind).items()
    if (ancestor := _ancestor(kind, name)) and (name == "__init__" or not name.startswith("__")) and name != "_abc_impl"
}
METHODS = {
    name: (member.fget if isinstance(member, property) else member, ancestor)
    for name, (member, ancestor) in OVERRIDES.items()
    if not inspect.isclass(member)
}
# How a docstring names a source: "urllib3 2.8.0, connection.py, HTTPConnection._new_conn".
SOURCE = re.compile(r"(urllib3 2\.8\.0, \w+\.py|requests 2\.34\.2, \w+\.py|http\.client), \w+")


def test_every_override_is_registered() -> None:
    """A new override of another library's method is a decision: it is listed here when its source has been read."""
    assert sorted(OVERRIDES) == [
        "Answer.__init__",
        "Answer._close_conn",
        "Answer._read_status",
        "Answer.begin",
        "Answer.close",
        "Connection._new_conn",
        "Connection._tunnel",
        "Connection.close",
        "Connection.connect",
        "Connection.getresponse",
        "Connection.is_connected",
        "Connection.request",
        "Connection.response_class",
        "Connection.send",
        "FinalRequest.path_url",
        "IdleConnections.__init__",
        "IdleConnections.get",
        "IdleConnections.put",
        "PlainHeads.begin",
        "Pool.ConnectionCls",
        "Pool.QueueCls",
        "Session.__init__",
        "Session.merge_environment_settings",
        "Session.send",
        "TLSConnection._connect_tls_proxy",
        "TLSPool.ConnectionCls",
        "TLSPool.QueueCls",
        "_Adapter.__init__",
        "_Adapter.build_connection_pool_key_attributes",
        "_Adapter.build_response",
        "_Adapter.cert_verify",
        "_Adapter.get_connection_with_tls_context",
        "_Adapter.init_poolmanager",
        "_Adapter.proxy_manager_for",
        "_Adapter.send",
    ]


@pytest.mark.parametrize(("override", "ancestor"), METHODS.values(), ids=METHODS)
def test_every_override_names_its_source(override: Callable[..., Any], ancestor: type) -> None:
    """The docstring of an override names library, version, file and function that it was read from."""
    assert SOURCE.search(" ".join(str(override.__doc__).split()))


@pytest.mark.parametrize(("override", "ancestor"), METHODS.values(), ids=METHODS)
def test_every_override_takes_the_arguments_of_what_it_overrides(override: Any, ancestor: type) -> None:
    """A call that fits the overridden signature fits the override; `_Adapter` and `Session` are made by us alone."""
    if override.__qualname__ in {"_Adapter.__init__", "Session.__init__"}:
        assert list(inspect.signature(override).parameters) == ["self"]
        return
    member: Any = vars(ancestor)[override.__name__]
    overridden: Any = member.fget if isinstance(member, property) else member
    parameters = inspect.signature(overridden).parameters.values()
    positional = [p.name for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    keywords = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    inspect.signature(override).bind(*positional, **dict.fromkeys(keywords))


# ---- what a call enters ----


@pytest.fixture(scope="module")
def entered(tmp_path_factory: pytest.TempPathFactory) -> frozenset[CodeType]:
    """Return the code of every function that is entered by calls of each kind: plain, TLS, and by both proxies."""
    pem = loopback_certificate(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    codes: set[CodeType] = set()

    def record(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            codes.add(frame.f_code)

    with pytest.MonkeyPatch.context() as environment, ExitStack() as stack:
        environment.setenv("REQUESTS_CA_BUNDLE", str(pem))
        plain, tls = Server(), Server(context)
        host = Server(context)
        stack.callback(plain.close)
        stack.callback(tls.close)
        stack.callback(host.close)
        plain.script, tls.script = [OK, OK, OK, tunnel_to(host)], [OK, tunnel_to(host)]
        host.script = [OK, OK]
        before = sys.getprofile()
        sys.setprofile(record)
        stack.callback(sys.setprofile, before)
        with Session() as session:
            for url in (plain.url, plain.url, tls.url):
                assert session.get(f"{url}/v3/x", timeout=PATIENCE).content == b"ok"
            request = connections.FinalRequest()
            request.prepare("GET", f"{plain.url}/v3/x")
            request.target = "/v3/x"
            assert session.send(request, timeout=PATIENCE).content == b"ok"
        for proxy in (plain.url, tls.url):
            with Session() as session:
                response = session.get(f"{host.url}/v3/x", proxies={"https": proxy}, timeout=PATIENCE)
                assert response.content == b"ok"
    return frozenset(codes)


@pytest.mark.parametrize("override", [override for override, _ in METHODS.values()], ids=METHODS)
def test_every_override_is_called_on_the_way_of_a_call(override: Any, entered: frozenset[CodeType]) -> None:
    """An override that its library has stopped calling does nothing; this is how that would be noticed."""
    assert override.__code__ in entered


@pytest.mark.parametrize("method", ["recv", "sendall", "__getattr__", "__setattr__"])
def test_tls_in_tls_goes_through_the_limited_socket(method: str, entered: frozenset[CodeType]) -> None:
    """urllib3's SSLTransport sends, receives and makes files by the methods that `ProxySocket` has."""
    assert vars(ProxySocket)[method].__code__ in entered


def test_every_class_is_used_that_a_class_attribute_names(main: Server) -> None:
    """Pools make our connections and keep them in our queue, connections make our answers."""
    main.script = [OK]
    with Session() as session:
        response = session.get(f"{main.url}/v3/x", timeout=PATIENCE)
        assert type(_any(response.raw)._original_response) is http1.Answer
        assert response.content == b"ok"
        manager = _any(session.get_adapter(main.url)).poolmanager
        (pool,) = (manager.pools[key] for key in list(manager.pools.keys()))
        assert type(pool) is connection_pools.Pool
        assert type(pool.pool) is connection_pools.IdleConnections
        connection = pool.pool.get()
        assert type(connection) is http1.Connection
        pool.pool.put(connection)
        tls_pool = manager.connection_from_url("https://pay.test")
        assert type(tls_pool) is connection_pools.TLSPool
        assert type(tls_pool.pool) is connection_pools.IdleConnections
        assert type(tls_pool._new_conn()) is http1.TLSConnection
