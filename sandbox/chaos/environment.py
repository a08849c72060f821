"""The testbed of a chaos run: the template with short waits, random faults at WeChat Pay, and a proxy before AWS."""

import random
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console

from sandbox.aws_proxy import AwsProxy, ProxyAction
from sandbox.chaos.front import FrontFaults
from sandbox.chaos.run import ChaosRun
from sandbox.chaos.workload import draw_workload
from sandbox.cloud import Cloud
from sandbox.notifications_front import SimulatedFront
from sandbox.testbed import BUILD, DOORWAYS, MERCHANT, OTHER_MERCHANT, Testbed, invoke_by
from sandbox.wechat_pay import Simulator
from sandbox.wechat_pay.random_faults import RandomFaults

WECHAT_PAY_FAULTS = 0.10  # of all calls
AWS_FAULTS = 0.01  # of the function's requests to DynamoDB, Secrets Manager and SQS
CIRCUIT_FAULTS = 0.5  # of its writes of the circuit's own item: they must never stop a call
AWS_FAILURES: tuple[ProxyAction, ...] = ("throttle", "throttle", "fail", "cut before", "cut after")  # equally likely
CRASHED_FOR = 15  # seconds that a message stays invisible after a crash; six minutes in production

PARAMETERS = {
    "RetryScale": "0.005",
    "MaxReceiveCount": "10",  # some twenty seconds: what cannot succeed is given up while the faults last
    "MaximumConcurrency": "2",  # at a kill MiniStack throws all starting workers away; few start at once
    "HttpConnectTimeout": "0.5",  # silences are many, and each is waited for
    "HttpReadTimeout": "1",  # an answer that is late counts as one more silence
}


class AwsFaults:
    """Decides which requests to AWS fail: about one in a hundred, and half of the circuit's writes."""

    def __init__(self, seed: int) -> None:
        """Draw from this seed."""
        self._dice = random.Random(seed)  # noqa: S311  not for secrets
        self._of_thread = threading.local()  # the request that this thread of the proxy handles

    def inspect(self, _: str, body: bytes) -> None:
        """Note whether the request is about the circuit's own item."""
        self._of_thread.is_circuit = b"CIRCUIT#" in body

    def decide(self, operation: str) -> ProxyAction:
        """Return what happens to a request with this operation."""
        rate = CIRCUIT_FAULTS if self._of_thread.is_circuit and operation != "GetItem" else AWS_FAULTS
        return self._dice.choice(AWS_FAILURES) if operation and self._dice.random() < rate else "pass"


@contextmanager
def prepare(orders: int, seed: int, console: Console) -> Iterator[ChaosRun]:
    """Start WeChat Pay and AWS, deploy the template behind the proxy, and open the orders; it ends with the block."""
    faults = AwsFaults(seed)
    with (
        tempfile.TemporaryDirectory() as directory,
        Simulator(ladder_scale=float(PARAMETERS["RetryScale"])) as wechat_pay,
        Cloud.start(Path(directory)) as cloud,
        ExitStack() as context,
        AwsProxy(cloud.endpoint_url, faults.decide, inspect=faults.inspect) as proxy,
    ):
        endpoints = {
            "AwsEndpointUrl": proxy.url,
            "WeChatPayBaseUrl": wechat_pay.base_url,
            "WeChatPayBackupUrl": wechat_pay.backup_url,
        }
        stack = cloud.deploy({**endpoints, **DOORWAYS, **PARAMETERS}, build=BUILD)
        front_faults = FrontFaults(invoke_by(cloud, stack), seed)
        front = context.enter_context(SimulatedFront(front_faults.invoke))
        wechat_pay.notify_url = front.notify_url("{mchid}")
        testbed = Testbed(cloud, stack, wechat_pay, front)
        cloud.client("sqs").set_queue_attributes(
            QueueUrl=testbed.stack.outputs["OrderQueueUrl"], Attributes={"VisibilityTimeout": str(CRASHED_FOR)}
        )
        for mchid in (MERCHANT, OTHER_MERCHANT):
            testbed.put_secret(mchid)
        wechat_pay.call_log.keep(None)  # the audit reads every one
        workload = draw_workload(orders, seed, wechat_pay)
        wechat_pay.random_faults = RandomFaults(seed, WECHAT_PAY_FAULTS)
        yield ChaosRun(testbed, proxy, front, front_faults, workload, seed, console)
