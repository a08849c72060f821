"""Log lines of urllib3 without paths, queries and pieces of answers: these hold order numbers, openids and names.

Only lines that are logged during a call of this library are changed.
"""

import logging
import re

from wechatpay.limits import current

_LOGGERS = ("connection", "connectionpool", "response", "util.retry")  # the modules of urllib3 2.8.0 that log

_URL = re.compile(r"(\w+://[^\s/?'\"]*)[/?][^\s'\"),]*")
_TARGET = re.compile(r"(?<![\w./:])/[^\s'\"),]*")
_ANSWER = re.compile(r"unparsed data: .*", re.DOTALL)


def redact(text: str) -> str:
    """Return a text of urllib3's without paths, queries and pieces of an answer; a URL keeps its scheme and host."""
    return _ANSWER.sub("…", _TARGET.sub("/…", _URL.sub(r"\1/…", text)))


class _Redaction(logging.Filter):
    """Redact what is logged by a thread that is in a try."""

    def filter(self, record: logging.LogRecord) -> bool:
        if current() is not None:
            record.msg, record.args = redact(record.getMessage()), ()
            record.exc_info = record.exc_text = None
        return True


def install() -> None:
    """Redact what urllib3 logs from now on."""
    for name in _LOGGERS:
        logging.getLogger(f"urllib3.{name}").addFilter(_Redaction())
