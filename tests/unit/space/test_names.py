"""Names of parameters."""

import pytest

from tunesmith.errors import SpaceError
from tunesmith.space.names import check_name, did_you_mean


@pytest.mark.parametrize(
    "name", ["lr", "learning-rate", "größe", "学习率", "a.b/c:d", "_", "1", "λ"]
)
def test_a_name_may_be_any_word(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "A parameter needs a name, got ''."),
        (5, "A parameter needs a name, got 5."),
        (None, "A parameter needs a name, got None."),
        ("a b", "Parameter 'a b': a name can't contain ' '."),
        ("a\u00a0b", "a name can't contain '\\xa0'."),
        ("a=b", "Parameter 'a=b': a name can't contain '='."),
        ("{a}", "Parameter '{a}': a name can't contain '{'."),
        ("a\0", "a name can't contain '\\x00'."),
        ("a\u200b", "a name can't contain '\\u200b'."),
        ("\ud800", "a name can't contain '\\ud800'."),
        ("--lr", "Parameter '--lr': a name can't begin with '-'; it becomes --lr by itself."),
    ],
)
def test_what_can_be_no_name_is_refused_in_words(name: object, message: str) -> None:
    with pytest.raises(SpaceError) as refused:
        check_name(name)

    assert message in str(refused.value)


def test_the_nearest_name_is_guessed_or_what_there_is_is_told() -> None:
    many = [f"p{i}" for i in range(100)]

    assert did_you_mean("learning_rat", ["lr", "learning_rate"]) == " Did you mean 'learning_rate'?"
    assert did_you_mean("xyz", ["lr", "units"]) == " There are: lr, units."
    assert did_you_mean("xyz", many).endswith("p10, p11 and 88 more.")
