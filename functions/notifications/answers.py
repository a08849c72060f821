"""What a front gets as its answer (doc 4012587960): 204, or a status of an error and WeChat Pay's own words for it.

A refusal has no detail: who sends what does not verify learns neither which merchants there are nor what was wrong.
"""

import json
from collections.abc import Mapping

from notifications.endings import Ending, Failed, Reason, Received, Refused

REFUSED = 401  # whatever the reason, unless it lies in the request line or in the size alone
STATUSES: Mapping[Reason, int] = {
    Reason.UNREADABLE_REQUEST: 400,
    Reason.WRONG_PATH: 404,
    Reason.WRONG_METHOD: 405,
    Reason.BODY_TOO_LARGE: 413,
}
UNAVAILABLE = 503  # WeChat Pay sends the notification again, by its ladder of some ten times
_FAILURE = json.dumps({"code": "FAIL", "message": "失败"}, ensure_ascii=False)


def answer(ending: Ending) -> dict[str, object]:
    """Return the answer in payload format 2.0."""
    match ending:
        case Received():
            return {"statusCode": 204}
        case Refused(reason):
            return _refusal(STATUSES.get(reason, REFUSED))
        case Failed():
            return _refusal(UNAVAILABLE)


def _refusal(status: int) -> dict[str, object]:
    return {"statusCode": status, "headers": {"content-type": "application/json; charset=utf-8"}, "body": _FAILURE}
