"""Every error of the console as one line for its user: the cause and the remedy."""

import sys
import traceback

from botocore.exceptions import BotoCoreError, ClientError

from ops.stack import OpsError, describe
from sandbox.errors import SandboxError
from sandbox.wechat_pay.refusals import SimulatedRefusal
from sandbox.wechat_pay.verbs import CommandError
from wechatpay.text import printable

LONGEST = 600  # characters of a line


class ConsoleError(SandboxError):
    """Something that a person asked for cannot be done: a key of the texts, and its values."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.key = key
        self.values = values


def line(error: Exception) -> str:
    """Return an error in one printable line; an unexpected one names itself, and its traceback goes to the terminal."""
    match error:
        case SimulatedRefusal():
            text = f"WeChat Pay: {error.status} {error.code} {error.message}"
        case ClientError() | BotoCoreError():
            text = describe(error)
        case OpsError() | SandboxError() | CommandError() | ValueError() | LookupError():
            text = str(error.args[0]) if error.args else type(error).__name__
        case _:
            traceback.print_exception(error, file=sys.stderr)
            text = f"{type(error).__name__}: {error}; the terminal of the sandbox has the traceback"
    return printable(" ".join(text.split()), LONGEST)
