"""Which of two hosts is asked first, as a table of events at both."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from wechatpay.hosts import RECOVERY, Failover, Hosts

MAIN, BACKUP = ("main", "backup"), ("backup", "main")
NOW = 1_800_000_000.0

# Seconds after NOW and what happens then; after `ask` the order in which a call must ask the hosts.
STORIES = {
    "a healthy main host is asked first": [(0, "ask", MAIN), (1, "main answered", None), (2, "ask", MAIN)],
    "after one failure the backup is": [(0, "main failed", None), (0, "ask", BACKUP), (59.9, "ask", BACKUP)],
    "after the recovery time one call tries again, the others stay": [
        (0, "main failed", None),
        (60, "ask", MAIN),
        (60, "ask", BACKUP),
        (100, "ask", BACKUP),
    ],
    "its success ends the outage": [
        (0, "main failed", None),
        (60, "ask", MAIN),
        (61, "main answered", None),
        (61, "ask", MAIN),
        (61, "ask", MAIN),
    ],
    "its failure begins another recovery time": [
        (0, "main failed", None),
        (60, "ask", MAIN),
        (63, "main failed", None),
        (122.9, "ask", BACKUP),
        (123, "ask", MAIN),
    ],
    "a trial without a result is followed by another one after the recovery time": [
        (0, "main failed", None),
        (60, "ask", MAIN),
        (119.9, "ask", BACKUP),
        (120, "ask", MAIN),
    ],
    "an answer of the backup proves nothing about the main host": [
        (0, "main failed", None),
        (1, "backup answered", None),
        (1, "ask", BACKUP),
    ],
    "where the backup fails as well one call tries the main host at once": [
        (0, "main failed", None),
        (1, "backup failed", None),
        (1, "ask", MAIN),
        (1, "ask", BACKUP),
    ],
    "a backup that fails is no reason to leave the main host": [(0, "backup failed", None), (0, "ask", MAIN)],
    "an environment that was frozen tries again": [(0, "main failed", None), (100_000, "ask", MAIN)],
    "a clock that was set back does not prolong the recovery": [(0, "main failed", None), (-10, "ask", MAIN)],
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_the_host_to_ask_first_follows_from_the_events(story: list[tuple[float, str, tuple[str, str] | None]]) -> None:
    """The main host is asked first unless it failed within the recovery time; one call at a time tries it again."""
    hosts = Hosts("main", "backup")
    for second, event, expected in story:
        host, _, outcome = event.partition(" ")
        if outcome == "failed":
            hosts.failed(host, NOW + second)
        elif outcome == "answered":
            hosts.answered(host)
        else:
            assert hosts.order(NOW + second) == expected, f"at {second} s"


def test_exactly_one_of_many_threads_tries_again() -> None:
    """Of many threads that ask at the end of the recovery time, one asks the main host first."""
    for _ in range(50):
        hosts = Hosts("main", "backup")
        hosts.failed("main", NOW)
        with ThreadPoolExecutor(16) as threads:
            orders = list(threads.map(lambda _, hosts=hosts: hosts.order(NOW + RECOVERY), range(64)))
        assert orders.count(MAIN) == 1


def test_a_host_without_a_backup_is_always_asked() -> None:
    """Where main and backup are the same host, a failure changes nothing."""
    hosts = Hosts("main", "main")
    hosts.failed("main", NOW)
    assert hosts.order(NOW) == ("main", "main")
    assert hosts._outage is None


def test_pairs_of_hosts_are_remembered_apart_and_shared() -> None:
    """All callers of the same pair of hosts share its outage; another pair has its own."""
    failover = Failover()
    assert failover.hosts("a", "b") is failover.hosts("a", "b")
    failover.hosts("a", "b").failed("a", NOW)
    assert failover.hosts("a", "c").order(NOW) == ("a", "c")
