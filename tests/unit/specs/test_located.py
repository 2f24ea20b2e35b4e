"""YAML with places: its syntax faults, its limits and its notion of a value."""

from collections.abc import Callable

import pytest

from tunesmith.errors import Problem, SpecError
from tunesmith.specs.faults import Faults
from tunesmith.specs.located import Listing, Plain, Scalar, Table, compose, resolve

Problems = Callable[[str], list[Problem]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("-.5", -0.5),
        ("+3", 3),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("no", "no"),
        ("On", "On"),
        ("TRUE", True),
        ("~", None),
        ("", None),
        ("2024-01-01", "2024-01-01"),
        ("٣", "٣"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_words_mean_what_the_core_schema_says(text: str, value: Plain) -> None:
    found = resolve(text)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (
            "maximize: [a, b\nseed: 1\n",
            (2, 5),
            "not YAML: expected ',' or ']', but got ':' while parsing a flow sequence that begins",
        ),
        ("maximize: a\n\tseed: 1\n", (2, 1), "YAML can't be indented with tabs. Use spaces."),
        ("command: a: b", (1, 11), "not YAML: a ':' is not allowed here. "),
        ("study: 'open", (1, 13), "not YAML: found unexpected end of stream "),
        ("a: *none", (1, 4), "nothing before this has the anchor '&none'"),
        ("a: &x [*x]", (1, 8), "nothing before this has the anchor '&x'"),
        ("a: 1\n---\nb: 2", (2, 1), "a second document begins here. Write one study per file."),
        ("study: a\x00b", (1, 9), "the character U+0000 is not allowed here"),
        ("study: !include x", (1, 8), "the tag '!include' has no meaning here"),
        ("a: " + "[" * 60, (1, 54), "nested more than 50 deep"),
    ],
)
def test_what_is_not_yaml_is_a_fault_at_its_place(
    faults: Problems, text: str, place: tuple[int, int], message: str
) -> None:
    (problem,) = faults(text)

    assert problem.code == "E100"
    assert problem.message.startswith(message)
    assert (problem.line, problem.column) == place


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n"])
def test_an_empty_file_is_told_what_a_study_needs(faults: Problems, text: str) -> None:
    (problem,) = faults(text)

    assert problem.code == "E101"
    assert problem.message.startswith("the file is empty. It needs parameters, and a metric")


def test_aliases_that_multiply_are_stopped_before_they_cost_anything(faults: Problems) -> None:
    levels = ["l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30)]

    (problem,) = faults("\n".join(levels))

    assert problem.message == "more than 100000 values, counting what aliases repeat"
    assert problem.line == 6


def test_merges_that_multiply_are_stopped_as_well(faults: Problems) -> None:
    wide = ", ".join(f"k{n}: 1" for n in range(1000))
    text = f"a: &a {{{wide}}}\n" + "".join(f"b{n}: {{<<: *a}}\n" for n in range(1000))

    (problem,) = faults(text)

    assert problem.message == "more than 100000 values, counting what aliases repeat"


def test_every_node_knows_its_place() -> None:
    faults = Faults([])

    root = compose("a: 1\nb: [x, 'y z']\n", faults)

    assert isinstance(root, Table)
    listing = root.entries["b"].node
    assert isinstance(listing, Listing)
    word = listing.items[1]
    assert isinstance(word, Scalar)
    assert (word.value, word.plain) == ("y z", False)
    assert (word.at.line, word.at.column, word.at.width) == (2, 8, 5)
    assert (root.entries["b"].key_at.line, root.entries["b"].key_at.column) == (2, 1)


def test_of_several_merged_mappings_the_first_wins_and_own_keys_before_it() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {x: 2, y: 2, z: 2}\nc: {y: 3, <<: [*a, *b]}\n"

    root = compose(text, Faults(text.splitlines()))

    assert isinstance(root, Table)
    merged = root.entries["c"].node
    assert isinstance(merged, Table)
    values = {key: entry.node for key, entry in merged.entries.items()}
    assert {key: node.value for key, node in values.items() if isinstance(node, Scalar)} == {
        "x": 1,
        "y": 3,
        "z": 2,
    }


def test_a_merge_takes_mappings_only() -> None:
    faults = Faults(["a: {<<: 3}"])

    compose("a: {<<: 3}", faults)

    with pytest.raises(SpecError, match="'<<' takes a mapping, or a list of mappings"):
        faults.check()
