"""The control port of a running sandbox from another process: verbs and views, errors in one line."""

from collections.abc import Mapping
from typing import Any

import requests

from ops.installation import HERE
from sandbox.errors import SandboxError
from sandbox.wechat_pay.control import PREFIX

LIMIT = 60.0  # seconds; a verb is done at once, on a machine that may be busy


class ControlError(SandboxError):
    """A verb was refused, or the control port does not answer; the text says why."""


class ControlClient:
    """Asks one control port."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/") + PREFIX
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy stands before loopback

    def view(self, name: str, **options: str) -> Any:  # noqa: ANN401  each view has its own form
        """Return a view, such as `ledger`."""
        return self._ask("GET", name, params=options)

    def act(self, verb: str, **arguments: object) -> Mapping[str, Any]:
        """Execute a verb with these arguments, and return what it answers: of most verbs the order."""
        answer = self._ask("POST", verb, json=arguments)
        return answer if isinstance(answer, dict) else {}

    def _ask(self, method: str, name: str, **options: Any) -> Any:  # noqa: ANN401  as requests has them
        try:
            answer = self._session.request(method, self._url + name, timeout=LIMIT, **options)
            value = answer.json()
        except (requests.RequestException, ValueError) as error:
            words = f"{self._url}{name} did not answer: {type(error).__name__}"
            raise ControlError(f"{words}; is the sandbox running? start it with `{HERE.start}`") from error
        if answer.status_code >= 400:
            why = value.get("error") if isinstance(value, dict) else None
            raise ControlError(str(why or f"{name} was refused with {answer.status_code}"))
        return value
