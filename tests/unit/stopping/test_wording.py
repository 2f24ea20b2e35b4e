import math

from tunesmith.stopping.wording import apart, brief


def test_numbers_have_four_digits() -> None:
    assert brief(0.123456) == "0.1235"
    assert brief(81.0) == "81"
    assert brief(-0.0) == "0"


def test_what_is_not_finite_is_called_nan() -> None:
    assert brief(math.inf) == brief(-math.inf) == brief(math.nan) == "nan"


def test_numbers_that_differ_are_shown_to_differ() -> None:
    assert apart(0.5, 0.25) == ("0.5", "0.25")
    assert apart(0.1234561, 0.1234562) == ("0.1234561", "0.1234562")
    assert apart(1.0, 1.0) == ("1", "1")
    assert apart(math.inf, 1.0) == ("nan", "1")
