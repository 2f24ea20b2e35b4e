"""The small language of filters, and the order of lists."""

from typing import Any

import pytest

from tunesmith.errors import SpecError
from tunesmith.service.fronts.google.listing import matches, ordered, page

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
    ],
)
def test_what_a_filter_describes_passes_it(text: str) -> None:
    assert matches(text)(JOB)
    if text.strip():
        assert not matches(f"NOT ({text})")(JOB)


@pytest.mark.parametrize(
    "text", ["state", "state=", "=x", "(state=x", "state=x)", 'state="x', "AND"]
)
def test_what_is_no_filter_is_refused_by_its_field(text: str) -> None:
    with pytest.raises(SpecError, match="filter"):
        matches(text)


def test_items_are_ordered_by_several_fields() -> None:
    items = [{"a": "1", "b": "2"}, {"a": "2", "b": "1"}, {"a": "1", "b": "3"}]

    found = ordered(items, "a, b desc")

    assert [item["b"] for item in found] == ["3", "2", "1"]
    with pytest.raises(SpecError, match="orderBy"):
        ordered(items, "a sideways")


def test_pages_follow_each_other_until_all_is_shown() -> None:
    items = [{"n": n} for n in range(5)]

    first, token = page(items, 3, "")
    second, end = page(items, 3, token)

    assert [*first, *second] == items
    assert end == ""
