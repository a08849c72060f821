"""WeChat Pay's self-test of signatures: it sends a text back and touches no money (doc 4014551946)."""

from wechatpay.answer import Answer
from wechatpay.caller import Caller, TypedCall
from wechatpay.chain import Call
from wechatpay.errors import MalformedError


class Security:
    """The self-test; reached as `client.security`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def echo(self, message: str = "wechatpay") -> Answer:
        """Have WeChat Pay send a text back: proof that both sides' keys, clocks and hosts fit (doc 4014551946).

        Args:
            message: the text, without emoji.

        Returns:
            The verified answer, which holds the text.

        Raises:
            RefusedError: 401 where the merchant's key or serial is wrong.
            UntrustedError: the answer does not verify with the platform keys held.
            UnansweredError: no whole answer arrived.
            MalformedError: another text came back.
        """
        return self._caller.run(self._echo(message))

    async def echo_async(self, message: str = "wechatpay") -> Answer:
        """Do what `echo` does, on a thread of the client."""
        return await self._caller.pool.run(self.echo, message)  # whole: it may have to download a certificate first

    def _echo(self, message: str) -> TypedCall[Answer]:
        def read(answer: Answer) -> Answer:
            body = answer.json()
            if not isinstance(body, dict) or body.get("echo_message") != message:
                raise MalformedError("the echo is not the text sent", method=answer.method, path=answer.path)
            return answer

        headers = {"Wechatpay-Serial": self._caller.encryption_serial()}
        return TypedCall(Call("POST", "v3/security/echo", {}, json={"echo_message": message}, headers=headers), read)
