"""The moments of the calls to WeChat Pay, and of the function's log lines."""

from collections.abc import Iterable, Iterator

from ops.log_lines import LogLine
from sandbox.timeline.exchange import Exchange
from sandbox.timeline.moment import Level, Moment, unix

_LOGGED = ("reason", "code", "said", "field", "issue", "problem", "wait", "attempts", "receive_count")


def calls(exchanges: Iterable[Exchange]) -> Iterator[Moment]:
    """Yield a moment for each call, with WeChat Pay's code, message and `detail`."""
    for number, exchange in enumerate(exchanges):
        yield Moment(exchange.at, "call", _words(exchange), _level(exchange), _fields(exchange), number)


def _words(exchange: Exchange) -> str:
    where = "" if exchange.host == "main" else f" at the {exchange.host} host"
    what = exchange.operation or f"{exchange.method} {exchange.target}"
    if not exchange.status:
        return f"{what}{where}: no answer reached the caller"
    parts = [str(exchange.refusal.get("message", ""))]
    parts += [f"{name} {exchange.detail[name]}" for name in ("field", "issue", "location") if exchange.detail.get(name)]
    words = "; ".join(filter(None, parts))
    return f"{what}{where}: {exchange.status} {exchange.code}".rstrip() + (f": {words}" if words else "")


def _level(exchange: Exchange) -> Level:
    if 200 <= exchange.status < 300:
        return Level.GOOD
    return Level.BAD if 400 <= exchange.status < 500 else Level.WAIT


def _fields(exchange: Exchange) -> dict[str, object]:
    return {
        "operation": exchange.operation,
        "method": exchange.method,
        "target": exchange.target,
        "host": exchange.host,
        "status": exchange.status,
        "code": exchange.code,
        "message": exchange.refusal.get("message", ""),
        "detail": dict(exchange.detail),
        "signature": {"verified": exchange.is_verified, "problem": exchange.problem},
    }


def log_moments(lines: Iterable[LogLine]) -> Iterator[Moment]:
    """Yield a moment for each line of the function's log about the subject."""
    for number, line in enumerate(lines):
        fields = line.fields
        parts = [f"{name} {fields[name]}" for name in _LOGGED if fields.get(name) not in (None, "")]
        words = "; ".join((str(fields.get("message", "")), *parts))
        level = {"WARNING": Level.WAIT, "ERROR": Level.BAD}.get(str(fields.get("level")), Level.STEP)
        yield Moment(unix(line.at), "log", words, level, dict(fields), number)
