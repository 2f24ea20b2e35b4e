import pytest

from tunesmith.metrics import check_pattern
from tunesmith.metrics.pattern import LinePattern

GOOD = [
    "",
    r"(?P<name>\w+)=(?P<value>\S+)",
    r"step (?P<step>\d+): (?P<name>\w+) (?P<value>\S+)",
    r"(\w+) is (\S+)",
    r"accuracy is (\S+)",
    r"accuracy is (?P<value>\S+)",
    r"(?:\w++ )+= (\S+)",
    r"(?>\w+ )+= (\S+)",
    r"\(a+\)+ (\d+)",
    r"[(a+)]+ (\d+)",
    r"(?:ab)+ (\d+)",
    r"(\w+)? (\d+)",
]


@pytest.mark.parametrize("pattern", GOOD)
def test_a_pattern_that_can_find_metrics_is_accepted(pattern: str) -> None:
    check_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "is not a regular expression"),
        (r"\w+=\S+", "it has 0 plain groups"),
        (r"(a)(b)(c)", "it has 3 plain groups"),
        (r"(?P<name>\w+)=(\S+)", "it has name"),
        (r"(?P<metric>\w+)=(?P<number>\S+)", "it has metric, number"),
    ],
)
def test_a_pattern_without_the_groups_is_refused_with_an_example(pattern: str, words: str) -> None:
    with pytest.raises(ValueError, match="The pattern") as refused:
        check_pattern(pattern)

    assert words in str(refused.value)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(\w+)+=",
        r"((?:a*)b?)* x",
        r"(?:\w+ )+(\S+)",
        r"(?P<value>(\d+|x){2,})",
        r"(?P<value>(?:[^)]+)*\))",
        r"((?:a|(?:b+c))+)",
    ],
)
def test_a_pattern_that_could_run_for_hours_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="repeats what is itself repeated"):
        check_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "line", "found"),
    [
        (r"(\w+) is (\S+)", "loss is 0.5, acc is 93%", [(None, {"acc": 93.0})]),
        (
            r"(\w+) is ([\d.]+)",
            "loss is 0.5, acc is 93%",
            [(None, {"loss": 0.5}), (None, {"acc": 93.0})],
        ),
        (r"result (\S+)", "result 1e-3", [(None, {"first": 0.001})]),
        (r"result (?P<value>\S+)", "result inf", [(None, {"first": float("inf")})]),
        (
            r"(?P<step>\d+): (?P<name>\S+) (?P<value>\S+)",
            "12: val/é 0.25",
            [(12, {"val/é": 0.25})],
        ),
        (r"(?:at (?P<step>\d+) )?x=(?P<value>\S+)", "x=1", [(None, {"first": 1.0})]),
        (r"(\w+)?=(\d+)?", "= a= =1", []),
    ],
)
def test_a_pattern_finds_every_match_of_a_line(
    pattern: str, line: str, found: list[tuple[int | None, dict[str, float]]]
) -> None:
    assert list(LinePattern(pattern, "first").find(line)) == found
