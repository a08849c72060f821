"""What WeChat Pay, or who calls in its place, is answered."""

import json

import pytest

from notifications.answers import answer
from notifications.endings import Effect, Failed, Reason, Received, Refused, Trouble


def test_success_has_no_body() -> None:
    """Whatever a verified notification has changed, it is answered with 204 (doc 4012587960)."""
    for effect in Effect:
        assert answer(Received("1", "PAYSCORE.USER_PAID", effect)) == {"statusCode": 204}


@pytest.mark.parametrize("ending", [*map(Refused, Reason), *map(Failed, Trouble)], ids=lambda ending: str(ending[0]))
def test_a_refusal_has_no_detail(ending: Refused | Failed) -> None:
    """A refusal has WeChat Pay's own words for a failure, and not one more."""
    response = answer(ending)
    assert json.loads(str(response["body"])) == {"code": "FAIL", "message": "失败"}
    status = response["statusCode"]
    assert isinstance(status, int)
    assert status == 503 if isinstance(ending, Failed) else 400 <= status < 500


def test_who_forges_learns_nothing() -> None:
    """An unknown merchant, an unknown key and a wrong signature are answered alike."""
    reasons = set(Reason) - {
        Reason.UNREADABLE_REQUEST,
        Reason.WRONG_PATH,
        Reason.WRONG_METHOD,
        Reason.BODY_TOO_LARGE,
    }
    assert {str(answer(Refused(reason, "1"))) for reason in reasons} == {str(answer(Refused(Reason.STALE)))}
