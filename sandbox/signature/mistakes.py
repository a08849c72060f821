"""The mistakes that clients make in the text that they sign: for each part of the text, what else is often signed.

A `Variant` without a mistake is the right one. Texts are tried with every combination, the fewest mistakes first.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote, unquote, unquote_plus

from sandbox.signature.difference import Difference, first_difference


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong in one sentence, and the remedy."""

    words: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Variant[T]:
    """One value of a part of the text; without a mistake it is the right one."""

    value: T
    mistake: Mistake | None = None
    difference: Difference | None = None


METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
HOSTS = ("api.mch.weixin.qq.com", "api2.mch.weixin.qq.com", "apihk.mch.weixin.qq.com")


def methods(method: str) -> Iterator[Variant[str]]:
    """Yield the methods that may have been signed."""
    yield Variant(method)
    remedy = f"sign {method}, as it is sent"
    for word in (method.lower(), method.capitalize(), *METHODS, ""):
        if word != method:
            case = "in another case" if word.upper() == method else "another one" if word else "left out"
            yield Variant(word, Mistake(f"the method is {case}: {word or 'nothing'} was signed", remedy))


def targets(target: str, hosts: tuple[str, ...]) -> Iterator[Variant[str]]:
    """Yield the URLs that may have been signed; `target` is path and query as they stood on the wire."""
    yield Variant(target)
    path, mark, query = target.partition("?")
    remedy = f"sign path and query as they are sent: {target}"

    def wrong(value: str, words: str) -> Iterator[Variant[str]]:
        if value != target:
            yield Variant(value, Mistake(f"the URL is not the one on the request line: {words}", remedy))

    for host in dict.fromkeys((*hosts, *HOSTS)):
        yield from wrong(f"https://{host}{target}", f"https://{host} stands in front of it")
        yield from wrong(f"http://{host}{target}", f"http://{host} stands in front of it")
        yield from wrong(f"{host}{target}", f"the host {host} stands in front of it")
    yield from wrong(path, "the query is missing")
    yield from wrong(f"{path}{mark}", "the query is missing, its ? is there")
    yield from wrong(unquote(target), "it was decoded")
    yield from wrong(unquote_plus(target), "it was decoded, and + became a blank")
    yield from wrong(f"{quote(unquote(path))}{mark}{query}", "its path was encoded again")
    yield from wrong(f"{quote(unquote(path))}{mark}{quote(unquote(query), safe='=&')}", "it was encoded again")
    yield from wrong(f"{quote(path, safe='/')}{mark}{quote(query, safe='=&')}", "it was encoded twice")
    yield from wrong(f"{path}/{mark}{query}", "a slash stands at the path's end")
    yield from wrong(path.rstrip("/") + mark + query, "the slash at the path's end is missing")
    yield from wrong(target.removeprefix("/"), "the slash at its beginning is missing")
    yield from wrong(target.removeprefix("/v3"), "/v3 is missing")
    if "&" in query:
        yield from wrong(f"{path}?{'&'.join(sorted(query.split('&')))}", "its query was sorted")
    yield from wrong("", "it is left out")


def timestamps(timestamp: str) -> Iterator[Variant[str]]:
    """Yield the timestamps that may have been signed."""
    yield Variant(timestamp)
    if not timestamp.isdecimal():
        return
    twice = "the timestamp is made once: sign the one that the header has"
    if len(timestamp) == 13:
        yield Variant(timestamp[:10], Mistake("the text has seconds, the header milliseconds", twice))
        return
    for away in (-1, 1, -2, 2, -3, 3):
        words = f"the text has another timestamp than the header, {abs(away)} s {'later' if away > 0 else 'earlier'}"
        yield Variant(str(int(timestamp) + away), Mistake(words, twice))
    yield Variant(f"{timestamp}000", Mistake("the text has the timestamp in milliseconds", twice))


# ---- the body --------------------------------------------------------------------------------------------------------

SIGN_ONCE = "sign the very bytes that are sent: serialise the body once, sign that text and send it"
VERIFY_FIRST = "verify the very bytes that arrive, before anything reads or changes them"


def bodies(received: bytes, pasted: bytes | None = None, remedy: str = SIGN_ONCE) -> Iterator[Variant[bytes]]:
    """Yield the bodies that may have been signed: the one received, the one pasted, and what is made of both."""
    yield Variant(received)
    if pasted is not None and (difference := first_difference(received, pasted)):
        words = f"the body that was signed is the pasted one, not the one that arrived: {difference.words}"
        yield Variant(pasted, Mistake(words, remedy), difference)
    values = {received, pasted}
    for source in (received, pasted) if pasted is not None else (received,):
        for value, words in _changed(source):
            if value not in values:
                values.add(value)
                yield Variant(value, Mistake(f"the body that was signed is another one: {words}", remedy))


def _changed(body: bytes) -> Iterator[tuple[bytes, str]]:
    if not body:
        for text in ("{}", "null", "[]", '""', "undefined", "None", " "):
            yield text.encode(), f"{text.strip() or 'a blank'} was signed for an empty body"
        return
    yield b"", "it was left out"
    yield body.removeprefix(b"\xef\xbb\xbf"), "without the byte order mark"
    yield b"\xef\xbb\xbf" + body, "with a byte order mark in front"
    yield body.replace(b"\r\n", b"\n"), "with LF line ends"
    yield body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), "with CRLF line ends"
    yield body.strip(), "without the blanks or line breaks around it"
    yield body + b"\n", "with a line break at its end"
    yield body + b"\r\n", "with a line break (CRLF) at its end"
    with suppress(UnicodeError):
        yield body.decode().encode("gbk"), "encoded as GBK, not as UTF-8"
    with suppress(UnicodeError):
        yield body.decode("gbk").encode(), "encoded as UTF-8, not as GBK"
    yield from _serialised(body)


def _serialised(body: bytes) -> Iterator[tuple[bytes, str]]:
    """Yield the same JSON as other writers have it."""
    try:
        value = json.loads(body.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        return
    writers: tuple[tuple[str, Callable[[], str]], ...] = (
        ("serialised without blanks", lambda: json.dumps(value, ensure_ascii=False, separators=(",", ":"))),
        ("serialised with blanks after , and :", lambda: json.dumps(value, ensure_ascii=False)),
        ("pretty-printed with 2 blanks", lambda: json.dumps(value, ensure_ascii=False, indent=2)),
        ("pretty-printed with 4 blanks", lambda: json.dumps(value, ensure_ascii=False, indent=4)),
        ("pretty-printed with tabs", lambda: json.dumps(value, ensure_ascii=False, indent="\t")),
        ("with its keys sorted", lambda: json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))),
        ("with its keys sorted, and blanks", lambda: json.dumps(value, ensure_ascii=False, sort_keys=True)),
        (r"with characters as \u….", lambda: json.dumps(value, separators=(",", ":"))),
        (r"with characters as \u…., and blanks", lambda: json.dumps(value)),
    )
    for words, write in writers:
        with suppress(UnicodeError, ValueError):
            text = write()
            yield text.encode(), words
            yield text.replace("/", "\\/").encode(), rf"{words}, each / as \/ (as PHP writes it)"
            html = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
            yield html.encode(), rf"{words}, & < > as \u0026 \u003c \u003e (as Go writes them)"
