"""Everything on one machine: the embedded AWS with the real template, and the simulated WeChat Pay. Loopback only."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.stack import Deployment
from orders.errors import UnreadableItemError
from orders.order import Order
from sandbox.cloud import Cloud, Stack
from sandbox.notifications_front import Invoke, SimulatedFront
from sandbox.place import MERCHANT as MERCHANT  # noqa: PLC0414  for those that use a testbed
from sandbox.place import Place
from sandbox.till import Till, ledger_act
from sandbox.till_events import FAMILIES, Dispatch, Family, own_dispatch
from sandbox.till_events import OTHER_MERCHANT as OTHER_MERCHANT  # noqa: PLC0414
from sandbox.triggers import steps
from sandbox.waiting import until as until  # noqa: PLC0414  for tests that wait in a testbed
from sandbox.wechat_pay import Simulator

ROOT = Path(__file__).parents[1]
BUILD = ROOT / ".aws-sam/sandbox"  # the output of `sam build`: the files that ship
EVENTS = ROOT / "events"

NOTIFICATIONS = {
    "NotificationsFront": "http-api",
    "NotificationsTimeout": "30",  # seconds: on a slow machine an answer must not look like silence
}
"""Parameters with which the function that receives notifications is deployed."""

DOORWAYS = {**NOTIFICATIONS, "OutcomeEvents": "yes"}
"""Parameters with which notifications come in and outcome events go out."""

AT_ONCE = 2  # notifications in hand: every concurrent invocation starts a Python process of its own

ANYWHERE = Place()  # free ports of loopback

TOPIC = "pos-orders"  # for tills that publish by SNS
APPID = "wxd678efh567hg6787"
SERVICE_ID = "500001"

BEFORE_THE_EVENTS = 1_764_547_200.0  # 2025-12-01T00:00:00Z; the event files report payments of January 2026

# The waits of production, shortened by the template's own parameters; no code takes another path for it.
# The limits of a call are the longest that the template allows: on a slow machine an answer must not look like silence.
SHORT_WAITS = {
    "RetryScale": "0.01",  # three minutes become two seconds
    "HttpConnectTimeout": "5",  # the most that the template allows
    "HttpReadTimeout": "20",  # the most that the template allows
}


@dataclass(frozen=True, slots=True)
class Testbed:
    """Everything that a till or an operator can reach: queues and bus, the table, WeChat Pay.

    `front` is where WeChat Pay sends its notifications, if the doorways are open.
    """

    __test__ = False  # pytest would collect a class of this name

    cloud: Cloud
    stack: Stack
    wechat_pay: Simulator
    front: SimulatedFront | None = None

    @classmethod
    @contextmanager
    def open(
        cls,
        directory: Path,
        *,
        place: Place = ANYWHERE,
        parameters: Mapping[str, str] = SHORT_WAITS,
        doorways: bool = False,
        say: Callable[[str], object] = lambda _: None,
    ) -> Iterator["Testbed"]:
        """Start both, deploy the template, store the two merchants' secrets; everything ends with the block.

        With `doorways` WeChat Pay tells of every order, by a front and the function behind it, and outcome events are
        published. `say` receives each step as it begins.
        """
        with ExitStack() as stack:
            say("starting WeChat Pay")
            wechat_pay = stack.enter_context(
                Simulator(
                    port=place.wechat_pay,
                    backup_port=place.backup,
                    control_port=place.control,
                    proxy_port=place.proxy,
                    authority=directory / "proxy",
                    address=place.address,
                    state=directory / "wechat-pay" if place.keep else None,
                    ladder_scale=float(parameters.get("RetryScale", "1")),
                )
            )
            say("starting the embedded AWS")
            cloud = stack.enter_context(Cloud.start(directory, place.aws, place.address))
            cloud.offer_move_tasks(place.move_tasks)
            topic = cloud.client("sns").create_topic(Name=TOPIC)["TopicArn"]
            hosts = {"WeChatPayBaseUrl": wechat_pay.base_url, "WeChatPayBackupUrl": wechat_pay.backup_url}
            say("deploying template.yaml on it")
            more = DOORWAYS if doorways else {}
            deployed = cloud.deploy({**hosts, "OrderTopicArn": topic, **parameters, **more}, build=BUILD)
            front = None
            if doorways:
                front = stack.enter_context(
                    SimulatedFront(invoke_by(cloud, deployed), address=place.address, port=place.notifications)
                )
                wechat_pay.notify_url = front.notify_url("{mchid}")
            testbed = cls(cloud, deployed, wechat_pay, front)
            say("storing the merchants' keys")
            for mchid in (MERCHANT, OTHER_MERCHANT):
                testbed.put_secret(mchid)
            yield testbed

    @property
    def deployment(self) -> Deployment:
        """The stack, as `python -m ops` uses it."""
        return Deployment(self.cloud.client, self.stack.outputs, {})

    def ready(self, out_order_no: str, mchid: str = MERCHANT) -> None:
        """Complete an order at WeChat Pay before the payments that the event files report: it waits for its money."""
        self.bring("ready", out_order_no, mchid)

    def bring(self, situation: str, out_order_no: str, mchid: str = MERCHANT, family: Family = FAMILIES[""]) -> None:
        """Bring an order at WeChat Pay into one of `triggers.SITUATIONS`, before the payments of the event files."""
        for step in steps(situation, mchid, out_order_no, family, BEFORE_THE_EVENTS):
            ledger_act(self.wechat_pay)(step.verb, **step.arguments)

    def put_secret(self, mchid: str) -> None:
        """Store the merchant's present keys, as its administrator would."""
        secret = self.wechat_pay.merchant(mchid).secret() | {"appid": APPID, "service_id": SERVICE_ID}
        self.cloud.put_secret(f"wechatpay/{mchid}", secret)

    def publish(self, file: str) -> None:
        """Send what an event file contains: EventBridge events by the bus, the rest by the queue."""
        event = json.loads((EVENTS / file).read_text(encoding="utf-8"))
        bodies = [record["body"] for record in event["Records"]] if "Records" in event else [json.dumps(event)]
        dispatches = [_dispatch(body) for body in bodies]
        receipts = Till(self.deployment).send(sorted(dispatches, key=lambda dispatch: dispatch.way, reverse=True))
        assert not [receipt for receipt in receipts if receipt.error], receipts  # noqa: S101  the sandbox's own queue

    def order(self, out_order_no: str, mchid: str = MERCHANT) -> Order | None:
        """Return the order's item as it stands; None where there is none."""
        key = f"{mchid}#{out_order_no}"
        order = self.deployment.table.load([key]).get(key)
        if isinstance(order, UnreadableItemError):
            raise order
        return order

    @property
    def functions(self) -> dict[str, str]:
        """The names of the deployed functions, by what they do."""
        names = {"orders": "Orders", "notifications": "Notifications", "outcomes": "Outcomes"}
        outputs = {does: self.stack.outputs.get(f"{name}FunctionName") for does, name in names.items()}
        return {does: name for does, name in outputs.items() if name}

    @property
    def function(self) -> str:
        """The function's name."""
        return self.stack.outputs["OrdersFunctionName"]

    def lines(self, out_order_no: str) -> list[dict[str, Any]]:
        """Return what the function has logged about an order so far."""
        texts = [line for line in self.cloud.logs(self.function) if line.startswith('{"level"')]
        return [line for line in map(json.loads, texts) if line.get("out_order_no") == out_order_no]

    def waits(self, out_order_no: str) -> list[int]:
        """Return the wait of each failed attempt of an order, in seconds."""
        return [line["wait"] for line in self.lines(out_order_no) if "wait" in line]


def invoke_by(cloud: Cloud, stack: Stack) -> Invoke:
    """Return what a front invokes: the deployed function that receives notifications."""
    name = stack.outputs["NotificationsFunctionName"]

    turns = threading.BoundedSemaphore(AT_ONCE)

    def invoke(event: Mapping[str, Any]) -> Mapping[str, Any] | None:
        with turns:
            answer = cloud.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
        payload: Mapping[str, Any] = json.loads(answer["Payload"].read())
        return None if "FunctionError" in answer else payload

    return invoke


def _dispatch(body: str) -> Dispatch:
    """Return what is in an event file as a till sends it."""
    try:
        event = json.loads(body)
        is_event = "detail-type" in event
    except (ValueError, TypeError):
        is_event = False
    return own_dispatch(body, "bus" if is_event else "queue")
