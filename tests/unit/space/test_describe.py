"""Parameters in words, and what changed between two spaces."""

import pytest

from tunesmith.space import Categorical, Discrete, Double, Integer, Parameter, Space


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        (Double(1e-5, 0.1, scale="log"), "double 1e-05..0.1 log"),
        (Double(0, 1, step=0.1, default=0.5), "double 0..1 step 0.1, default 0.5"),
        (Integer(1, 16777217), "integer 1..16777217"),
        (Integer(1, 9, step=2, scale="reverse_log"), "integer 1..9 step 2 reverse_log"),
        (Discrete([64.0, 128, 0.5]), "discrete 64, 128, 0.5"),
        (Discrete(range(10)), "discrete 0, 1, 2, 3, 4, 5, 6, 7, … (2 more)"),
        (Categorical(["sgd", "adam w"], default="sgd"), "categorical sgd, adam w, default sgd"),
        (Categorical([True, 1, "1", "True"]), "categorical True, 1, '1', 'True'"),
        (Categorical(["", " a", "a,", "größe"]), "categorical '', ' a', 'a,', größe"),
        (
            Double(0, 1, when={"opt": ["sgd", "adam"], "n": 3}),
            "double 0..1 (when opt is sgd or adam and n is 3)",
        ),
    ],
)
def test_a_parameter_is_described_in_a_few_words(parameter: Parameter, words: str) -> None:
    others: dict[str, Parameter] = {"opt": Categorical(["sgd", "adam"]), "n": Integer(1, 5)}

    assert Space(others | {"p": parameter}).describe("p") == words


def test_each_difference_is_a_sentence_and_equal_spaces_have_none() -> None:
    old = Space({"lr": Double(0, 1), "units": Integer(1, 8), "same": Integer(0, 1)})
    new = Space({"lr": Double(0, 2), "same": Integer(0, 1), "opt": Categorical(["a", "b"])})

    assert old.differences(new) == [
        "units: removed (was integer 1..8)",
        "lr: was double 0..1, is now double 0..2",
        "opt: added (categorical a, b)",
    ]
    assert old.differences(old) == []


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            Categorical([True]),
            Categorical([1]),
            "p: was categorical True, is now categorical 1",
        ),
        (Integer(0, 1), Double(0, 1), "p: was integer 0..1, is now double 0..1"),
        (
            Integer(0, 1, default=0),
            Integer(0, 1),
            "p: was integer 0..1, default 0, is now integer 0..1",
        ),
        (
            Discrete(range(10)),
            Discrete([*range(9), 99]),
            (
                "p: was discrete 0, 1, 2, 3, 4, 5, 6, 7, 8, 9,"
                " is now discrete 0, 1, 2, 3, 4, 5, 6, 7, 8, 99"
            ),
        ),
        (
            Integer(0, 1, when={"q": True}),
            Integer(0, 1, when={"q": 1}),
            "p: was integer 0..1 (when q is True), is now integer 0..1 (when q is 1)",
        ),
    ],
)
def test_a_difference_shows_what_it_is_about(old: Parameter, new: Parameter, sentence: str) -> None:
    q = Categorical([True, 1])

    assert Space({"p": old, "q": q}).differences(Space({"p": new, "q": q})) == [sentence]


def test_another_order_is_no_difference() -> None:
    one = Space({"a": Integer(0, 1), "b": Integer(0, 1, when={"a": [0, 1]})})
    other = Space({"b": Integer(0, 1, when={"a": [1, 0]}), "a": Integer(0, 1)})

    assert one.differences(other) == []
