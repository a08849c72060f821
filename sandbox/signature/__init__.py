"""The hunt for a signature error: what should have been signed, what was signed, and which mistake explains it. Pure.

It shares no line with the library `wechatpay`, as the simulated WeChat Pay does not.
"""

from sandbox.signature.answer import hunt_answer
from sandbox.signature.difference import Difference, first_difference
from sandbox.signature.explanation import Hunt
from sandbox.signature.http_text import HttpText, read_http
from sandbox.signature.key_book import KeyBook, OwnedKey
from sandbox.signature.request import hunt_request

__all__ = [
    "Difference",
    "HttpText",
    "Hunt",
    "KeyBook",
    "OwnedKey",
    "first_difference",
    "hunt_answer",
    "hunt_request",
    "read_http",
]
