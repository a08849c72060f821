"""The operator's commands: `python -m ops`. Never shipped; reads with the function's own code, so both agree."""

import sys
from pathlib import Path

_ROOT = Path(__file__).parents[1]
for _folder in ("functions", "layers/wechatpay/python"):  # as Lambda lays them out, in /var/task and /opt/python
    if (_path := str(_ROOT / _folder)) not in sys.path:
        sys.path.insert(0, _path)
