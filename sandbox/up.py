"""`make sandbox`: the demo's world, staying up on fixed ports for a till to talk to, with what the function logs."""

import json
import sys
import time
from dataclasses import replace
from ipaddress import ip_address
from typing import NoReturn

from sandbox.world import BEFORE_THE_EVENTS, MERCHANT, OTHER_MERCHANT, ROOT, Place, World

PLACE = Place(aws=4566, wechat_pay=4510, backup=4511)
DIRECTORY = ROOT / ".sandbox"


def main(address: str = PLACE.address) -> NoReturn:
    """Run until Ctrl-C, on loopback, or on an address of this machine that only its containers can reach."""
    if not ip_address(address).is_private:
        sys.exit(f"{address} can be reached from outside; the sandbox takes any credentials")
    with World.open(DIRECTORY, place=replace(PLACE, address=address)) as world:
        seed(world)
        (DIRECTORY / "env.json").write_text(json.dumps({"OrdersFunction": environment(world)}, indent=2))
        _welcome(world)
        _follow(world)


def seed(world: World) -> None:
    """Put the orders that the event files speak of into the states that `events/README.md` tells."""
    wechat_pay = world.wechat_pay
    waiting = ["PAID-OFFLINE-1", "PAID-OFFLINE-2", "PAID-OFFLINE-3", "TWICE-1", "MIXED-1", "MIXED-3"]
    waiting += ["SNS-1", "SNS-2", "BROKEN-1", "BROKEN-6"]
    for number in [*waiting, "WON-BY-WECHAT-1", "DEDUCTING-1", "OUTAGE-1", "OUTAGE-2", "OUTAGE-3"]:
        world.ready(number)
    wechat_pay.deduct(MERCHANT, "WON-BY-WECHAT-1")
    wechat_pay.deducting(MERCHANT, "DEDUCTING-1")
    world.ready("WRONG-KEY-1", OTHER_MERCHANT)
    wechat_pay.merchant(OTHER_MERCHANT).rotate_key()  # his secret still has the old one
    wechat_pay.ready_to_sync(MERCHANT, "PARTNER-1", at=BEFORE_THE_EVENTS, sub_mchid=OTHER_MERCHANT)
    for number in ("NOTHING-DUE-1", "NOT-COMPLETED-1", "REVOKED-1"):
        wechat_pay.open(MERCHANT, number, at=BEFORE_THE_EVENTS)
        wechat_pay.confirm(MERCHANT, number)
    wechat_pay.complete(MERCHANT, "NOTHING-DUE-1", total_amount=0, at=BEFORE_THE_EVENTS)
    wechat_pay.cancel(MERCHANT, "REVOKED-1")


def environment(world: World) -> dict[str, str]:
    """The function's variables in this world, for `sam local invoke --env-vars`: as a container has to call us."""
    configuration = world.cloud.client("lambda").get_function_configuration(FunctionName=world.function)
    variables: dict[str, str] = configuration["Environment"]["Variables"]
    # Docker Desktop leads host.docker.internal to our loopback. On Linux nothing leads there: see sandbox/README.md.
    return {name: value.replace("//127.0.0.1:", "//host.docker.internal:") for name, value in variables.items()}


def _welcome(world: World) -> None:
    print(f"""
AWS          {world.cloud.endpoint_url}   (any credentials, region us-east-1)
WeChat Pay   {world.wechat_pay.base_url}   (backup {world.wechat_pay.backup_url})
merchants    {MERCHANT}; {OTHER_MERCHANT}, whose secret has an old key
queue        {world.stack.outputs["OrderQueueUrl"]}
function     {world.function}
the orders of events/ wait; waits between retries are a hundredth of production's

  python -m ops --stack sandbox --endpoint-url {world.cloud.endpoint_url} order list --attention
  curl {world.wechat_pay.base_url}/__sandbox__/ready_to_sync -d '{{"mchid":"{MERCHANT}","out_order_no":"MINE-1"}}'

Ctrl-C ends it. What the function logs:
""")


def _follow(world: World) -> NoReturn:
    shown = 0
    while True:
        lines = [line for line in world.cloud.logs(world.function) if line.startswith('{"level"')]
        for line in lines[shown:]:
            print(line, flush=True)
        shown = len(lines)
        time.sleep(0.5)  # a log is polled
