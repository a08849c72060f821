"""TLS: one context for the whole process, and which certificate authorities it trusts."""

import errno
import os
import ssl
import threading
from pathlib import Path

import certifi

from wechatpay import forks

_contexts: dict[str, ssl.SSLContext] = {}
_parsing = threading.Lock()


def tls_context(bundle: str | None = None) -> ssl.SSLContext:
    """Return the process's one TLS context for a bundle of certificate authorities, a file or a hashed directory.

    Parsing a bundle takes 15 to 40 ms of CPU time; clients that share the context pay it once. Without `bundle` it is
    the environment's (see `ca_bundle`). Raise OSError for a bundle that does not exist or cannot be read.
    """
    bundle = bundle or ca_bundle()
    with _parsing:  # the first calls of a batch come together
        if bundle not in _contexts:
            if not Path(bundle).exists():  # `ssl` does not say which
                raise FileNotFoundError(errno.ENOENT, "no such bundle of certificate authorities", bundle)
            file, directory = (None, bundle) if Path(bundle).is_dir() else (bundle, None)
            _contexts[bundle] = ssl.create_default_context(cafile=file, capath=directory)
        return _contexts[bundle]


def ca_bundle() -> str:
    """Return the environment's bundle (`REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, `SSL_CERT_FILE`), or certifi's."""
    paths = (os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"))
    return next(filter(None, paths), certifi.where())


def _replace_lock() -> None:
    """Replace the lock: a thread that does not exist in the child may hold it."""
    global _parsing  # noqa: PLW0603  there is one per process
    _parsing = threading.Lock()


forks.in_child(_replace_lock)
