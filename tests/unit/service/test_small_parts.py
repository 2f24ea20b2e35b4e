"""Rates, names, sites, curves and pages by themselves."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.model import Trial
from tunesmith.service.columns import page
from tunesmith.service.decimate import decimated
from tunesmith.service.hosts import Hosts, is_same_site
from tunesmith.service.rates import Rates
from tunesmith.service.settings import is_loopback


def test_a_bucket_fills_at_its_rate_and_no_further_than_its_size() -> None:
    now = 0.0
    rates = Rates(per_s=2.0, burst=3, clock=lambda: now)

    at_once = [rates.wait_s("a") for _ in range(4)]
    now = 0.5
    later = [rates.wait_s("a"), rates.wait_s("a")]
    now = 1000.0
    rested = [rates.wait_s("a") for _ in range(4)]

    assert at_once == [0.0, 0.0, 0.0, 0.5]
    assert later == [0.0, 0.5]
    assert rested[2:] == [0.0, 0.5]


def test_each_has_a_bucket_of_its_own() -> None:
    rates = Rates(per_s=1.0, burst=1, clock=lambda: 0.0)

    waits = [rates.wait_s(who) for who in ("a", "b", "a")]

    assert waits == [0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("localhost", True),
        ("LOCALHOST:80", True),
        ("tune.example.org", True),
        ("tune.example.org.", True),
        ("a.b.lab.example", True),
        ("lab.example", False),
        ("evil-lab.example", False),
        ("192.0.2.7:8765", True),
        ("[2001:db8::1]:1", True),
        ("example.org", False),
        ("user@localhost", False),
        ("localhost:port", False),
        ("localhost/x", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_a_server_knows_its_names(host: str, known: bool) -> None:
    hosts = Hosts(["tune.example.org", "*.lab.example"], "0.0.0.0")

    assert hosts.allows(host) is known


def test_a_server_may_answer_to_any_name() -> None:
    assert Hosts(["*"], "127.0.0.1").allows("whatever.example")


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "same"),
    [
        ("http://localhost:8765", "localhost:8765", "http", True),
        ("https://tune.example", "tune.example", "https", True),
        ("https://tune.example", "tune.example", "http", True),  # the proxy's https
        ("http://tune.example", "tune.example", "https", False),
        ("http://localhost:8766", "localhost:8765", "http", False),
        ("null", "localhost", "http", False),
        ("", "", "http", False),
        ("file://localhost", "localhost", "http", False),
        ("http://[", "localhost", "http", False),
    ],
)
def test_a_page_is_of_the_same_site_or_not(origin: str, host: str, scheme: str, same: bool) -> None:
    assert is_same_site(origin, host, scheme) is same


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("192.168.1.1", False), ("tune.example", False)],
)  # fmt: skip
def test_only_a_loopback_address_is_the_machines_own(host: str, own: bool) -> None:
    assert is_loopback(host) is own


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=300),
    st.integers(min_value=4, max_value=80),
)
def test_a_thinned_curve_keeps_its_ends_and_its_extremes(values: list[float], points: int) -> None:
    kept = decimated(values, points)

    assert len(kept) <= max(points, 0) or len(values) <= points
    assert list(kept) == sorted(set(kept))
    if values:
        assert (kept[0], kept[-1]) == (0, len(values) - 1)
    numbers = [value for value in values if not math.isnan(value)]
    if numbers:
        shown = [values[i] for i in kept if not math.isnan(values[i])]
        assert (min(shown), max(shown)) == (min(numbers), max(numbers))


@given(
    st.lists(st.integers(min_value=1, max_value=30), max_size=60),
    st.integers(min_value=1, max_value=20),
)
def test_pages_together_are_all_that_changed_each_trial_once(
    revisions: list[int], limit: int
) -> None:
    trials = [Trial(n, {}, revision=revision) for n, revision in enumerate(revisions, start=1)]
    newest = max(revisions, default=0) + 1

    found, cursor, more = [], 0, True
    while more:
        one = page(trials, cursor, newest, limit)
        found += [trial.number for trial in one.trials]
        cursor, more = one.cursor, one.more

    assert sorted(found) == [trial.number for trial in trials]
    assert cursor == newest
