"""Which calls a fault may be aimed at: a wrong name would strike nothing, so it is refused."""

from sandbox.wechat_pay import routes
from sandbox.wechat_pay.verbs import CommandError, require_name


def require_target(operation: object, out_order_no: object) -> None:
    """Raise CommandError unless a fault can strike this operation and order."""
    names = sorted({route.name for route in routes.ROUTES})
    if operation is not None:
        require_name("operation", operation, names, field="operation")
    if out_order_no is not None and not isinstance(out_order_no, str):
        raise CommandError(f"out_order_no must be text, not {out_order_no!r:.80}", field="out_order_no")
