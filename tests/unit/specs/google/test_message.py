"""One reader for every spelling in which Google's messages come; each fault names its field."""

from collections.abc import Callable
from typing import Any

import pytest

from tunesmith.specs.faults import Faults
from tunesmith.specs.google.enums import SCALES
from tunesmith.specs.google.findings import Findings
from tunesmith.specs.google.message import Message
from tunesmith.specs.google.plain import data_of, tree
from tunesmith.specs.google.times import duration_s, duration_text, timestamp_s
from tunesmith.specs.located import Table, compose


def message(data: object) -> Message:
    root = tree(data)
    assert isinstance(root, Table)
    return Message(root, Findings(Faults([])))


def told(read: Message) -> list[str]:
    faults = read.findings.faults
    return [str(problem) for problem in faults.error().problems] if faults.count else []


READ: list[tuple[Callable[[Message], object], list[object], object]] = [
    (lambda m: m.number("minValue"), [0.5, "0.5", "5e-1"], 0.5),
    (lambda m: m.whole("minValue"), [40, 40.0, "40", "40.0"], 40),
    (lambda m: m.count("minValue", low=1), [40, 40.0, "40", "40.0"], 40),
    (lambda m: m.flag("minValue"), [True, "true", "True", "TRUE"], True),
    (lambda m: m.choice("minValue", SCALES), [2, 2.0, "2", "UNIT_LOG_SCALE", "unit_log_scale"],
     "UNIT_LOG_SCALE"),
    (lambda m: m.choice("minValue", SCALES), [0, "SCALE_TYPE_UNSPECIFIED", None], ""),
    (lambda m: m.text("minValue"), ["64", 64], "64"),
    (lambda m: m.duration("minValue"), ["3.5s", "3.500000000s", {"seconds": 3, "nanos": 500000000},
     {"seconds": "3", "nanos": 500000000}], 3.5),
    (lambda m: m.duration("minValue"), ["0s", {}], 0.0),
    (lambda m: m.timestamp("minValue"), ["1970-01-01T01:00:00Z", "1970-01-01T02:00:00+01:00",
     {"seconds": 3600}], 3600.0),
    (lambda m: [word for word, _ in m.words("minValue")], [["a", 1]], ["a", "1"]),
    (lambda m: [number for number, _ in m.numbers("minValue")], [[64.0, "128"]], [64, 128]),
    (lambda m: m.mapping("minValue"), [{"a": 1, "b_c": "x"}], {"a": "1", "b_c": "x"}),
]  # fmt: skip


@pytest.mark.parametrize("key", ["minValue", "min_value"])
@pytest.mark.parametrize(("read", "spellings", "meant"), READ)
def test_each_spelling_of_a_value_means_the_same(
    read: Callable[[Message], object], spellings: list[object], meant: object, key: str
) -> None:
    for spelling in spellings:
        given = message({key: spelling})

        assert read(given) == meant

        given.done()
        assert told(given) == []


def test_what_is_left_out_or_null_is_not_there() -> None:
    empty = message({"a": None})

    assert (empty.number("a"), empty.whole("b"), empty.text("a")) == (None, None, "")
    assert (empty.flag("a"), empty.duration("a"), empty.words("b")) == (False, None, [])
    assert empty.inner("a") is None
    empty.done()
    assert told(empty) == []


def test_an_empty_message_is_there() -> None:
    given = message({"medianAutomatedStoppingSpec": {}})

    assert given.has("medianAutomatedStoppingSpec")
    assert given.inner("medianAutomatedStoppingSpec") is not None


WRONG: list[tuple[Callable[[Message], object], object, str]] = [
    (lambda m: m.number("x"), "fast", "x: a finite number is needed, not the text 'fast'"),
    (lambda m: m.number("x"), True, "x: a finite number is needed, not true"),
    (lambda m: m.number("x"), ".inf", "x: a finite number is needed, not the text '.inf'"),
    (lambda m: m.count("x", low=1), 0, "x: a whole number from 1 is needed, not 0"),
    (lambda m: m.count("x"), 2**31, "x: a whole number from 0 to 2147483647 is needed, not 2147483648"),
    (lambda m: m.whole("x"), 2.5, "x: a whole number of 64 bits is needed, not 2.5"),
    (lambda m: m.whole("x"), "9223372036854775808",
     "x: a whole number of 64 bits is needed, not the text '9223372036854775808'"),
    (lambda m: m.flag("x"), "maybe", "x: true or false is needed, not the text 'maybe'"),
    (lambda m: m.text("x"), {}, "x: a text is needed, not a mapping"),
    (lambda m: m.words("x"), "a", "x: a list is needed, not the text 'a'"),
    (lambda m: m.words("x"), ["a", []], "x[1]: a text is needed, not a list"),
    (lambda m: m.inner("x"), [], "x: a mapping is needed, not a list"),
    (lambda m: m.each("x"), [{}, 3], "x[1]: a mapping is needed, not 3"),
    (lambda m: m.mapping("x"), {"a": []}, "x.a: a text is needed, not a list"),
    (lambda m: m.duration("x"), "3600",
     "x: a duration is seconds with an s behind them, such as 3600s; given the text '3600'"),
    (lambda m: m.duration("x"), "-1s",
     "x: a duration is not negative, and not longer than ten thousand years; given the text '-1s'"),
    (lambda m: m.timestamp("x"), "2026-11-21T18:00:00",
     "x: a point in time is such as 2026-11-21T18:00:00Z; given the text '2026-11-21T18:00:00'"),
    (lambda m: m.choice("x", SCALES), "UNIT_LOG",
     ("x: one of SCALE_TYPE_UNSPECIFIED, UNIT_LINEAR_SCALE, UNIT_LOG_SCALE, UNIT_REVERSE_LOG_SCALE;"
     " given 'UNIT_LOG' (did you mean 'UNIT_LOG_SCALE'?)")),
]  # fmt: skip


@pytest.mark.parametrize(("read", "given", "sentence"), WRONG)
def test_a_value_of_the_wrong_kind_is_told_by_its_field(
    read: Callable[[Message], object], given: object, sentence: str
) -> None:
    wrong = message({"x": given})

    read(wrong)

    assert told(wrong) == [sentence]


def test_a_fault_deep_inside_is_told_by_its_whole_path() -> None:
    root = message(
        {"study_spec": {"parameters": [{}, {"double_value_spec": {"min_value": "low"}}]}}
    )

    spec = root.inner("studySpec")
    assert spec is not None
    inner = spec.each("parameters")[1].inner("doubleValueSpec")
    assert inner is not None
    inner.number("minValue")

    path = "studySpec.parameters[1].doubleValueSpec.minValue"
    assert told(root) == [f"{path}: a finite number is needed, not the text 'low'"]


def test_unknown_fields_and_fields_given_twice_are_faults() -> None:
    given = message({"maxTrialCount": 3, "max_trial_count": 4, "maxTrailCount": 5})

    given.whole("maxTrialCount")
    given.done()

    assert told(given) == [
        "maxTrialCount: the field is given twice, also as 'max_trial_count'",
        "maxTrailCount: there is no such field (did you mean 'maxTrialCount'?)",
    ]


def test_of_two_that_exclude_each_other_the_second_is_at_fault() -> None:
    given = message({"containerSpec": {}, "pythonPackageSpec": {}})

    found = given.one_of("containerSpec", "pythonPackageSpec")

    assert found is not None
    assert found[0] == "containerSpec"
    assert told(given) == [
        "pythonPackageSpec: only one of containerSpec and pythonPackageSpec can be given"
    ]


def test_a_missing_field_is_told_once_also_if_it_is_only_misspelt() -> None:
    absent, misspelt = message({"a": 1}), message({"imagURI": "x"})

    absent.missing("imageUri")
    absent.text("a")
    absent.done()
    misspelt.missing("imageUri")
    misspelt.done()

    assert told(absent) == ["imageUri: the field is missing"]
    assert [sentence.partition(":")[0] for sentence in told(misspelt)] == ["imagURI"]


@pytest.mark.parametrize("seconds", [0.0, 1.0, 3600.5, 0.000000001, 604800.0])
def test_a_duration_that_is_written_reads_back(seconds: float) -> None:
    assert duration_s(duration_text(seconds)) == seconds


def test_times_of_day_keep_their_fractions() -> None:
    assert timestamp_s("1970-01-01T00:00:01.25Z") == 1.25


def test_plain_data_and_its_json_as_a_file_make_the_same_message() -> None:
    text = '{"a": {"b": [1, 2.5, "x", true, null]}, "c": 1e-05}'
    faults = Faults([text], file="job.json")
    data: Any = {"a": {"b": [1, 2.5, "x", True, None]}, "c": 1e-05}

    assert _bare(compose(text, faults)) == _bare(tree(data)) == data


def test_data_that_is_nested_without_end_is_refused() -> None:
    data: list[object] = []
    for _ in range(60):
        data = [data]

    with pytest.raises(ValueError, match="nested more than 50 deep"):
        tree(data)


def _bare(node: Any) -> object:
    return data_of(node)
