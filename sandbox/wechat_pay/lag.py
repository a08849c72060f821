"""Orders as a query still reads them: where the switch `query_lag` says that a change is not read at once."""

from sandbox.wechat_pay.orders import SimulatedOrder


class Lag:
    """How changed orders were before; kept only while there is a lag."""

    def __init__(self) -> None:
        self._earlier: dict[str, tuple[float, SimulatedOrder]] = {}  # by order_id: when it changed, and from what

    def remember(self, before: SimulatedOrder, at: float, seconds: float) -> None:
        """Remember an order that was changed at this time, and forget those that no query reads any more."""
        self._earlier = {key: entry for key, entry in self._earlier.items() if at < entry[0] + seconds}
        self._earlier[before.order_id] = (at, before)

    def before(self, order: SimulatedOrder | None, at: float, seconds: float) -> SimulatedOrder | None:
        """Return the order as it was, if it changed less than so many seconds ago; None otherwise."""
        since, earlier = self._earlier.get(order.order_id if order else "", (0.0, None))
        return earlier if earlier and at < since + seconds else None
