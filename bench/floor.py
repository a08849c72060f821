"""The floor of every implementation: the same waits, and nothing computed but a signature and a verification an order.

`python -m bench.floor` prints its figures as JSON: CPU time of both, and what batches take.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ROUNDS, TIMES = 9, 200
WECHAT_PAY, AWS = 0.050, 0.004  # seconds until a peer answers
SIZES = (10, 100)


class Floor:
    """A key, and what a batch does with it."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._public = self._key.public_key()
        self._scheme, self._digest = padding.PKCS1v15(), hashes.SHA256()
        self._signature = self.sign()

    def sign(self) -> bytes:
        """Make one RSASSA-PKCS1-v1_5 signature (SHA-256, 2048 bits)."""
        return self._key.sign(b"x" * 300, self._scheme, self._digest)

    def verify(self) -> None:
        """Verify one."""
        self._public.verify(self._signature, b"x" * 300, self._scheme, self._digest)

    def batch(self, size: int) -> None:
        """Read the table and sign meanwhile, wait for WeChat Pay and verify, write the table."""
        began = time.perf_counter()
        for _ in range(size):
            self.sign()
        sent = max(time.perf_counter(), began + AWS)
        for _ in range(size - 1):  # the last answer comes a call's time after the last request; the others came before
            self.verify()
        _sleep_until(sent + WECHAT_PAY)
        self.verify()
        time.sleep(AWS)


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.perf_counter()))


def figures() -> dict[str, float]:
    """Return CPU times of a signature and a verification, and wall times of batches, in ms: medians of nine rounds."""
    floor = Floor()
    times = {"signature": _cpu_ms(floor.sign), "verification": _cpu_ms(floor.verify)}
    return times | {f"batch@{size}": _wall_ms(floor, size) for size in SIZES}


def _cpu_ms(work: Callable[[], object]) -> float:
    rounds = []
    for _ in range(ROUNDS):
        before = time.process_time()
        for _ in range(TIMES):
            work()
        rounds.append((time.process_time() - before) * 1000 / TIMES)
    return statistics.median(rounds)


def _wall_ms(floor: Floor, size: int) -> float:
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        floor.batch(size)
        rounds.append((time.perf_counter() - began) * 1000)
    return statistics.median(rounds)


if __name__ == "__main__":
    json.dump(figures(), sys.stdout)
