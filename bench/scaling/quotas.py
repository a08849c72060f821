"""AWS's limits, and how many orders a second meet each."""

from dataclasses import dataclass

from bench import template
from bench.scaling.drain import OUTAGE
from bench.scaling.service import Service
from orders.merchants import SECRET_MAX_AGE
from orders.waits import KEYS_BROKEN, Wait, backoff

RECEIVES = template.default("MaxReceiveCount")
IN_FLIGHT = 120_000  # messages received and not yet deleted, at which SQS hands out no more


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit of AWS's, and what one order a second asks of it; `page` is a link of docs/operate/scaling.md.

    `well`: every deployment in us-east-1 meets it, when all is well.
    """

    name: str
    limit: float
    each: float
    page: str
    met_by: str = "orders/s"
    well: bool = True

    @property
    def met_at(self) -> float:
        """How many a second meet it."""
        return self.limit / self.each


def quotas(service: Service) -> list[Quota]:
    """Return AWS's defaults of 2026, lowest first. An order takes one read unit and at most two write units."""
    share = service.full_batch / service.batch_size
    ours = service.maximum_concurrency
    limits = [
        Quota(f"MaximumConcurrency {ours}, the template's", ours, share, "mapping", well=False),
        Quota("MaximumConcurrency 1,000, Lambda's own limit", 1_000, share, "mapping"),
        Quota("Lambda, 1,000 at a time in an account", 1_000, share, "lambda"),
        Quota("EventBridge PutEvents, one order each, 400/s in the smallest regions", 400, 1, "events", well=False),
        Quota("EventBridge PutEvents, one order each, 10,000/s in us-east-1", 10_000, 1, "events"),
        Quota("EventBridge invocations, 750/s in the smallest regions", 750, 1, "events", well=False),
        Quota("EventBridge invocations, 18,750/s in us-east-1", 18_750, 1, "events"),
        Quota("DynamoDB, 4,000 write units/s of a new table", 4_000, 2, "on-demand"),
        Quota("DynamoDB, 12,000 read units/s of a new table", 12_000, 1, "on-demand"),
        Quota("DynamoDB, 40,000 write units/s of a table", 40_000, 2, "table"),
        Quota("DynamoDB, 40,000 read units/s of a table", 40_000, 1, "table"),
        Quota("SQS, 120,000 in flight, all well", IN_FLIGHT, service.full_batch, "queue"),
        Quota("SQS, 120,000 in flight, an hour without WeChat Pay", IN_FLIGHT, OUTAGE, "queue", well=False),
        Quota(
            "SQS, 120,000 in flight, one merchant's keys broken",
            IN_FLIGHT,
            seconds_in_flight(KEYS_BROKEN),
            "queue",
            "of its orders/s",
            well=False,
        ),
        Quota(
            "Secrets Manager, 10,000 GetSecretValue/s",
            10_000,
            1 / SECRET_MAX_AGE,
            "secrets",
            "environments × merchants",
        ),
    ]
    return sorted(limits, key=lambda quota: quota.met_at)


def seconds_in_flight(wait: Wait) -> float:
    """Return the mean seconds that a message is in flight which never succeeds: all its waits."""
    jitters = [(number + 0.5) / 100 for number in range(100)]
    counts = range(1, RECEIVES + 1)
    return sum(backoff(count, wait, jitter=jitter) for count in counts for jitter in jitters) / len(jitters)
