"""The library of this repository, as a user of it would call it: the same steps, for comparison."""
# Its types are checked where it is; here it is one of several clients.
# mypy: ignore-errors

from course import IDENTITY, TASK, read, run
from cryptography import x509

import wechatpay


class Client:
    """The steps by our calls."""

    def __init__(self) -> None:
        certificate = x509.load_pem_x509_certificate(read("apiclient_cert.pem").encode())
        keys = {read("pub_key_id.txt"): read("pub_key.pem")} if TASK["mode"] == "public_key" else {}
        self.client = wechatpay.Client(
            mchid=TASK["mchid"],
            serial_no=f"{certificate.serial_number:X}",
            private_key=read("apiclient_key.pem"),
            platform_keys=keys,  # without any, the certificates are downloaded before the first call
            apiv3_key=read("apiv3_key.txt"),
        )
        self.orders = self.client.v3.payscore.serviceorder

    def create(self, fields: dict) -> dict:
        """Create an order."""
        return self.orders.post(json={**IDENTITY, **fields}).json()

    def complete(self, number: str, fields: dict) -> dict:
        """Complete an order."""
        return self.orders._out_order_no_.complete.post(out_order_no=number, json={**IDENTITY, **fields}).json()

    def sync(self, number: str, paid_time: str) -> dict:
        """Report the payment."""
        body = {**IDENTITY, "type": "Order_Paid", "detail": {"paid_time": paid_time}}
        return self.orders._out_order_no_.sync.post(out_order_no=number, json=body).json()

    def query(self, number: str) -> dict:
        """Query an order."""
        return self.orders.get(params={**IDENTITY, "out_order_no": number}).json()

    def cancel(self, number: str, reason: str) -> object:
        """Cancel an order."""
        return self.orders._out_order_no_.cancel.post(out_order_no=number, json={**IDENTITY, "reason": reason})

    def notification(self, headers: dict, body: str) -> dict | None:
        """Verify and open a notification."""
        return self.client.notification(headers, body.encode()).resource


run(Client())
