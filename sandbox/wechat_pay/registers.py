"""What WeChat Pay stores of a merchant next to its orders: permissions, refunds, and bills that wait to be downloaded."""

from collections.abc import Callable, Iterable

from sandbox.wechat_pay import merchant_bill, permissions, refunds
from sandbox.wechat_pay.merchant_bill import SealedBill
from sandbox.wechat_pay.payments import SimulatedPayment
from sandbox.wechat_pay.permissions import SimulatedPermission
from sandbox.wechat_pay.refunds import SimulatedRefund


class Permissions:
    """The permissions of every merchant, in the order in which they were applied for."""

    def __init__(self) -> None:
        self._by_code: dict[tuple[str, str], SimulatedPermission] = {}

    def store(self, permission: SimulatedPermission) -> SimulatedPermission:
        """Store the permission in the place of the one that it was before; one without a number belongs to its user."""
        self._by_code[permission.mchid, permission.authorization_code or f"openid {permission.openid}"] = permission
        return permission

    def of_code(self, mchid: str, authorization_code: str) -> SimulatedPermission | None:
        """Return the permission with this number."""
        return self._by_code.get((mchid, authorization_code))

    def of_user(self, mchid: str, **identity: str) -> SimulatedPermission | None:
        """Return a user's permission: the one that is open, or else the one that was open last."""
        own = [
            permission
            for (owner, _), permission in self._by_code.items()
            if owner == mchid and all(getattr(permission, name) == value for name, value in identity.items())
        ]
        return max(own, key=lambda permission: (permission.state == "AVAILABLE", permission.opened_at), default=None)

    def all(self) -> list[SimulatedPermission]:
        """Return every permission."""
        return list(self._by_code.values())


class Refunds:
    """The refunds of every merchant."""

    def __init__(self) -> None:
        self._by_number: dict[tuple[str, str], SimulatedRefund] = {}

    def store(self, refund: SimulatedRefund) -> SimulatedRefund:
        """Store the refund in the place of the one that it was before."""
        self._by_number[refund.mchid, refund.out_refund_no] = refund
        return refund

    def of_number(self, mchid: str, out_refund_no: str, at: float, seconds: float) -> SimulatedRefund:
        """Return a refund as it stands; one that is `seconds` old has succeeded. RESOURCE_NOT_EXISTS for none."""
        refund = self._by_number.get((mchid, out_refund_no))
        if refund is None:
            raise refunds.NO_REFUND
        if refund.status == "PROCESSING" and at - refund.created_at >= seconds:
            return self.store(refunds.finish(refund, "SUCCESS", refund.created_at + seconds))
        return refund

    def of_payment(self, payment: SimulatedPayment) -> list[SimulatedRefund]:
        """Return the refunds of one payment."""
        return [
            refund
            for refund in self._by_number.values()
            if (refund.mchid, refund.transaction_id) == (payment.mchid, payment.transaction_id)
        ]

    def all(self) -> list[SimulatedRefund]:
        """Return every refund."""
        return list(self._by_number.values())
