"""What WeChat Pay stores of a merchant next to its orders: permissions, refunds, and bills that can be downloaded.

`write` is called with a kind, a name and a record of JSON for each change, and `restore` reads such records again.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping

from sandbox.wechat_pay import merchant_bill, refunds
from sandbox.wechat_pay.merchant_bill import SealedBill
from sandbox.wechat_pay.payments import SimulatedPayment
from sandbox.wechat_pay.permissions import SimulatedPermission
from sandbox.wechat_pay.refunds import SimulatedRefund
from sandbox.wechat_pay.state import Record

type Write = Callable[[str, str, Record], None]


def _forget(kind: str, name: str, record: Record) -> None:
    """Write nothing: the register ends with the process."""


class Permissions:
    """The permissions of every merchant."""

    def __init__(self, write: Write = _forget) -> None:
        self._write = write
        self._by_name: dict[str, SimulatedPermission] = {}

    def restore(self, records: Iterable[Record]) -> None:
        """Fill the register with records that it has written."""
        self._by_name |= {permission.name: permission for permission in (SimulatedPermission(**r) for r in records)}

    def store(self, permission: SimulatedPermission) -> SimulatedPermission:
        """Store the permission in the place of the one that it was before."""
        self._by_name[permission.name] = permission
        self._write("permission", permission.name, permission.as_dict())
        return permission

    def of_code(self, mchid: str, authorization_code: str) -> SimulatedPermission | None:
        """Return the permission with this number."""
        return next((own for own in self._of(mchid) if own.authorization_code == authorization_code), None)

    def of_user(self, mchid: str, identity: Mapping[str, str]) -> SimulatedPermission | None:
        """Return a user's permission: the one that is open, or else the one that was open last."""
        own = [
            permission
            for permission in self._of(mchid)
            if all(getattr(permission, name) == value for name, value in identity.items())
        ]
        return max(own, key=lambda permission: (permission.state == "AVAILABLE", permission.opened_at), default=None)

    def all(self) -> list[SimulatedPermission]:
        """Return every permission."""
        return list(self._by_name.values())

    def _of(self, mchid: str) -> list[SimulatedPermission]:
        return [permission for permission in self._by_name.values() if permission.mchid == mchid]


class Refunds:
    """The refunds of every merchant."""

    def __init__(self, write: Write = _forget) -> None:
        self._write = write
        self._by_name: dict[str, SimulatedRefund] = {}

    def restore(self, records: Iterable[Record]) -> None:
        """Fill the register with records that it has written."""
        self._by_name |= {refund.name: refund for refund in (SimulatedRefund(**record) for record in records)}

    def store(self, refund: SimulatedRefund) -> SimulatedRefund:
        """Store the refund in the place of the one that it was before."""
        self._by_name[refund.name] = refund
        self._write("refund", refund.name, refund.as_dict())
        return refund

    def get(self, mchid: str, out_refund_no: str) -> SimulatedRefund | None:
        """Return the refund with this number; None where there is none."""
        return self._by_name.get(refunds.name_of(mchid, out_refund_no))

    def of_number(self, mchid: str, out_refund_no: str) -> SimulatedRefund:
        """Return the refund with this number; RESOURCE_NOT_EXISTS where there is none."""
        refund = self.get(mchid, out_refund_no)
        if refund is None:
            raise refunds.NO_REFUND
        return refund

    def of_payment(self, payment: SimulatedPayment) -> list[SimulatedRefund]:
        """Return the refunds of one payment."""
        return [
            refund
            for refund in self._by_name.values()
            if (refund.mchid, refund.transaction_id) == (payment.mchid, payment.transaction_id)
        ]

    def all(self) -> list[SimulatedRefund]:
        """Return every refund."""
        return list(self._by_name.values())


class Bills:
    """The bills that can be downloaded; each for some minutes after it was applied for, so they are not written."""

    def __init__(self) -> None:
        self._by_token: dict[str, SealedBill] = {}

    def offer(self, bill: SealedBill) -> str:
        """Offer a bill for download, and return its token; bills that are no longer valid are dropped."""
        oldest = bill.made_at - merchant_bill.VALID
        self._by_token = {token: other for token, other in self._by_token.items() if other.made_at >= oldest}
        token = secrets.token_urlsafe(32)
        self._by_token[token] = bill
        return token

    def of_token(self, mchid: str, token: str, now: float) -> SealedBill:
        """Return the merchant's own bill while it is valid; RESOURCE_NOT_EXISTS otherwise."""
        bill = self._by_token.get(token)
        if bill is None or bill.mchid != mchid or now - bill.made_at > merchant_bill.VALID:
            raise merchant_bill.NO_BILL
        return bill
