"""A browser's session: the cookie that names it, the token of its forms, and the notices that wait for it."""

import hashlib
import hmac
import re
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass

MOST = 256  # sessions whose notices are remembered


@dataclass(frozen=True, slots=True)
class Notice:
    """One line about what an action did, or why it did not; with the path of what it is about, or none."""

    text: str
    is_error: bool = False
    path: str = ""
    path_text: str = ""


class Sessions:
    """The sessions of one run; the token of a session cannot be computed without the run's key."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._notices: OrderedDict[str, list[Notice]] = OrderedDict()
        self._lock = threading.Lock()

    def identify(self, cookie: str | None) -> str:
        """Return the session that a cookie names, or a new one."""
        return cookie if cookie and re.fullmatch(r"[0-9a-f]{32}", cookie) else secrets.token_hex(16)

    def token(self, session: str) -> str:
        """Return the token that every form of the session carries."""
        return hmac.new(self._key, session.encode(), hashlib.sha256).hexdigest()

    def is_token(self, session: str, token: str) -> bool:
        """Whether a form carries the token of its session."""
        return hmac.compare_digest(self.token(session).encode(), token.encode())

    def leave(self, session: str, notice: Notice) -> None:
        """Keep a notice until the session's next page."""
        with self._lock:
            self._notices.setdefault(session, []).append(notice)
            self._notices.move_to_end(session)
            while len(self._notices) > MOST:
                self._notices.popitem(last=False)

    def collect(self, session: str) -> list[Notice]:
        """Return the notices that wait for the session, once."""
        with self._lock:
            return self._notices.pop(session, [])
