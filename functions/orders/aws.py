"""AWS clients: one boto3 session, whose connections share one TLS context.

By default boto3 parses the bundle of certificate authorities for each new connection (15 to 40 ms of CPU), and at each
cold start the endpoints of four hundred services (another 40 ms). Here it loads the part that this function uses, from
`models`, which `make models` writes, and of botocore's handlers of events those of these services.
"""

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.handlers import BUILTIN_HANDLERS
from botocore.httpsession import URLLib3Session
from botocore.loaders import Loader
from botocore.utils import get_environ_proxies

from orders.lean_boto3 import boto3
from orders.plain_calls import PlainCalls

MODELS = Path(__file__).with_name("models")
SERVICES = frozenset({"dynamodb", "eventbridge", "events", "secrets-manager", "secretsmanager", "sqs"})
"""As botocore's events name them, the new way and the old."""


def our_handlers() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield botocore's handlers for every service and for ours: a twelfth of them."""
    for event, handler, *order in BUILTIN_HANDLERS:
        kind, _, rest = event.partition(".")
        if not order and kind != "docs" and rest.partition(".")[0] in {*SERVICES, "*", ""}:
            yield event, handler


class Clients(Protocol):
    """Makes boto3's clients."""

    def client(self, service: str) -> Any:  # noqa: ANN401  boto3 makes its clients at run time
        """Return the client of an AWS service, such as `sqs`."""


class Aws:
    """Makes the clients.

    `context` has the certificate authorities, `connections` is how many a client keeps open. `timeout` is the seconds
    to connect and to wait for an answer: AWS answers in milliseconds, or the next of the `attempts` does.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        connections: int,
        timeout: tuple[float, float] = (2, 5),
        attempts: int = 3,
    ) -> None:
        core = botocore.session.Session(include_builtin_handlers=False)
        for event, handler in our_handlers():
            core.register(event, handler)
        core.register_component("data_loader", _Models([str(MODELS)], include_default_search_paths=False))
        self._session = boto3.Session(botocore_session=core)
        self._context = context
        self._timeout, self._connections, self._attempts = timeout, connections, attempts
        self._config = Config(
            connect_timeout=timeout[0],
            read_timeout=timeout[1],
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=connections,
            parameter_validation=False,  # tests/orders/test_aws.py checks every request against the models
            user_agent=f"Boto3/{boto3.__version__} app/wechat-payscore-sync",  # else composed twice for each call
        )

    def client(self, service: str) -> Any:  # noqa: ANN401  boto3 makes its clients at run time
        """Return a client, safe to use from many threads."""
        client, proxies = self._client(service, self._config)
        if service == "dynamodb" and not proxies:
            fewer = Config(retries={"mode": "standard", "total_max_attempts": max(1, self._attempts - 1)})
            PlainCalls(
                self._context,
                timeout=self._timeout,
                connections=self._connections,
                plain_client=lambda: self._client(service, self._config.merge(fewer))[0],
            ).register(client.meta.events)
        return client

    def _client(self, service: str, config: Config) -> tuple[Any, dict[str, str]]:
        """Return a client with connections of our own, and the proxies before its host."""
        make: Any = self._session.client  # whose overloads want literals
        client = make(service, config=config)
        proxies = get_environ_proxies(client.meta.endpoint_url)
        connections = _Connections(
            self._context,
            proxies=proxies,
            timeout=self._timeout,
            max_pool_connections=self._connections,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],  # else header and body are 40 ms apart
        )
        client.meta.events.register("before-send", connections.send_signed)  # its return value is the answer
        return client, proxies


class _Models(Loader):
    """Loads `models`, which is a part of botocore's own data."""

    def is_builtin_path(self, path: str) -> bool:
        """Return True for `models`, as for the data that botocore ships.

        Otherwise botocore takes every host for one that the user has chosen, and leaves out the rules for dualstack,
        FIPS and account endpoints (`ClientArgsCreator.compute_endpoint_resolver_builtin_defaults`).
        """
        return Path(path).is_relative_to(MODELS) or bool(super().is_builtin_path(path))


class _Connections(URLLib3Session):
    """botocore's HTTP session with a TLS context that is made once."""

    def __init__(self, context: ssl.SSLContext, **options: Any) -> None:  # noqa: ANN401  as botocore has it
        self._context = context
        super().__init__(**options)

    def send_signed(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        """Send a request that botocore has signed."""
        return self.send(request)

    def _get_ssl_context(self) -> ssl.SSLContext:
        return self._context

    def _setup_ssl_cert(self, conn: Any, url: str, verify: object) -> None:  # noqa: ANN401  as botocore has it
        """Require certificates, as botocore does; the authorities are in the context already."""
        conn.cert_reqs, conn.ca_certs = "CERT_REQUIRED", None
