"""The small language of filters."""

from typing import Any

import pytest

from tunesmith.errors import SpecError
from tunesmith.service.fronts.google.filters import matches, must_be, read_filter, span

JOB: dict[str, Any] = {
    "displayName": 'my "job"',
    "state": "JOB_STATE_RUNNING",
    "createTime": "2026-11-21T18:00:00Z",
    "maxTrialCount": 12,
    "labels": {"team": "a", "my_key": "b"},
}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        'state="JOB_STATE_RUNNING"',
        "state=JOB_STATE_RUNNING AND maxTrialCount>9",
        "state=JOB_STATE_FAILED OR max_trial_count=12",
        "state=JOB_STATE_FAILED OR labels.team=a AND labels.my_key=b",
        "NOT state=JOB_STATE_FAILED",
        "state!=JOB_STATE_FAILED",
        "(state=x OR labels.team:*) AND NOT (labels.none:*)",
        'display_name="my \\"job\\""',
        "displayName:JOB",
        'create_time>="2026-11-20T00:00:00Z" create_time<"2026-11-22T00:00:00Z"',
        "labels.team=*",
        "-state=JOB_STATE_FAILED",
        "labels.\"team\"=a labels.'my_key'=b",
        'create_time="2026-11-21T19:00:00+01:00"',
        "create_time>2026-11-21",
    ],
)
def test_what_a_filter_describes_passes_it(text: str) -> None:
    assert matches(text)(JOB)
    if text.strip():
        assert not matches(f"NOT ({text})")(JOB)


@pytest.mark.parametrize(
    "text",
    [
        "state",
        "state=",
        "=x",
        "(state=x",
        "state=x)",
        'state="x',
        "AND",
        "a=1 AND",
        "a..b=1",
        "(" * 60,
    ],
)
def test_what_is_no_filter_is_refused_by_its_field(text: str) -> None:
    with pytest.raises(SpecError, match="filter"):
        matches(text)


def test_or_binds_more_tightly_than_and() -> None:
    assert not matches("state=JOB_STATE_RUNNING OR labels.team=b AND labels.team=c")(JOB)
    assert matches("state=JOB_STATE_RUNNING OR (labels.team=b AND labels.team=c)")(JOB)


def test_texts_that_are_alike_as_numbers_are_different_names() -> None:
    assert not matches("id=7")({"id": "007"})
    assert matches("id>=7")({"id": "007"})


def test_severities_are_compared_by_how_bad_they_are() -> None:
    passing = matches("severity>=WARNING")

    assert [passing({"severity": word}) for word in ("INFO", "WARNING", "ERROR")] == [False, True, True]  # fmt: skip


def test_a_filter_tells_what_a_field_must_be() -> None:
    one = read_filter('type="x" AND (resource.labels.job_id="7" OR a=b) resource.labels.job_id="8"')
    open_ = read_filter('NOT resource.labels.job_id="8" AND resource.labels.job_id!="7"')

    assert must_be(one, "resource", "labels", "job_id") == "8"
    assert must_be(open_, "resource", "labels", "job_id") is None


def test_a_filter_tells_between_which_moments_a_time_must_be() -> None:
    second = 10**6
    lower = (
        '((timestamp="1970-01-01T00:00:05Z" AND insertId>"s") OR timestamp>"1970-01-01T00:00:06Z")'
    )

    both = span(read_filter(f'{lower} AND timestamp<"1970-01-01T00:01:00Z"'), "timestamp")
    none = span(read_filter('NOT timestamp>"1970-01-01T00:01:00Z" AND a=b'), "timestamp")

    assert both == (5 * second, 60 * second)
    assert none == (float("-inf"), float("inf"))
    for text in ('timestamp>"yesterday"', 'NOT timestamp<"2026-13-01T00:00:00Z"'):
        with pytest.raises(SpecError, match="filter"):
            span(read_filter(text), "timestamp")
