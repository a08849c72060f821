"""What a million orders cost: `python -m bench.cost` prints the table of docs/operate/cost.md from prices and designs.

    per order = bus + SQS (send + (receive + delete) / batch) + Lambda (request / batch + GB-s / batch)
              + DynamoDB (write units + read units) + log bytes + bytes to WeChat Pay

The time of a batch is what it waits and what it computes. Computing takes 1769 / memory as long (AWS, Lambda: memory
buys CPU in proportion); the two are added, which is the upper bound.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from bench import figures
from bench.record import batch_cpu, life

WHOLE_CPU = 1769  # MB at which a function has one CPU (AWS Lambda, "Configure memory")
LINE_OVERHEAD = 26  # bytes that CloudWatch Logs adds to each line (its pricing page)


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars for a million, in us-east-1, by the list of November 2026; other regions and discounts are yours."""

    event: float = 1.00  # EventBridge, custom events
    sqs_request: float = 0.40
    lambda_request: float = 0.20
    gb_second: float = 13.3334  # arm64, first tier
    write_unit: float = 0.625  # DynamoDB on demand
    read_unit: float = 0.125
    log_byte: float = 0.50 / 1000  # $0.50 for a GB
    egress_byte: float = 0.09 / 1000  # $0.09 for a GB to the internet


@dataclass(frozen=True, slots=True)
class Design:
    """One way of doing it. Times are ms, of a batch or of an event; the rest is for each order."""

    bus: bool
    sends: float  # SQS requests that bring an order into the queue
    batch: int
    memory: int  # MB
    wait_per_batch: float
    wait_per_event: float
    cpu_per_batch: float
    cpu_per_event: float
    write_units: float
    read_units: float
    log_bytes: float
    log_lines: float
    sent_bytes: float


# CPU times and log bytes are those of the run of record; waits are its 50 ms of WeChat Pay and 4 ms of DynamoDB.
_CPU = batch_cpu()
_BASELINE, _OURS = life()
OURS = Design(
    bus=True,
    sends=1.0,
    batch=10,
    memory=512,
    wait_per_batch=58.0,
    wait_per_event=0.0,
    cpu_per_batch=_CPU.per_batch,
    cpu_per_event=_CPU.per_event,
    write_units=1.0,
    read_units=1.0,
    log_bytes=_OURS.log_bytes,
    log_lines=1.1,
    sent_bytes=1000.0,
)
NAIVE = replace(
    OURS,
    wait_per_batch=0.0,
    wait_per_event=62.0,
    cpu_per_batch=0.0,
    cpu_per_event=_BASELINE.cpu_per_event,
    write_units=3.0,
    read_units=0.0,
    log_bytes=_BASELINE.log_bytes,
    log_lines=2.0,
    sent_bytes=1700.0,  # a connection for each order
)
DESIGNS: Mapping[str, Design] = {
    "the usual way, through EventBridge": NAIVE,
    "ours, through EventBridge": OURS,
    "ours, SendMessage": replace(OURS, bus=False),
    "ours, SendMessageBatch of ten": replace(OURS, bus=False, sends=0.1),
    "the same, LogLevel WARNING": replace(OURS, bus=False, sends=0.1, log_bytes=58.0, log_lines=0.1),
    "ours, through EventBridge, batches half full": replace(OURS, batch=5),
    "ours, through EventBridge, one order a batch": replace(OURS, batch=1),
    "ours, through EventBridge, items of 2 KB": replace(OURS, write_units=2.0),
}


def batch_ms(design: Design) -> float:
    """Return the milliseconds of a batch, an upper bound: as if nothing were computed while it waits."""
    cpu = design.cpu_per_batch + design.batch * design.cpu_per_event
    waits = design.wait_per_batch + design.batch * design.wait_per_event
    return waits + cpu * max(1.0, WHOLE_CPU / design.memory)


def per_million(design: Design, prices: Prices) -> dict[str, float]:
    """Return dollars for a million orders, by service."""
    gb_seconds = batch_ms(design) / 1000 * design.memory / 1024
    log_bytes = design.log_bytes + design.log_lines * LINE_OVERHEAD
    return {
        "EventBridge": prices.event if design.bus else 0.0,
        "SQS": prices.sqs_request * (design.sends + 2 / design.batch),
        "Lambda": (prices.lambda_request + prices.gb_second * gb_seconds) / design.batch,
        "DynamoDB": prices.write_unit * design.write_units + prices.read_unit * design.read_units,
        "logs": prices.log_byte * log_bytes,
        "egress": prices.egress_byte * design.sent_bytes,
    }


def table(prices: Prices, designs: Mapping[str, Design] = DESIGNS) -> str:
    """Return the figures as a Markdown table, dollars for a million orders."""
    parts = {name: per_million(design, prices) for name, design in designs.items()}
    services = list(next(iter(parts.values())))
    rows = [
        [name, f"**{sum(each.values()):.2f}**", *(f"{each[service]:.2f}" for service in services)]
        for name, each in parts.items()
    ]
    return figures.table(["design", "all", *services], rows)


def memories(prices: Prices, design: Design = OURS) -> str:
    """Return what memory buys, as a Markdown table."""
    rows = []
    for memory in (128, 256, 512, 1024, 1769):
        sized = replace(design, memory=memory)
        rows.append([str(memory), f"{batch_ms(sized):.0f}", f"{per_million(sized, prices)['Lambda']:.2f}"])
    return figures.table(["MemorySize, MB", "a batch of ten, ms", "Lambda, $ for a million orders"], rows)


@dataclass(frozen=True, slots=True)
class Doorway:
    """What a parameter adds to each order that it is about. `cpu` and `wait` are ms of a function of its own."""

    parameter: str
    orders: str
    requests: float  # of its function
    wait: float = 0.0
    cpu: float = 0.0
    front: float = 0.0  # dollars for a million requests at the front
    events: float = 0.0
    write_units: float = 0.0
    read_units: float = 0.0
    log_lines: float = 0.0
    log_bytes: float = 0.0


HTTP_API = 1.00  # dollars for a million requests, API Gateway's first tier
# Log lines as the functions write them; waits are the 4 ms of DynamoDB and twice that of EventBridge, assumed.
OUTCOME = Doorway(
    "OutcomeEvents", "every order, one a batch", 1.0, wait=8.0, cpu=2.0, events=1.0, log_lines=2.0, log_bytes=439.0
)
NOTICE = Doorway(
    "NotificationsFront=function-url",
    "one that WeChat Pay tells of",
    1.0,
    wait=8.0,
    cpu=3.0,
    write_units=3.0,
    read_units=1.0,
    log_lines=2.0,
    log_bytes=488.0,
)
DOORWAYS = (
    OUTCOME,
    replace(
        OUTCOME, orders="every order, ten a batch", requests=0.1, wait=0.8, cpu=0.4, log_lines=1.1, log_bytes=171.0
    ),
    replace(NOTICE, parameter="NotificationsFront=http-api", front=HTTP_API),
    NOTICE,
)


def doorway_cost(doorway: Doorway, prices: Prices, memory: int = OURS.memory) -> float:
    """Return dollars for a million such orders, on top of what they cost without the parameter."""
    milliseconds = doorway.wait + doorway.cpu * max(1.0, WHOLE_CPU / memory)
    return (
        prices.lambda_request * doorway.requests
        + prices.gb_second * milliseconds / 1000 * memory / 1024
        + doorway.front
        + prices.event * doorway.events
        + prices.write_unit * doorway.write_units
        + prices.read_unit * doorway.read_units
        + prices.log_byte * (doorway.log_bytes + doorway.log_lines * LINE_OVERHEAD)
    )


def doorways(prices: Prices) -> str:
    """Return what the parameters that are off by default add, as a Markdown table."""
    rows = [[one.parameter, one.orders, f"{doorway_cost(one, prices):.2f}"] for one in DOORWAYS]
    return figures.table(["parameter", "orders", "$ more for a million of them"], rows)


def main() -> None:
    """Print the tables; flags change a price or a figure of our designs."""
    parser = argparse.ArgumentParser(prog="python -m bench.cost", description="Dollars for a million orders.")
    for group in (Prices, Design):
        for field in fields(group):
            default = f" (default {field.default:g})" if group is Prices else " of all designs of ours"
            name = f"--{field.name.replace('_', '-')}"
            if field.name != "bus":
                parser.add_argument(name, type=float, help=f"{field.name.replace('_', ' ')}{default}")
    changes = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    prices = _change(Prices(), changes)
    ours = {name: design if design is NAIVE else _change(design, changes) for name, design in DESIGNS.items()}
    print(table(prices, ours), memories(prices, _change(OURS, changes)), doorways(prices), sep="\n\n")


def _change[T: (Prices, Design)](record: T, changes: Mapping[str, float]) -> T:
    """Return the record with the changes that are about one of its fields."""
    names = [field.name for field in fields(record) if field.name in changes]
    return replace(record, **{name: changes[name] for name in names})  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
