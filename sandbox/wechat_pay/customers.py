"""Permissions, which customers give a merchant, and what follows from a payment: refunds and bills."""

from typing import Unpack

from sandbox.wechat_pay import permissions, refunds
from sandbox.wechat_pay.ledger import APPID, SERVICE_ID, Ledger, LedgerOptions
from sandbox.wechat_pay.notification_facts import NotificationFacts
from sandbox.wechat_pay.payments import SimulatedPayment, payment_of
from sandbox.wechat_pay.permissions import SimulatedPermission
from sandbox.wechat_pay.refunds import End, SimulatedRefund
from sandbox.wechat_pay.registers import Bills, Permissions, Refunds
from sandbox.wechat_pay.verbs import verb


class Customers(Ledger):
    """A ledger with its merchants' permissions and refunds."""

    def __init__(self, **options: Unpack[LedgerOptions]) -> None:
        """Start as a ledger, with the permissions and refunds that the folder `state` has."""
        super().__init__(**options)
        self.permissions, self.refunds = Permissions(self._state.put_record), Refunds(self._state.put_record)
        self.permissions.restore(self._state.records("permission"))
        self.refunds.restore(self._state.records("refund"))
        self.bills = Bills()

    @verb()
    def open_service(
        self,
        mchid: str,
        authorization_code: str = "",
        *,
        openid: str = "",
        sub_openid: str = "",
        appid: str = APPID,
        service_id: str = SERVICE_ID,
    ) -> SimulatedPermission:
        """Open the service, as the user does; without `authorization_code` in the older way, without an application."""
        with self._state.transaction():
            permission = self._permission(mchid, authorization_code, openid, appid, service_id)
            now = self._clock()
            return self._changed(permissions.open_service(permission, now, openid=openid, sub_openid=sub_openid))

    @verb()
    def close_service(self, mchid: str, authorization_code: str = "", *, openid: str = "") -> SimulatedPermission:
        """Close the service, as the user does."""
        with self._state.transaction():
            user = {"openid": openid} if openid else {}
            permission = (
                self.permissions.of_code(mchid, authorization_code)
                if authorization_code
                else self.permissions.of_user(mchid, user)
            )
            if permission is None:
                raise LookupError(
                    f"merchant {mchid} has no such permission: give the authorization_code or openid of one"
                )
            return self._changed(permissions.close_service(permission, self._clock()))

    @verb()
    def finish_refund(self, mchid: str, out_refund_no: str, status: End = "SUCCESS") -> SimulatedRefund:
        """End a refund, as WeChat Pay does: SUCCESS, CLOSED or ABNORMAL."""
        with self._state.transaction():
            refund = self.refunds.of_number(mchid, out_refund_no)
            refund = self.refunds.store(refunds.finish(refund, status, self._clock()))
            self._tell(mchid, out_refund_no, refunds.notification_facts(refund))
            return refund

    def payments(self, mchid: str) -> list[SimulatedPayment]:
        """Return what WeChat Pay has collected for a merchant."""
        return [payment for order in self._orders.all(mchid) if (payment := payment_of(order))]

    def _changed(self, permission: SimulatedPermission) -> SimulatedPermission:
        self.permissions.store(permission)
        facts = permissions.notification_facts(permission)
        self._tell(permission.mchid, permission.authorization_code, facts)
        return permission

    def _tell(self, mchid: str, number: str, facts: NotificationFacts) -> None:
        """Tell the merchant, in the transaction of the change; `number` is the merchant's own of what has changed."""

    def _permission(
        self, mchid: str, authorization_code: str, openid: str, appid: str, service_id: str
    ) -> SimulatedPermission:
        """Return the permission that a user is about to open."""
        if not authorization_code:
            identity = {"openid": openid, "appid": appid, "service_id": service_id}
            permission_of_user = self.permissions.of_user(mchid, identity)
            return permission_of_user or SimulatedPermission(self.merchant(mchid).mchid, service_id, appid)
        permission = self.permissions.of_code(mchid, authorization_code)
        if permission is None:
            raise LookupError(f"merchant {mchid} has not applied for {authorization_code}: POST a permission first")
        return permission
