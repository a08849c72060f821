"""Reading the exceptions of requests, urllib3 and http.client: may the request have left, and which words are harmless.

Their own texts repeat URLs with queries, passwords of proxies and pieces of answers; only texts that cannot hold any of
these are passed on.
"""

import ssl
from http.client import HTTPException, IncompleteRead, RemoteDisconnected

import requests
from requests import exceptions
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NewConnectionError,
    ProxyError,
    ProxySchemeUnknown,
)
from urllib3.util import Retry

from wechatpay.limits import OverdueError, TooLongError
from wechatpay.text import printable

_BEFORE_ANY_CONNECTION = (
    exceptions.MissingSchema,
    exceptions.InvalidSchema,
    exceptions.InvalidURL,  # of a proxy as well
    exceptions.ConnectTimeout,
    LocationValueError,
)

_WORDS: dict[type[BaseException], str] = {
    exceptions.MissingSchema: "the URL has no scheme",
    exceptions.InvalidSchema: "the URL has a scheme that is not served",
    exceptions.InvalidProxyURL: "the proxy's URL is malformed",
    exceptions.InvalidURL: "a URL is malformed",
    LocationValueError: "a URL is malformed",
    IncompleteRead: "the answer was cut off",
    RemoteDisconnected: "the connection was closed without an answer",
    HTTPException: "what came is not an HTTP answer",
}


def root(error: BaseException) -> BaseException:
    """Return the error that the others are wrapped around."""
    inner = _inner(error)
    return error if inner is None else root(inner)


def _inner(error: BaseException) -> BaseException | None:
    """Return the error that one of requests or urllib3 wraps, in whichever place it keeps it."""
    if not isinstance(error, requests.RequestException | HTTPError):
        return None
    candidates = (getattr(error, "reason", None), *reversed(error.args), error.__cause__)
    return next((each for each in candidates if isinstance(each, BaseException)), None)


def timed_out(error: BaseException) -> bool:
    """Return whether a limit of time was over, rather than the connection closed by the other side."""
    return isinstance(error, requests.Timeout | TimeoutError) or isinstance(root(error), TimeoutError)


def words(error: BaseException) -> str:
    """Return the error's name and its cause, at most 200 printable characters, nothing of the call or the answer."""
    cause = _cause(root(error))
    return printable(f"{type(error).__name__}: {cause}" if cause else type(error).__name__, 200)


def _cause(error: BaseException) -> str:
    """Return a harmless text for an error, empty where there is none."""
    match error:
        case ssl.SSLCertVerificationError():
            text = f"certificate verify failed: {error.verify_message}"
        case ssl.SSLError(reason=str(reason)):
            text = reason.replace("_", " ").lower()
        case OSError(strerror=str(text), filename=name) if not isinstance(error, requests.RequestException):
            text = f"{text}: {name}" if name else text
        case _ if isinstance(error, OverdueError | TooLongError | ProxySchemeUnknown) or type(error) is OSError:
            text = str(error)  # a bare OSError: http.client's of a tunnel, requests' of a CA bundle, our own
        case _:
            text = next((text for kind, text in _WORDS.items() if isinstance(error, kind)), "")
    return text


def never_sent(error: BaseException, session: requests.Session, url: str) -> bool:
    """Return whether nothing can have left this machine, by the error alone: the connections are not this library's.

    False where there is a doubt, such as a session that repeats by itself: an earlier try may have arrived.
    """
    if isinstance(error, exceptions.InvalidSchema | exceptions.MissingSchema):
        return True  # requests finds no adapter
    if _resends_by_itself(session, url):
        return False
    if isinstance(error, _BEFORE_ANY_CONNECTION):
        return True
    if type(error) is OSError:  # urllib3's are wrapped: this is requests', of a CA bundle that does not exist
        return str(error).startswith("Could not find")
    return _failed_while_connecting(error)


def _resends_by_itself(session: requests.Session, url: str) -> bool:
    """Return whether a session has been given `max_retries`."""
    retries = getattr(session.get_adapter(url), "max_retries", None)
    return isinstance(retries, Retry) and bool(retries.total)


def _failed_while_connecting(error: BaseException) -> bool:
    """Return whether an error was met while connecting: to the host, to a proxy, or at the start of a handshake.

    A ProxyError alone is no proof: urllib3 raises it for every failure on a connection that is closed already.
    """
    chain, cause = [error], _inner(error)
    while cause is not None:
        chain.append(cause)
        cause = _inner(cause)
    if any(isinstance(each, NewConnectionError | ConnectTimeoutError | ssl.SSLCertVerificationError) for each in chain):
        return True
    last = chain[-1]
    if isinstance(last, ssl.SSLError) and last.library == "X509":  # the bundle of authorities cannot be read
        return True
    refused = type(last) is OSError and str(last).startswith("Tunnel connection failed")
    return refused and any(isinstance(each, ProxyError | exceptions.ProxyError) for each in chain)
