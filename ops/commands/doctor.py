"""`doctor`: examine the whole deployment."""

import argparse
from collections import Counter
from collections.abc import Iterator

from ops.commands.arguments import complete
from ops.commands.parser import Nouns
from ops.doctor.examination import Part, examine, parts
from ops.doctor.merchants import MOST
from ops.findings import State
from ops.output import Exit, Output, Report, Row, Stream
from ops.stack import Deployment

_DESCRIPTION = """\
Examine the deployment from the rule to the merchants' keys. It changes nothing.

Each line is ok, warning, failed or not checked, says what was observed, and has the remedy below it. A check that
cannot run (a permission is missing, the Region lacks a service) says so and does not stop the others.

  clock        this machine against AWS
  stack        status of the stack and of its resources
  rule         enabled, pattern, target, dead-letter queue of the target
  queues       redrive, policies, encryption; backlog, in flight, dead letters, undelivered events
  mapping      enabled, batch size, concurrency, partial batch responses
  function     the version that really runs, and whether it has the configuration of the parameters
  permissions  what the function's role may do, by IAM's policy simulator
  alarms       whether each can fire, what it notifies, its state
  orders       table, circuit breaker, orders that need attention
  merchants    each secret: usable, days until its certificates end

The exit status is 3 if a check failed; warnings and checks that could not run do not change it."""


def register(nouns: Nouns) -> None:
    """Add the command."""
    doctor = nouns.command(
        "doctor", _doctor, "examine the whole deployment, with the remedy of each fault", _DESCRIPTION
    )
    doctor.add_argument(
        "--merchants",
        type=_positive,
        default=MOST,
        metavar="N",
        help=f"check at most N merchants' secrets; default: {MOST}",
    )
    names = [part.subject for part in parts(MOST)]
    doctor.add_argument("--only", action="append", choices=names, help="check only this part; may be repeated")


def _positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not number:
        raise argparse.ArgumentTypeError("must be a whole number above zero")
    return number


def _doctor(deployment: Deployment, options: argparse.Namespace) -> Output:
    checks = [part for part in parts(options.merchants) if options.only is None or part.subject in options.only]
    return Stream(("state", "check", "observation"), _rows(deployment, checks, options))


def _rows(deployment: Deployment, checks: list[Part], options: argparse.Namespace) -> Iterator[Row | Report]:
    states: Counter[State] = Counter()
    for finding in examine(deployment, checks):
        states[finding.state] += 1
        note = f"→ {complete(finding.remedy, options)}" if finding.remedy else ""
        yield Row((finding.state.value, finding.subject, finding.words), finding.document(), note)
    summary = ", ".join(f"{states[state]} {state.value}" for state in State)
    yield Report((summary,), status=Exit.ACTION if states[State.FAILED] else Exit.DONE)
