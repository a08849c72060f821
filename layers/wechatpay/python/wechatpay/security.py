"""The one call that proves a set-up and touches no money: WeChat Pay sends back what it was told (doc 4014551946)."""

from typing import TYPE_CHECKING

from wechatpay.chain import Call
from wechatpay.errors import MalformedError

if TYPE_CHECKING:
    from wechatpay.answer import Answer
    from wechatpay.client import Client


class Security:
    """WeChat Pay's self-test of signatures; reached as `client.security`."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    def echo(self, message: str = "wechatpay") -> "Answer":
        """Have `message` echoed, signed both ways: a return means that both sides' keys, clocks and hosts fit.

        Raises RefusedError (401: our key or serial), UntrustedError (WeChat Pay's), UnansweredError, or MalformedError
        where something else came back.
        """
        return _echoed(self._client.call(self._call(message)), message)

    async def echo_async(self, message: str = "wechatpay") -> "Answer":
        """`echo`, to be awaited."""
        return _echoed(await self._client.call_async(self._call(message)), message)

    def _call(self, message: str) -> Call:
        headers = {"Wechatpay-Serial": self._client.encryption_serial}
        return Call("POST", "v3/security/echo", {}, json={"echo_message": message}, headers=headers)


def _echoed(answer: "Answer", message: str) -> "Answer":
    body = answer.json()
    if not isinstance(body, dict) or body.get("echo_message") != message:
        raise MalformedError("the echo is not what was said", method=answer.method, path=answer.path)
    return answer
