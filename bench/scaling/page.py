"""The figures of docs/operate/scaling.md: its tables, and the sentences that have a figure of the program in them."""

import re
from dataclasses import replace
from pathlib import Path

from bench.scaling.merchants import BROKEN_KEYS, batch_seconds
from bench.scaling.quotas import RECEIVES, quotas
from bench.scaling.service import Service
from bench.scaling.tables import RATES

PAGE = Path(__file__).parents[2] / "docs/operate/scaling.md"
BUSIEST = RATES[-1]
IDLE, ADDED = 5, 300  # environments that Lambda polls with from idle, and adds in a minute
_NUMBER = re.compile(r"\d(?:[\d.,]*\d)?")


def sentences(service: Service | None = None) -> list[str]:
    """Return each sentence of the page, or part of one, whose figures follow the service."""
    service = service or Service()
    per_batch, per_event = service.cpu_ms_per_batch, service.cpu_ms_per_event
    advised = [service.concurrency_to_set(rate) for rate in RATES]
    needed = service.concurrency_needed(BUSIEST)
    far = replace(service, wechat_ms=200.0).concurrency_needed(BUSIEST)
    minutes = (needed - IDLE) / ADDED
    secrets = next(quota.met_at for quota in quotas(service) if quota.page == "secrets")
    least = replace(service, batch_size=1).capacity(2)
    full = batch_seconds(service, 0, service.batch_size, BROKEN_KEYS)
    receives = service.maximum_concurrency * service.batch_size / full
    return [
        f"{per_batch:.1f} ms of CPU for a batch and {per_event:.1f} ms for an order",
        f"2 × 4 + 50 + ({per_batch:.1f} + {per_event:.1f} n) × 1769 / 512 ms",
        f"ten orders take {service.full_batch * 1000:.0f} ms, which is {service.capacity(1):.0f} orders a second",
        f"| `MaximumConcurrency` | {' | '.join(f'{one:,}' for one in advised)} |",
        f"| Lambda | – | – | {advised[-1]:,} of the account's concurrency",
        f"{needed:,.0f} are reached after {minutes:.1f} minutes",
        f"{BUSIEST * minutes * 30 / 1e6:.1f} million orders wait in the meantime",
        f"At 200 ms, 50,000 orders a second need {far:,.0f}:",
        f"{advised[-1]:,} environments reach Secrets Manager's limit with {secrets / advised[-1]:,.0f} merchants",
        f"with one order each: {least:.0f} calls a second at 50 ms",
        f"then {2 * receives / (RECEIVES + 1):.0f} orders a second, half of them from this merchant, are enough",
    ]


def rewritten(page: str, tables: list[str], parts: list[str]) -> str:
    """Return the page with these tables in place of those with their columns, and these figures in its sentences.

    Raise LookupError for a table or a sentence that the page does not have exactly once.
    """
    for table in tables:
        columns = table.partition("\n")[0]
        page = _once(re.compile(rf"^{re.escape(columns)}\n(?:\|.*\n)*", re.MULTILINE), f"{table}\n", page, columns)
    for part in parts:
        words = [r"\s+".join(map(re.escape, re.split(r"\s+", text))) for text in _NUMBER.split(part)]
        pattern = re.compile(_NUMBER.pattern.join(f"({text})" for text in words))
        texts = [f"\\g<{number}>" for number in range(1, len(words) + 1)]
        figures = [*_NUMBER.findall(part), ""]
        page = _once(pattern, "".join(text + figure for text, figure in zip(texts, figures, strict=True)), page, part)
    return page


def _once(pattern: re.Pattern[str], replacement: str, page: str, name: str) -> str:
    if len(pattern.findall(page)) != 1:
        raise LookupError(f"docs/operate/scaling.md must have this once: {name}")
    return pattern.sub(replacement, page)
