"""The orders in the simulator's database: one by its merchant, number and sub-merchant."""

import json
from collections.abc import Iterator
from typing import Any

from sandbox.wechat_pay.orders import FIELDS, SimulatedOrder
from sandbox.wechat_pay.state import State

_FIELDS = frozenset(FIELDS)
PAGE = 500  # orders read at a time


class OrderStore:
    """Orders as they stand; of each number every sub-merchant has its own."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.changes = 0  # how often an order was stored, for those that follow

    def __contains__(self, key: tuple[str, str]) -> bool:
        return bool(self._state.rows("SELECT 1 FROM orders WHERE mchid = ? AND out_order_no = ? LIMIT 1", *key))

    def same_number(self, mchid: str, out_order_no: str) -> dict[str, SimulatedOrder]:
        """Return the orders of a merchant's number by sub-merchant, the oldest first."""
        question = "SELECT sub_mchid, record FROM orders WHERE mchid = ? AND out_order_no = ? ORDER BY number"
        return {sub_mchid: _order(text) for sub_mchid, text in self._state.rows(question, mchid, out_order_no)}

    def with_query_id(self, mchid: str, query_id: str) -> SimulatedOrder | None:
        """Return the merchant's order that a `query_id` names; None where there is none."""
        question = "SELECT record FROM orders WHERE mchid = ? AND json_extract(record, '$.query_id') = ?"
        return next((_order(text) for (text,) in self._state.rows(question, mchid, query_id)), None)

    def put(self, order: SimulatedOrder, before: SimulatedOrder | None = None) -> None:
        """Store an order in the place of the one that it was before, or of the one of its number."""
        key = (order.mchid, order.out_order_no)
        with self._state.transaction() as database:
            if before is not None and before.sub_mchid != order.sub_mchid:
                database.execute(
                    "DELETE FROM orders WHERE mchid = ? AND out_order_no = ? AND sub_mchid = ?",
                    (*key, before.sub_mchid),
                )
            database.execute(
                "INSERT INTO orders (mchid, out_order_no, sub_mchid, record) VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET record = excluded.record",
                (*key, order.sub_mchid, json.dumps(order.as_dict(), ensure_ascii=False)),
            )
            self.changes += 1

    def all(self, mchid: str | None = None) -> Iterator[SimulatedOrder]:
        """Yield every order, or those of one merchant, the oldest first, a page at a time."""
        last = 0
        question = (
            "SELECT number, record FROM orders WHERE number > ? AND mchid = coalesce(?, mchid) ORDER BY number LIMIT ?"
        )
        while rows := self._state.rows(question, last, mchid, PAGE):
            yield from (_order(text) for _, text in rows)
            last = rows[-1][0]

    def numbers_of(self, mchid: str, limit: int = 1000) -> list[str]:
        """Return the numbers of a merchant's newest orders."""
        question = "SELECT out_order_no FROM orders WHERE mchid = ? ORDER BY number DESC LIMIT ?"
        return [number for (number,) in self._state.rows(question, mchid, limit)]


def _order(text: str) -> SimulatedOrder:
    """Read an order; a field that this version does not have is left out, one that the record lacks has its default."""
    record: dict[str, Any] = json.loads(text)
    for name in record.keys() - _FIELDS:
        del record[name]
    return SimulatedOrder(**record)
