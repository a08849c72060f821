"""Every table of docs/operate/scaling.md."""

import math
from dataclasses import replace

from bench.figures import percentile, table
from bench.scaling.attention import LAST_RECEIVE, PRESENT, SHARDED, Design, simulate
from bench.scaling.drain import OUTAGE, drain_seconds, simulate_drain
from bench.scaling.merchants import BROKEN_KEYS, TOO_OFTEN, Failure, share_queue
from bench.scaling.quotas import IN_FLIGHT, Quota, quotas
from bench.scaling.service import Service, busy_environments, mean_batch, settings_below
from bench.scaling.simulation import ORDERS, random_arrivals, serve, simulate_busy_environments

RATES = (10.0, 1_000.0, 50_000.0)  # orders a second


def tables(service: Service | None = None) -> dict[str, str]:
    """Return every Markdown table of docs/operate/scaling.md, by its name."""
    service = service or Service()
    return {
        "concurrency": table(_CONCURRENCY, [_concurrency_row(service, rate) for rate in RATES]),
        "quotas": table(_QUOTAS, [_quota_row(quota) for quota in quotas(service)]),
        "memory": table(_MEMORY, [_memory_row(replace(service, memory_mb=size)) for size in (256, 512, 1024, 1769)]),
        "batches": table(
            _BATCHES, [_batch_row(service, rate, window) for rate in (1.0, 10.0, 100.0, 400.0) for window in (0.0, 1.0)]
        ),
        "calls": table(_CALLS, [_calls_row(service, concurrency) for concurrency in (2, 5, 20, 100)]),
        "limits": table(_LIMITS, [_limit_row(service, limit) for limit in (10.0, 150.0, 1_000.0)]),
        "merchants": table(
            _MERCHANTS,
            [_merchant_row(service, rate, BROKEN_KEYS) for rate in (50.0, 150.0, 250.0)]
            + [_merchant_row(service, 250.0, TOO_OFTEN)],
        ),
        "drain": table(
            _DRAIN, [_drain_row(service, rate, concurrency) for rate in (1.0, 10.0, 100.0) for concurrency in (5, 50)]
        ),
        "attention": table(
            _ATTENTION,
            [_attention_row(service, rate, PRESENT) for rate in (10.0, 100.0)]
            + [
                _attention_row(service, rate, design)
                for rate in (1_000.0, 50_000.0)
                for design in (PRESENT, SHARDED, LAST_RECEIVE)
            ],
        ),
    }


_CONCURRENCY = (
    "orders/s",
    "set to",
    "a batch",
    "batches/s",
    "needed",
    "Little",
    "simulated",
    "calls (most)",
    "in flight full",
    "met first",
)


def _concurrency_row(service: Service, rate: float) -> list[str]:
    concurrency = service.concurrency_to_set(rate)
    size = mean_batch(service, rate, concurrency)
    quota = next((quota for quota in quotas(service) if quota.well and quota.met_at <= rate), None)
    return [
        f"{rate:,.0f}",
        f"{concurrency:,}",
        f"{size:.1f}",
        f"{rate / size:,.0f}",
        _short(service.concurrency_needed(rate)),
        _short(busy_environments(service, rate, concurrency)),
        _short(simulate_busy_environments(service, rate, concurrency)),
        f"{_short(rate * service.wechat_ms / 1000)} ({concurrency * service.batch_size:,})",
        _duration(IN_FLIGHT / rate),
        quota.name if quota else "none",
    ]


_QUOTAS = ("quota", "met at", "page")


def _quota_row(quota: Quota) -> list[str]:
    return [quota.name, f"{_short(quota.met_at)} {quota.met_by}", f"[{quota.page}]"]


_MEMORY = ("MemorySize", "a batch of 10", "concurrency for 50,000/s", "GB-ms an order")


def _memory_row(service: Service) -> list[str]:
    billed = service.full_batch / service.batch_size * service.memory_mb / 1024
    return [
        f"{service.memory_mb} MB",
        f"{service.full_batch * 1000:.0f} ms",
        f"{service.concurrency_needed(50_000):.0f}",
        f"{billed * 1000:.1f}",
    ]


_BATCHES = ("orders/s", "batching window", "orders a batch", "waits, half", "waits, 99 %", "billed an order")


def _batch_row(service: Service, rate: float, window: float) -> list[str]:
    orders = int(min(ORDERS, 2_000 * rate))
    batches = list(serve(service, random_arrivals(rate, orders), service.maximum_concurrency, window=window))
    waits = [batch.start - at for batch, arrivals in batches for at in arrivals]
    billed = sum(service.seconds(batch.size) for batch, _ in batches) / orders
    return [
        f"{rate:,.0f}",
        f"{window:.0f} s",
        f"{orders / len(batches):.1f}",
        f"{percentile(waits, 0.5) * 1000:,.0f} ms",
        f"{percentile(waits, 0.99) * 1000:,.0f} ms",
        f"{billed * 1000:.0f} ms",
    ]


_LATENCIES = (50.0, 200.0, 1_000.0)  # ms that WeChat Pay takes
_CALLS = ("MaximumConcurrency", "calls in flight", *(f"calls/s at {latency:,.0f} ms" for latency in _LATENCIES))


def _calls_row(service: Service, concurrency: int) -> list[str]:
    flying = concurrency * service.batch_size
    full = [replace(service, wechat_ms=latency).capacity(concurrency) for latency in _LATENCIES]
    most = [flying / latency * 1000 for latency in _LATENCIES]
    cells = [f"{at_once:,.0f} ({batched:,.0f})" for at_once, batched in zip(most, full, strict=True)]
    return [str(concurrency), f"{flying:,}", *cells]


_LIMITS = ("calls/s that WeChat Pay takes", "MaximumConcurrency", "BatchSize", "calls/s at most")


def _limit_row(service: Service, limit: float) -> list[str]:
    concurrency, size = settings_below(service, limit)
    calls = replace(service, batch_size=size).capacity(concurrency)
    return [f"{limit:,.0f}", str(concurrency), str(size), f"{calls:,.0f}"]


_MERCHANTS = ("orders/s", "its orders end in", "its receives", "standard: half", "99 %", "fair: half", "99 %")


def _merchant_row(service: Service, rate: float, failure: Failure) -> list[str]:
    standard, fair = (share_queue(service, rate, failure, fair=fair) for fair in (False, True))
    waits = [_duration(percentile(queue.waits, part)) for queue in (standard, fair) for part in (0.5, 0.99)]
    return [f"{rate:,.0f}", failure.name, f"{standard.receives:,}", *waits]


_DRAIN = ("orders/s", "MaximumConcurrency", "backlog", "capacity", "drained after, formula", "simulated")


def _drain_row(service: Service, rate: float, concurrency: int) -> list[str]:
    batches = simulate_drain(service, rate, concurrency)
    return [
        f"{rate:,.0f}",
        str(concurrency),
        f"{rate * OUTAGE:,.0f}",
        f"{service.capacity(concurrency):,.0f}/s",
        _duration(drain_seconds(service, rate, concurrency)),
        _duration(batches[-1].start if batches else math.inf),
    ]


_ATTENTION = (
    "orders/s",
    "index",
    "units asked for",
    "most in a second",
    "refused",
    "seconds with refusals",
    "of them in the hour after",
    "entries at the outage's end",
)


def _attention_row(service: Service, rate: float, design: Design) -> list[str]:
    index = simulate(service, rate, design)
    return [
        f"{rate:,.0f}",
        design.name,
        f"{index.units:,.0f}",
        f"{index.most:,.0f}",
        f"{index.refused:,.0f}",
        f"{index.throttled:,}",
        f"{index.throttled_after:,}",
        f"{index.entries_at_end:,.0f}",
    ]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _duration(seconds: float) -> str:
    if math.isinf(seconds):
        return "never"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
