"""How much code an order touches: a bound that holds on any machine, where a time would not."""

import pytest

from bench import in_the_build

MOST = {10: 21_000, 100: 19_000}  # a tenth above what was measured when the bound was set, with Python 3.13


@pytest.mark.parametrize(("batch", "warm"), [(10, 3), (100, 1)])
def test_an_order_touches_no_more_code_than_the_bound(batch: int, warm: int) -> None:
    """Bytecode instructions of an order in a warm batch. Above the bound: find out with `make instructions` what costs.

    Before they were counted it was twice as many: dataclasses, copies of headers, a future for each wait.
    """
    result = in_the_build.run("bench.instructions", batch, warm)
    assert 10_000 < result["the whole"] < MOST[batch], result
