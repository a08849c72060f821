"""Which calls a fault may be aimed at: a wrong name would strike nothing, so it is refused."""

from sandbox.wechat_pay import routes
from sandbox.wechat_pay.verbs import CommandError, nearest


def require_target(operation: object, out_order_no: object) -> None:
    """Raise CommandError unless a fault can strike this operation and order."""
    names = sorted({route.name for route in routes.ROUTES})
    if operation is not None and operation not in names:
        likely = nearest(operation, names)
        hint = f"did you mean {likely}? " if likely else ""
        raise CommandError(
            f"no operation is named {operation!r:.80}; {hint}operations: {', '.join(names)}",
            field="operation",
            accepted=names,
            nearest=likely,
        )
    if out_order_no is not None and not isinstance(out_order_no, str):
        raise CommandError(f"out_order_no must be text, not {out_order_no!r:.80}", field="out_order_no")
