"""The way to AWS: one boto3 session, and connections of which all share one TLS context.

Left to itself boto3 parses the bundle of certificate authorities for each new connection anew (15 to 40 ms of
processor), and at each cold start the endpoints of four hundred services (another 40). It finds the part that this
function uses in `models`, which `make models` writes.
"""

import socket
import ssl
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.httpsession import URLLib3Session
from botocore.loaders import Loader
from botocore.utils import get_environ_proxies

MODELS = Path(__file__).with_name("models")


class Aws:
    """Makes the clients; `context` says which authorities may vouch for AWS, `connections` how many a client keeps."""

    def __init__(self, context: ssl.SSLContext, *, connections: int) -> None:
        core = botocore.session.Session()
        core.register_component("data_loader", _Models([str(MODELS)], include_default_search_paths=False))
        self._session = boto3.Session(botocore_session=core)
        self._context = context
        self._config = Config(
            connect_timeout=2,  # seconds: AWS answers in milliseconds, or another try will
            read_timeout=5,
            retries={"mode": "standard", "total_max_attempts": 3},
            max_pool_connections=connections,
            parameter_validation=False,  # ours are written by this program, and tried against the models by its tests
            user_agent=f"Boto3/{boto3.__version__} app/wechat-payscore-sync",  # else composed anew twice for each call
        )

    def client(self, service: str) -> Any:  # noqa: ANN401  boto3 makes its clients at run time
        """Return a client, safe to use from many threads."""
        make: Any = self._session.client  # whose overloads want literals
        client = make(service, config=self._config)
        config = client.meta.config
        connections = _Connections(
            self._context,
            proxies=get_environ_proxies(client.meta.endpoint_url),
            timeout=(config.connect_timeout, config.read_timeout),
            max_pool_connections=config.max_pool_connections,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],  # else header and body are 40 ms apart
        )
        client.meta.events.register("before-send", connections.sent)  # what it returns is the answer
        return client


class _Models(Loader):
    """botocore's own data, of which `models` is a part."""

    def is_builtin_path(self, path: str) -> bool:
        """Count as what botocore brings along.

        Otherwise it takes every host for one that the user has chosen, and leaves out the rules for dualstack, FIPS
        and account endpoints (`ClientArgsCreator.compute_endpoint_resolver_builtin_defaults`).
        """
        return Path(path).is_relative_to(MODELS) or bool(super().is_builtin_path(path))


class _Connections(URLLib3Session):
    """botocore's own HTTP, whose TLS context is made once and given to it."""

    def __init__(self, context: ssl.SSLContext, **options: Any) -> None:  # noqa: ANN401  as botocore has it
        self._context = context
        super().__init__(**options)

    def sent(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        """Send a request that botocore has signed."""
        return self.send(request)

    def _get_ssl_context(self) -> ssl.SSLContext:
        return self._context

    def _setup_ssl_cert(self, conn: Any, url: str, verify: object) -> None:  # noqa: ANN401  as botocore has it
        """Certificates are required as ever; who may have signed them is in the context already."""
        conn.cert_reqs, conn.ca_certs = "CERT_REQUIRED", None
