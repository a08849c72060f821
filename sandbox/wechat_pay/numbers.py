"""Numbers that WeChat Pay gives: unique in one process, and of the form that its pages show."""

import base64
import itertools
import secrets

from sandbox.wechat_pay.times import digits

_SEQUENCE = itertools.count(secrets.randbelow(10**7))


def order_id(at: float) -> str:
    """Make an `order_id`: 31 digits, of which the first are 1000000000 and the date (doc 4012587962)."""
    return f"1000000000{digits(at)}{next(_SEQUENCE) % 10**7:07d}"


def transaction_id(at: float) -> str:
    """Make the number of a payment that WeChat Pay has collected."""
    return f"4200{int(at):010d}{next(_SEQUENCE) % 10**10:010d}"


def package(order_id: str) -> str:
    """Make the `package` that opens the customer's confirmation: the same for the same order (doc 4012587900)."""
    return base64.urlsafe_b64encode(f"payscore-{order_id}".encode()).decode().rstrip("=")


def query_id() -> str:
    """Make a `query_id`, which the customer's phone brings back to the shop (doc 4012587902)."""
    return secrets.token_urlsafe(48)
