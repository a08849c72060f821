"""The floor of every implementation: one signature. `python -m bench.floor` prints its CPU time in ms."""

import statistics
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ROUNDS, SIGNATURES = 9, 200


def signature_ms() -> float:
    """Return the CPU time of one RSASSA-PKCS1-v1_5 signature (SHA-256, 2048 bits) in ms, the median of nine rounds."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    scheme, digest = padding.PKCS1v15(), hashes.SHA256()
    rounds = []
    for _ in range(ROUNDS):
        before = time.process_time()
        for _ in range(SIGNATURES):
            key.sign(b"x" * 300, scheme, digest)
        rounds.append((time.process_time() - before) * 1000 / SIGNATURES)
    return statistics.median(rounds)


if __name__ == "__main__":
    print(signature_ms())
