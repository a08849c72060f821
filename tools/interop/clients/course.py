"""The steps of a client in Python: reads a task on stdin, prints one line of JSON for each step."""
# It runs where neither this repository nor its types are installed.
# mypy: ignore-errors

import json
import sys
import time
from base64 import b64decode
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

TASK = json.load(sys.stdin)
FOLDER = Path(TASK["folder"])
IDENTITY = {"appid": TASK["appid"], "service_id": TASK["service_id"]}


def read(name: str) -> str:
    """Return a text file of the merchant's folder, without its line end."""
    return (FOLDER / name).read_text(encoding="utf-8").strip()


def control(verb: str, number: str) -> dict:
    """Do what the customer does, on the simulator's control port."""
    body = json.dumps({"mchid": TASK["mchid"], "out_order_no": number}).encode()
    url, headers = f"{TASK['control_url']}/__sandbox__/{verb}", {"Content-Type": "application/json"}
    request = Request(url, body, headers)  # noqa: S310  the simulator on this machine
    with build_opener(ProxyHandler({})).open(request, timeout=60) as answer:
        return json.load(answer)


def report(step: str, action: Callable[[], object]) -> None:
    """Run a step and print its result: ok, or what came instead."""
    try:
        result = action()
    except Exception as error:  # noqa: BLE001  the client's own classes
        result = f"{type(error).__name__}: {error}"
    line = {"step": step, "result": "ok" if result is True else " ".join(str(result).split())[:200]}
    print(json.dumps(line), flush=True)


def verdict(open_notification: Callable[[dict, str], object], headers: dict, body: str) -> str:
    """Return whether the client refuses a notification that is not genuine."""
    try:
        return "accepted" if open_notification(headers, body) else "refused"
    except Exception:  # noqa: BLE001  the client's own classes
        return "refused"


def now_in_beijing() -> str:
    """Return the present second as WeChat Pay writes it."""
    return datetime.now(timezone(timedelta(hours=8))).strftime("%Y%m%d%H%M%S")


def completion() -> dict:
    """Return what a shop completes an order with: the service ends now."""
    return {**TASK["completion"], "time_range": {"end_time": now_in_beijing()}}


def run(client: object) -> None:
    """Take an order from its creation to its payment, cancel another one, and receive notifications."""
    number, other, tampered = (TASK["orders"][name] for name in ("paid", "cancelled", "tampered"))
    report("create", lambda: client.create(TASK["creations"][number])["state"] == "CREATED")
    report("confirm", lambda: control("confirm", number)["state"] == "DOING")
    report("complete", lambda: client.complete(number, completion())["state"] == "DOING")
    time.sleep(1.1)  # a payment is later than the completion, by whole seconds
    report("sync", lambda: client.sync(number, now_in_beijing())["state"] == "DONE")
    report("query", lambda: client.query(number)["collection"]["details"][0]["paid_type"] == "MCH")
    report("cancel", lambda: client.create(TASK["creations"][other]) and is_cancelled(client, other))
    report("tampered answer", lambda: refuses(lambda: client.query(tampered)))
    headers, body = TASK["notifications"]["notification"]
    report("notification", lambda: client.notification(headers, body)["out_order_no"] == TASK["orders"]["notified"])
    for name, (headers, body) in TASK["notifications"].items():
        if name != "notification":
            report(name, lambda headers=headers, body=body: verdict(client.notification, headers, body))
    if verify := getattr(client, "verify", None):
        report("our requests", lambda: all(verifies(verify, request) for request in TASK["requests"]))


def is_cancelled(client: object, number: str) -> bool:
    """Cancel an order, and return whether it is revoked."""
    client.cancel(number, "顾客取消")
    return client.query(number)["state"] == "REVOKED"


def refuses(action: Callable[[], object]) -> str:
    """Return whether the client refuses the answer to an action."""
    try:
        action()
    except Exception:  # noqa: BLE001  the client's own classes
        return "refused"
    return "accepted"


def verifies(verify: Callable[[dict, str], bool], request: dict) -> bool:
    """Return whether a request that our library signed verifies, and does not once its body is changed."""
    body = b64decode(request["body"]).decode()
    return verify(request, body) and not verify(request, body + " ")
