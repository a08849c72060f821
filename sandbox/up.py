"""`make sandbox`: the demo's testbed on fixed ports for a till, with the function's log."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import indent
from typing import NoReturn

from ops.address import Sandbox
from ops.installation import HERE
from sandbox import client_environment, ports
from sandbox.cloud import REGION
from sandbox.console import server
from sandbox.console.desk import Desk
from sandbox.place import PLACE, Place
from sandbox.testbed import MERCHANT, OTHER_MERCHANT, Testbed
from sandbox.till_events import Family
from sandbox.wechat_pay import credentials

__all__ = ["PLACE", "environment", "main", "seed"]

README_ORDER = "1234323JKHDFE1243252"  # the order of the payload in the README


def main(place: Place, directory: Path) -> NoReturn:
    """Run at this place until a signal; files go to `directory`."""
    say = _clock()
    with (
        ports.listen(server.ADDRESS, place.console) as listener,
        Testbed.open(directory, place=place, doorways=True, say=say) as testbed,
        Desk.of(testbed, directory) as desk,
        server.serving(desk, listener) as console,
    ):
        say("opening the orders of events/")
        seed(testbed)
        write_addresses(testbed, directory)
        write_credentials(testbed, directory)
        _welcome(testbed, directory, console)
        _follow(testbed)


def _clock() -> Callable[[str], object]:
    """Return a function that prints a step and the seconds that have passed before it."""
    began = time.monotonic()
    return lambda step: print(f"{time.monotonic() - began:4.0f} s  {step}", flush=True)


def seed(testbed: Testbed) -> None:
    """Put the orders that the event files name into the states that `events/README.md` lists."""
    wechat_pay = testbed.wechat_pay
    waiting = ["PAID-OFFLINE-1", "PAID-OFFLINE-2", "PAID-OFFLINE-3", "TWICE-1", "MIXED-1", "MIXED-3"]
    waiting += ["SNS-1", "SNS-2", "BROKEN-1", "BROKEN-6", README_ORDER]
    situations = dict.fromkeys([*waiting, "OUTAGE-1", "OUTAGE-2", "OUTAGE-3"], "ready")
    situations |= {"WON-BY-WECHAT-1": "won-by-wechat", "DEDUCTING-1": "deducting", "NOTHING-DUE-1": "nothing-due"}
    situations |= {"NOT-COMPLETED-1": "confirmed", "REVOKED-1": "revoked"}
    for number, situation in situations.items():
        testbed.bring(situation, number)
    testbed.ready("WRONG-KEY-1", OTHER_MERCHANT)
    wechat_pay.merchant(OTHER_MERCHANT).rotate_key()  # its secret still has the old one
    testbed.bring("ready", "PARTNER-1", family=Family(sub_mchid=OTHER_MERCHANT))


def environment(testbed: Testbed) -> dict[str, str]:
    """Return the function's variables for `sam local invoke --env-vars`, with the addresses that a container uses."""
    configuration = testbed.cloud.client("lambda").get_function_configuration(FunctionName=testbed.function)
    variables: dict[str, str] = configuration["Environment"]["Variables"]
    # Docker Desktop routes host.docker.internal to loopback. On Linux nothing does: see sandbox/README.md.
    return {name: value.replace("//127.0.0.1:", "//host.docker.internal:") for name, value in variables.items()}


def write_addresses(testbed: Testbed, directory: Path) -> None:
    """Write the addresses for `sam local invoke` into env.json, and for `bin/ops` into a file that it finds."""
    (directory / "env.json").write_text(
        json.dumps({"OrdersFunction": environment(testbed)}, indent=2), encoding="utf-8"
    )
    endpoint_url, control_url = testbed.cloud.endpoint_url, testbed.wechat_pay.control_url
    record = Sandbox(testbed.stack.name, REGION, endpoint_url, "sandbox", "sandbox", os.getpid(), control_url)
    record.write(directory)


def write_credentials(testbed: Testbed, directory: Path) -> None:
    """Write each merchant's files as the merchant platform gives them."""
    for mchid in (MERCHANT, OTHER_MERCHANT):
        credentials.write(client_environment.folder_of(directory, mchid), testbed.wechat_pay.credentials(mchid))


def _welcome(testbed: Testbed, directory: Path, console: str) -> None:
    folder = client_environment.folder_of(directory, MERCHANT)
    aws, wechat_pay = testbed.cloud.endpoint_url, testbed.wechat_pay
    order = json.dumps({"mchid": MERCHANT, "out_order_no": "MINE-2"})
    notify_url = testbed.front.notify_url(MERCHANT) if testbed.front else "none"
    print(
        f"""
console      {console}   (for a browser: send events, follow orders, switch faults, redrive)
AWS          {aws}   (any credentials, region us-east-1)
WeChat Pay   {wechat_pay.base_url}   (backup {wechat_pay.backup_url})
control      {wechat_pay.control_url}   (what shops and customers do, and outages: {HERE.page("sandbox/README.md")})
merchants    {MERCHANT}; {OTHER_MERCHANT}, whose secret has an old key
notify_url   {notify_url}   (where WeChat Pay tells of this merchant's orders)
queue        {testbed.stack.outputs["OrderQueueUrl"]}
function     {testbed.function}
the orders of events/ wait; waits between retries are a hundredth of production's

  {HERE.ops} order list --attention
  curl {wechat_pay.control_url}/__sandbox__/ready_to_sync -H 'Content-Type: application/json' \\
      -d '{order}'
  {HERE.ops} event send --mchid {MERCHANT} --out-order-no MINE-2 --paid-time "$(date -u +%FT%TZ)"
  {HERE.ops} order show {MERCHANT} MINE-2

any client of WeChat Pay, with its own host names and the keys in {folder}:

{indent(client_environment.exports(wechat_pay.proxy_url, folder), "  ")}

Ctrl-C ends it. What the function logs:
""",
        flush=True,
    )


def _follow(testbed: Testbed) -> NoReturn:
    printed = 0
    while True:
        lines = [line for line in testbed.cloud.logs(testbed.function) if line.startswith('{"level"')]
        for line in lines[printed:]:
            print(line, flush=True)
        printed = len(lines)
        time.sleep(0.5)  # a log is polled
