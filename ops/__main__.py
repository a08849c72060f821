"""The command line of `bin/ops` (`python -m ops`); the commands are in `ops/commands`."""

import argparse
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from ops import address, failures, screen
from ops.commands import MODULES
from ops.commands.parser import Command, command_line
from ops.output import Exit
from ops.printer import Printer
from ops.stack import OPTIONS, Deployment, OpsError, UsageError, describe


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status (`ops.output.EXITS`). A failure is one line on stderr."""
    options = command_line(module.register for module in MODULES).parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a GBK console lacks characters that may be in a message
    command: Command = options.command
    try:
        output = command(_deployment(options), options)
        return Printer(sys.stdout, sys.stderr, as_json=options.json).print(output)
    except UsageError as error:
        return _fail(str(error), Exit.USAGE)
    except OpsError as error:
        return _fail(str(error), Exit.FAILED)
    except (ClientError, BotoCoreError) as error:
        return _fail(f"AWS says: {describe(error)}{failures.remedy(error)}", Exit.FAILED)
    except KeyboardInterrupt:
        return _fail("interrupted: what was done stays done, the rest was not touched", Exit.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout when it ends
        return Exit.CLOSED


def _fail(text: str, status: Exit) -> Exit:
    for line in text.splitlines():
        print(screen.line(f"ops: {line}"), file=sys.stderr)
    return status


def _deployment(options: argparse.Namespace) -> Deployment:
    """Look up the stack; resources named by an option replace the stack's own, and are enough without a stack.

    For the running sandbox, use the sandbox's own credentials and say so on stderr.
    """
    names = {output: getattr(options, output) for output in OPTIONS if getattr(options, output)}
    target = address.choose(
        options.stack,
        options.region,
        options.endpoint_url,
        environment=os.environ,
        sandboxes=address.running(),
        profile=options.profile,
        require_sandbox=options.sandbox,
    )
    session = None
    if sandbox := target.sandbox:
        session = boto3.Session(sandbox.access_key_id, sandbox.secret_access_key, region_name=target.region)
        if not (options.endpoint_url or options.sandbox):
            print(f"ops: using the sandbox on {target.endpoint_url}; give --region for a stack on AWS", file=sys.stderr)
    elif options.profile:
        session = boto3.Session(profile_name=options.profile, region_name=target.region)
    stack = target.stack if options.stack or not names else None
    return Deployment.find(
        stack, region=target.region, endpoint_url=target.endpoint_url, session=session, overrides=names
    )


if __name__ == "__main__":
    sys.exit(main())
