"""Triggers are declared once: for the stories of the demo, the command line and the console."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orders.errors import MalformedEventError
from orders.event import Message, read
from sandbox import triggers
from sandbox.stories import STORIES
from sandbox.till import ledger_act
from sandbox.till_events import FAMILIES, Dispatch, Family, Way, key_of, own_dispatch
from sandbox.triggers import SHORT_NAMES, SITUATIONS, TRIGGERS, NoSuchTriggerError, fresh_number, trigger_of
from sandbox.wechat_pay.control import VERBS
from sandbox.wechat_pay.families import ENDPOINTS, IDENTITY
from sandbox.wechat_pay.service import SimulatedService

NOW = datetime(2026, 1, 1, 4, tzinfo=UTC)
README = (Path(__file__).parents[2] / "events/README.md").read_text(encoding="utf-8")


def test_every_story_is_a_trigger() -> None:
    """Each story of the demo has a trigger of its name, from which it has its title."""
    assert [TRIGGERS[story.name].title for story in STORIES] == [story.title for story in STORIES]


def test_the_triggers_that_a_till_looks_for_are_there() -> None:
    """A synced, a duplicate, a late and a broken event, a deduction and an outage are triggers, by these names."""
    for name in ("synced", "duplicate", "late", "broken", "deducting", "outage", "won-by-wechat"):
        assert trigger_of(name).name in TRIGGERS
    assert set(SHORT_NAMES.values()) <= TRIGGERS.keys()


@pytest.mark.parametrize(("name", "words"), [("won-by-wechta", "do you mean won-by-wechat?"), ("?", "has all of them")])
def test_a_name_that_does_not_exist_has_its_nearest(name: str, words: str) -> None:
    """A wrong name is refused with the nearest one, or with the list."""
    with pytest.raises(NoSuchTriggerError, match=re.escape(words)):
        trigger_of(name)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_situation_is_reached_by_its_steps(situation: str, key_ring: Path) -> None:
    """The steps of each situation are verbs of the control port, and the simulated WeChat Pay takes them in order."""
    service = SimulatedService(keys=key_ring)
    act = ledger_act(service)
    for family in FAMILIES.values():
        for step in triggers.steps(situation, "1", "A-1", family, NOW.timestamp()):
            assert step.verb in VERBS
            act(step.verb, **step.arguments)
    assert len(service.ledger()) == (0 if situation == "absent" else 2)  # with and without a sub-merchant


def test_the_situations_are_those_of_the_events() -> None:
    """Each state of an order in the table of events/README.md is a situation, the merchant's keys and outages aside."""
    states = {row.partition(",")[0] for row in re.findall(r"^\| \S+\.json \| ([^|]+) \|", README, re.MULTILINE)}
    assert states <= SITUATIONS.keys()


@pytest.mark.parametrize("name", TRIGGERS)
def test_a_triggers_events_are_as_it_says(name: str) -> None:
    """The function can read the events of a trigger, except where the trigger ends in an unreadable dead letter."""
    trigger = TRIGGERS[name]
    number = fresh_number(name)
    problems = []
    for dispatch in triggers.dispatches(trigger, number, now=NOW):
        try:
            event = read(Message("m", dispatch.text), NOW.timestamp())
            assert event.payment.key == f"{trigger.mchid}#{number}"
        except MalformedEventError as error:
            problems.append(str(error))
    assert bool(problems) == ("UNREADABLE" in trigger.ends)
    assert trigger.title
    assert trigger.hint.format(order="1 2").count("{") == 0


def test_a_fresh_number_is_one_of_wechat_pay() -> None:
    """A number is 32 characters at most, of those that WeChat Pay takes, and no other trigger's (doc 4012587900)."""
    numbers = [fresh_number(name) for name in [*TRIGGERS, "a very long name / with signs ÄÖ"] for _ in range(3)]
    assert len(set(numbers)) == len(numbers)
    assert all(re.fullmatch(r"[0-9A-Za-z_\-|*]{1,32}", number) for number in numbers)


# ---- what a till sends -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "way", "dispatch", "key"),
    [
        ("not JSON", "queue", Dispatch("not JSON", "queue"), ""),
        ("[1]", "bus", Dispatch("[1]", "bus"), ""),
        ('{"mchid": "1", "out_order_no": "A"}', "bus", Dispatch('{"mchid": "1", "out_order_no": "A"}'), "1#A"),
        ('{"mchid": 1, "out_order_no": "A"}', "bus", Dispatch('{"mchid": 1, "out_order_no": "A"}'), ""),
        (
            '{"detail-type": "T", "source": "s", "detail": {"mchid": "1", "out_order_no": "A"}}',
            "bus",
            Dispatch('{"mchid": "1", "out_order_no": "A"}', "bus", "s", "T"),
            "1#A",
        ),
        ('{"detail-type": "T", "detail": "x"}', "bus", Dispatch('"x"', "bus", "", "T"), ""),
        ('{"detail-type": "T", "detail": {}}', "queue", Dispatch('{"detail-type": "T", "detail": {}}', "queue"), ""),
    ],
)
def test_what_a_person_types_is_sent_as_it_is(text: str, way: Way, dispatch: Dispatch, key: str) -> None:
    """A payload goes as it is; of a whole event the bus gets source, type and detail; what is no JSON is sent too."""
    assert own_dispatch(text, way) == dispatch
    assert key_of(text) == key


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: str(family.endpoint))
def test_the_events_of_every_family_are_read_as_theirs(family: Family) -> None:
    """The function reads an event of each family under the key that the till expects, with its endpoint."""
    [dispatch] = triggers.dispatches(TRIGGERS["paid-offline"], "A-1", family, NOW)
    payment = read(Message("m", dispatch.text), NOW.timestamp()).payment
    assert payment.key == family.key(TRIGGERS["paid-offline"].mchid, "A-1")
    assert (payment.endpoint or "") == family.endpoint


def test_the_families_are_those_of_the_simulated_wechat_pay() -> None:
    """There is a family of each endpoint, and it names what every request of the endpoint names."""
    assert list(FAMILIES) == ["", *ENDPOINTS]
    for endpoint, names in IDENTITY.items():
        assert set(FAMILIES[endpoint].fields) == {"endpoint", *names} - {"service_id", "appid"}
