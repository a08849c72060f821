"""Faults of a gateway or a captive portal: never signed, and without a code of WeChat Pay's."""

from sandbox.wechat_pay.draft import Draft
from sandbox.wechat_pay.faults.registry import When, fault
from sandbox.wechat_pay.message import SimulatedReply

_HTML = "<html><head><title>{status}</title></head><body><center>{status}</center></body></html>"


def _page(status: int, body: str | None) -> SimulatedReply:
    """Make a page of HTML unless `body` says otherwise."""
    text = _HTML.format(status=status) if body is None else body
    return SimulatedReply(status, text.encode(), {"Content-Type": "text/html"} if text else {}, signed=False)


@fault(When.BEFORE)
def gateway_error(draft: Draft) -> Draft:
    """502 with a page of HTML."""
    headers = {"Content-Type": "text/html"}
    return draft.with_reply(SimulatedReply(502, b"<html>Bad Gateway</html>", headers, signed=False))


@fault(When.BEFORE)
def gateway_408(draft: Draft, *, status: int = 408, body: str | None = None) -> Draft:
    """A 4xx of a gateway, without a code of WeChat Pay's."""
    return draft.with_reply(_page(status, body))


@fault(When.AFTER)
def gateway_408_after(draft: Draft, *, status: int = 408, body: str | None = None) -> Draft:
    """Executed, then answered as by `gateway_408`."""
    return draft.with_reply(_page(status, body))


@fault(When.BEFORE)
def html_200(draft: Draft, *, body: str | None = None) -> Draft:
    """200 with a page of HTML, unsigned: a captive portal."""
    return draft.with_reply(_page(200, body))


@fault(When.BEFORE)
def redirect(draft: Draft, *, location: str = "http://127.0.0.1:9/") -> Draft:
    """302 to another address."""
    return draft.with_reply(SimulatedReply(302, b"", {"Location": location}, signed=False))
