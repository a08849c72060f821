"""The entry point: takes what the front hands over, has the receiver deal with it, and answers WeChat Pay."""

import gc

from orders.lean_requests import import_requests

gc.disable()  # imports leave no garbage; collections during them take 5 % of a cold start
import_requests()

from typing import Protocol

from aws_lambda_powertools import Logger, Metrics

from notifications.answers import answer
from notifications.bootstrap import bootstrap
from notifications.report import report
from notifications.settings import Settings


class LambdaContext(Protocol):
    """What the function needs of Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the invocation."""


logger = Logger(location=None, timestamp=None)  # CloudWatch Logs has the time of every line
logger.remove_keys(["service"])  # as its log group does
metrics = Metrics()
receiver = bootstrap(Settings.from_env())
gc.freeze()  # later collections skip all that exists now
gc.enable()


def lambda_handler(event: object, context: LambdaContext) -> dict[str, object]:
    """Deal with one HTTP request (payload format 2.0); return the answer, whatever the request is."""
    ending = receiver.receive(event, lambda: context.get_remaining_time_in_millis() / 1000)
    report(ending, logger, metrics)
    return answer(ending)
