from tunesmith.errors import Problem
from tunesmith.specs import render_problem, render_problems

UNKNOWN = Problem(
    code="E102",
    message="unknown key 'maxx'",
    file="tune.yaml",
    line=10,
    column=31,
    source="  units: {type: int, min: 16, maxx: 256}",
    width=4,
    hint="did you mean 'max'?",
)


def test_a_problem_shows_its_line_and_a_caret_beneath_the_word() -> None:
    assert render_problem(UNKNOWN).splitlines() == [
        "error[E102]: unknown key 'maxx'",
        "  tune.yaml:10:31",
        "   10 |   units: {type: int, min: 16, maxx: 256}",
        "      |                               ^^^^ did you mean 'max'?",
    ]


def test_problems_end_with_their_number() -> None:
    other = Problem("E103", "missing key 'min'", "tune.yaml")

    assert render_problems([UNKNOWN, other]).splitlines()[-3:] == [
        "error[E103]: missing key 'min'",
        "  tune.yaml",
        "2 errors. Nothing was started.",
    ]
    assert render_problems([other]).endswith("\n1 error. Nothing was started.")


def test_an_argument_is_shown_without_a_line_number() -> None:
    problem = Problem("E110", "not a range", column=4, source="lr=lgo:1..2", width=3, hint="log?")

    assert render_problem(problem).splitlines() == [
        "error[E110]: not a range",
        "  lr=lgo:1..2",
        "     ^^^ log?",
    ]


def test_wide_characters_and_tabs_keep_the_caret_beneath_the_word() -> None:
    wide = Problem("E1", "m", "f", 1, 5, "学習率\tx", 1)

    line, caret = render_problem(wide).splitlines()[2:]

    assert line == "    1 | 学習率    x"
    assert caret == "      | " + " " * (3 * 2 + 4) + "^"


def test_wide_characters_are_underlined_over_their_whole_width() -> None:
    wide = Problem("E1", "m", "f", 1, 2, "é学習: 1", 2)

    assert render_problem(wide).splitlines()[-1] == "      |  ^^^^"


def test_combining_marks_take_no_room() -> None:
    combined = Problem("E1", "m", "f", 1, 4, "e\u0301 x", 1)

    assert render_problem(combined).splitlines()[-1] == "      |   ^"


def test_of_an_overlong_line_only_the_neighbourhood_is_shown() -> None:
    long = Problem("E1", "m", "f", 1, 5001, "a" * 5000 + "BAD" + "c" * 5000, 3, hint="here")

    line, caret = render_problem(long).splitlines()[2:]

    assert line == "    1 | …" + "a" * 80 + "BAD" + "c" * 60 + "…"
    assert line.index("BAD") == caret.index("^^^ here")


def test_control_characters_never_reach_the_terminal() -> None:
    evil = Problem("E1", "m", "f", 1, 3, "\x1b[31mred", 1)

    assert "\x1b" not in render_problem(evil)


def test_a_problem_without_a_place_keeps_its_hint() -> None:
    assert (
        render_problem(Problem("E1", "message", hint="try this"))
        == "error[E1]: message\n  try this"
    )
