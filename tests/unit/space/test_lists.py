"""Discrete numbers and categories."""

import numpy as np
import pytest

from tunesmith.errors import SpaceError
from tunesmith.space import Categorical, Discrete, Value

NAN = float("nan")


def test_the_numbers_of_a_list_keep_their_type() -> None:
    whole, fractional = Discrete([64, 128]), Discrete([64.0, 128.0])

    for given in (64, 64.0, np.int64(64), np.float32(64)):
        assert type(whole.canonical(given)) is int
        assert type(fractional.canonical(given)) is float
    assert type(whole.from_unit(0.1)) is int
    assert type(fractional.from_unit(0.1)) is float


def test_a_program_reads_a_whole_number_without_a_point() -> None:
    discrete = Discrete([64.0, 0.5, 128, 1e16])

    assert [discrete.text(value) for value in discrete.members()] == [
        "64",
        "0.5",
        "128",
        "10000000000000000",
    ]


def test_a_list_holds_what_equals_one_of_its_numbers() -> None:
    discrete = Discrete([0.1, 1, 2**53 + 1])

    assert all(discrete.contains(value) for value in (0.1, 1, 1.0, np.float64(0.1), 2**53 + 1))
    others = [0.1 + 1e-17 + 1e-16, 2, True, "1", None, NAN, 2.0**53, [1]]
    assert not any(discrete.contains(value) for value in others)


def test_places_follow_the_size_of_numbers_while_members_keep_their_order() -> None:
    discrete = Discrete([128, 32, 64])

    assert list(discrete.members()) == [128, 32, 64]
    assert [discrete.from_unit(u) for u in (0.1, 0.5, 0.9)] == [32, 64, 128]
    assert [discrete.to_unit(value) for value in (32, 64, 128)] == pytest.approx(
        [1 / 6, 1 / 2, 5 / 6]
    )


def test_lists_may_be_any_ordered_iterable() -> None:
    assert Discrete(range(1, 4)) == Discrete((1, 2, 3)) == Discrete(np.array([1, 2, 3]))  # type: ignore[arg-type]
    assert Discrete(n for n in (1, 2, 3)) == Discrete([1, 2, 3])  # type: ignore[arg-type]


def test_a_choice_tells_true_and_1_and_the_text_1_apart() -> None:
    values: list[Value] = [True, 1, "1", "True", 0, False]
    categorical = Categorical(values)

    again = [categorical.from_unit(categorical.to_unit(value)) for value in values]

    assert [repr(value) for value in again] == [repr(value) for value in values]
    assert [categorical.text(value) for value in values] == ["True", "1", "1", "True", "0", "False"]


def test_a_choice_holds_equal_numbers_of_any_type_but_no_truth_values_for_them() -> None:
    numbers, truths = Categorical([1, 0.5]), Categorical([True])

    assert numbers.contains(1.0)
    assert numbers.contains(np.int64(1))
    assert numbers.contains(0.5)
    assert type(numbers.canonical(1.0)) is int
    assert not numbers.contains(True)
    assert not numbers.contains("1")
    assert truths.contains(True)
    assert truths.contains(np.True_)
    assert not truths.contains(1)
    for nothing in (None, [1], object(), b"1", NAN):
        assert not numbers.contains(nothing)


def test_words_may_hold_any_character_a_program_can_be_given() -> None:
    words = ["", " ", "--fast", "größe", "a=b", "\n", "日本", "e\u0301", "é"]

    categorical = Categorical(words)

    assert list(categorical.members()) == words


def test_a_negative_zero_in_a_list_is_zero() -> None:
    assert repr(Discrete([-0.0])) == "Discrete([0.0])"
    assert repr(Categorical([-0.0])) == "Categorical([0.0])"


@pytest.mark.parametrize(
    ("values", "given", "message"),
    [
        ([], {}, "Discrete needs at least one value, got an empty list."),
        ([1, 2, 1], {}, "Discrete lists 1 twice. Name each value once."),
        ([1, 1.0], {}, "Discrete lists both 1 and 1.0, which are equal. Keep one."),
        ([0.0, -0.0], {}, "Discrete lists both 0.0 and -0.0, which are equal. Keep one."),
        ([1, NAN], {}, "Discrete lists finite numbers, got nan. For words use Categorical."),
        ([float("inf")], {}, "Discrete lists finite numbers, got inf."),
        ([10**400], {}, "Discrete lists finite numbers, got 1000"),
        ([True, 2], {}, "Discrete lists finite numbers, got True."),
        (["1"], {}, "Discrete lists finite numbers, got '1'. For words use Categorical."),
        ([None], {}, "Discrete lists finite numbers, got None."),
        ("12", {}, "Discrete needs a list of values, got '12'."),
        (5, {}, "Discrete needs a list of values, got 5."),
        ({1: 2}, {}, "Discrete needs a list of values, got {1: 2}."),
        ({1, 2}, {}, "Discrete needs its values in order, but a set has none; got {1, 2}."),
        (np.array(1), {}, "Discrete needs a list of values, got array(1)."),
        ([0, 1], {"scale": "log"}, 'Discrete(scale="log") needs values > 0, got 0. Leave it out, or'),
        ([1], {"scale": "ln"}, "Discrete has the scales linear, log, reverse_log; got scale='ln'."),
        ([1, 2], {"default": 3}, "Discrete(default=3) is outside: 3 is none of 1, 2."),
        ([1, 2], {"default": True}, "Discrete(default=True) is outside: True is none of 1, 2."),
        (range(1, 20), {"default": 0}, "9, 10, 11, 12, … (7 more)."),
    ],
)  # fmt: skip
def test_a_list_of_numbers_that_makes_no_sense_is_refused_in_words(
    values: list[float], given: dict[str, object], message: str
) -> None:
    with pytest.raises(SpaceError) as refused:
        Discrete(values, **given)  # type: ignore[arg-type]

    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("values", "default", "message"),
    [
        ([], None, "Categorical needs at least one value, got an empty list."),
        (["a", "b", "a"], None, "Categorical lists 'a' twice. Name each value once."),
        ([1, 1.0], None, "Categorical lists both 1 and 1.0, which are equal. Keep one."),
        ([True, np.True_], None, "lists both True and "),
        ("adam", None, "Categorical needs a list of values, got 'adam'."),
        ({"a", "b"}, None, "Categorical needs its values in order, but a set has none;"),
        ([None], None, "Categorical lists words, finite numbers, True or False; got None."),
        ([["a"]], None, "Categorical lists words, finite numbers, True or False; got ['a']."),
        ([NAN], None, "Categorical lists words, finite numbers, True or False; got nan."),
        (["a\0b"], None, "Categorical can't list 'a\\x00b': no program can be given such a character."),
        (["\ud800"], None, "Categorical can't list '\\ud800': no program can be given"),
        (["a", "b"], "c", "Categorical(default='c') is outside: 'c' is none of 'a', 'b'."),
        ([True], 1, "Categorical(default=1) is outside: 1 is none of True."),
    ],
)  # fmt: skip
def test_a_choice_that_makes_no_sense_is_refused_in_words(
    values: list[Value], default: Value | None, message: str
) -> None:
    with pytest.raises(SpaceError) as refused:
        Categorical(values, default=default)

    assert message in str(refused.value)


def test_a_default_takes_the_type_of_the_listed_value() -> None:
    assert repr(Discrete([64, 128], default=64.0)) == "Discrete([64, 128], default=64)"
    assert repr(Categorical([1, True], default=np.True_)) == "Categorical([1, True], default=True)"  # type: ignore[arg-type]
