"""The order of lists, and their pages."""

import pytest

from tunesmith.errors import SpecError
from tunesmith.service.fronts.google.listing import ordered, page


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
