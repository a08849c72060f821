"""Run a command against the running sandbox and print its output; every error is one line with the remedy."""

import sys
from collections.abc import Callable
from io import TextIOWrapper

from botocore.exceptions import BotoCoreError, ClientError

from ops import failures, screen
from ops.output import Exit, Output
from ops.printer import Printer
from ops.stack import OpsError, UsageError, describe
from sandbox.errors import SandboxError


def execute(work: Callable[[], Output], *, as_json: bool) -> int:
    """Do the work and print what it returns; return the exit status, as those of `bin/ops` are."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a GBK console lacks characters that may be in a message
    try:
        return Printer(sys.stdout, sys.stderr, as_json=as_json).print(work())
    except UsageError as error:
        return _fail(str(error), Exit.USAGE)
    except (OpsError, SandboxError) as error:
        return _fail(str(error), Exit.FAILED)
    except (ClientError, BotoCoreError) as error:
        return _fail(f"the embedded AWS says: {describe(error)}{failures.remedy(error)}", Exit.FAILED)


def _fail(text: str, status: Exit) -> int:
    print(screen.line(f"sandbox: {text}"), file=sys.stderr)
    return status
