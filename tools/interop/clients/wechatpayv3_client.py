"""wechatpayv3: reads a task on stdin, prints one line of JSON for each step."""
# The client is not installed where mypy runs.
# mypy: ignore-errors

import json

from course import FOLDER, IDENTITY, TASK, read, run
from cryptography import x509
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.utils import load_public_key, rsa_verify


def connect() -> WeChatPay:
    """Return their client; without a public key it downloads the certificates itself."""
    certificate = x509.load_pem_x509_certificate((FOLDER / "apiclient_cert.pem").read_bytes())
    keys = {}
    if TASK["mode"] == "public_key":
        keys = {"public_key": read("pub_key.pem"), "public_key_id": read("pub_key_id.txt")}
    return WeChatPay(
        wechatpay_type=WeChatPayType.NATIVE,
        mchid=TASK["mchid"],
        private_key=read("apiclient_key.pem"),
        cert_serial_no=f"{certificate.serial_number:X}",
        appid=TASK["appid"],
        apiv3_key=read("apiv3_key.txt"),
        notify_url=TASK["notify_url"],
        **keys,
    )


def order(answer: tuple[int, str]) -> dict:
    """Return the order of an answer."""
    status, text = answer
    if status >= 300:
        raise ValueError(f"{status} {text}")
    return json.loads(text) if text else {}


class Client:
    """The steps by their calls."""

    def __init__(self) -> None:
        self.pay = connect()

    def create(self, fields: dict) -> dict:
        """Create an order."""
        return order(self.pay.payscore_create(**fields))

    def complete(self, number: str, fields: dict) -> dict:
        """Complete an order."""
        return order(self.pay.payscore_complete(number, IDENTITY["service_id"], **fields))

    def sync(self, number: str, paid_time: str) -> dict:
        """Report the payment."""
        return order(self.pay.payscore_sync(number, IDENTITY["service_id"], detail={"paid_time": paid_time}))

    def query(self, number: str) -> dict:
        """Query an order."""
        return order(self.pay.payscore_query(IDENTITY["service_id"], out_order_no=number))

    def cancel(self, number: str, reason: str) -> object:
        """Cancel an order."""
        return order(self.pay.payscore_cancel(number, IDENTITY["service_id"], reason))

    def notification(self, headers: dict, body: str) -> dict | None:
        """Verify and open a notification."""
        opened = self.pay.callback(headers, body)
        return opened and opened["resource"]

    def verify(self, request: dict, body: str) -> bool:
        """Verify the signature of a request that our library signed."""
        # rsa_verify is made for answers, which have three lines; the first three of a request go in as the first
        start = "\n".join([request["method"], request["target"], request["timestamp"]])
        key = load_public_key(TASK["merchant_public_key"])
        return rsa_verify(start, request["nonce"], body, request["signature"], key)


run(Client())
