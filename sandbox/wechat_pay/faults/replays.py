"""Faults of a request that the order's state forbids; official pages do not say how a second sync is answered."""

from sandbox.wechat_pay import refusals
from sandbox.wechat_pay.draft import Draft
from sandbox.wechat_pay.faults.registry import When, fault
from sandbox.wechat_pay.refusals import SimulatedRefusal

_SYNC = frozenset({"sync"})


@fault(When.STATE, operations=frozenset({"sync", "complete", "modify", "cancel"}))
def param_error_done(draft: Draft) -> Draft:
    """PARAM_ERROR where the order's state forbids the operation."""
    return draft.with_reply(refusals.wrong_parameter("/out_order_no", "", "订单状态不允许该操作").reply())


@fault(When.REPLAY, operations=_SYNC)
def order_done_on_replay(draft: Draft) -> Draft:
    """A second sync is refused with ORDER_DONE."""
    return draft.with_reply(refusals.DONE.reply())


@fault(When.REPLAY, operations=_SYNC)
def invalid_order_state_on_replay(draft: Draft) -> Draft:
    """A second sync is refused with INVALID_ORDER_STATE."""
    return draft.with_reply(refusals.INVALID_STATE.reply())


@fault(When.REPLAY, operations=_SYNC)
def invalid_request_on_replay(draft: Draft) -> Draft:
    """A second sync is refused with INVALID_REQUEST."""
    return draft.with_reply(SimulatedRefusal(400, "INVALID_REQUEST", "当前订单状态不合法", "271302262").reply())


@fault(When.REPLAY, operations=_SYNC)
def ok_on_replay(draft: Draft) -> Draft:
    """A second sync is answered as the first was."""
    return draft.with_reply(draft.reply.with_headers(Request_ID="08REPLAY-0"))
