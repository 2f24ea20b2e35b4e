"""Parameters and values on a command line. In the samples, « and » mark the place of a fault."""

import pytest

from tunesmith.errors import SpecError
from tunesmith.space import Categorical, Discrete, Double, Integer, Parameter, Space, Value
from tunesmith.specs import (
    parse_assignment,
    parse_parameter,
    parse_parameters,
    render_problem,
)

SHAPES = "Write a range such as 16..256 or log:1e-5..1e-1, or a list such as adam,sgd."


@pytest.mark.parametrize(
    ("text", "parameter"),
    [
        ("x=log:1e-5..1e-1", Double(1e-5, 1e-1, scale="log")),
        ("x=log 1e-5 .. 1e-1", Double(1e-5, 1e-1, scale="log")),
        ("x=0..0.5", Double(0.0, 0.5)),
        ("x=double:16..256", Double(16.0, 256.0)),
        ("x=float:linear:1..2", Double(1.0, 2.0)),
        ("x=reverse_log:0.9..0.999", Double(0.9, 0.999, scale="reverse_log")),
        ("x=0..1:0.1", Double(0.0, 1.0, step=0.1)),
        ("x=-1.5..-.5", Double(-1.5, -0.5)),
        ("x=16..256", Integer(16, 256)),
        ("x=-5..5:5", Integer(-5, 5, step=5)),
        ("x=int:log:16..256", Integer(16, 256, scale="log")),
        ("x=log:int:16..256", Integer(16, 256, scale="log")),
        ("x=int:1e1..1e3", Integer(10, 1000)),
        ("x=64,128,512", Discrete([64, 128, 512])),
        ("x=0.1, 1e-2", Discrete([0.1, 0.01])),
        ("x=log:1,10,100", Discrete([1, 10, 100], scale="log")),
        ("x=discrete:1,2", Discrete([1, 2])),
        ("x=adam,sgd", Categorical(["adam", "sgd"])),
        ("x=choice:64,128", Categorical([64, 128])),
        ("x=categorical:log:a,b", Categorical(["log:a", "b"])),
        ("x=true,false", Categorical([True, False])),
        ("x=no,yes", Categorical(["no", "yes"])),
        ("x=../a,../b", Categorical(["../a", "../b"])),
        ("x=model:large,model:small", Categorical(["model:large", "model:small"])),
        ("x=--fast,-O2", Categorical(["--fast", "-O2"])),
        ("x=a=1,b=2", Categorical(["a=1", "b=2"])),
        ("x=klein,groß", Categorical(["klein", "groß"])),
        ("x=0..0.99?opt=sgd", Double(0.0, 0.99, when={"opt": ["sgd"]})),
        ("x=0..0.99 ? opt = sgd | adam", Double(0.0, 0.99, when={"opt": ["sgd", "adam"]})),
        ("x=1..2?opt=sgd?n=3", Integer(1, 2, when={"opt": ["sgd"], "n": [3]})),
    ],
)
def test_a_range_or_a_list_is_a_parameter(text: str, parameter: Parameter) -> None:
    assert parse_parameter(text) == ("x", parameter)


@pytest.mark.parametrize(
    ("code", "sample", "message", "hint"),
    [
        ("E110", "«lr»", "'lr' is not NAME=RANGE, such as lr=log:1e-5..1e-1", ""),
        ("E110", "«=1..2»", "'=1..2' is not NAME=RANGE, such as lr=log:1e-5..1e-1", ""),
        (
            "E110",
            "lr=«lgo:1..2»",
            f"lr: 'lgo:1..2' is no range and no list. {SHAPES}",
            "did you mean 'log'?",
        ),
        ("E110", "lr=«1e-5..x»", None, ""),
        ("E110", "lr=« »", None, ""),
        ("E110", "opt=«adam»", None, ""),
        ("E110", "lr=log:1e-1..«1e-5»", "lr: max (1e-05) must be greater than min (0.1)", ""),
        ("E110", "lr=«log»:0..1.0", None, ""),
        ("E110", "lr=0..1.0:«-1»", None, ""),
        ("E110", "lr=0..«1e999»", None, ""),
        ("E110", "n=int:0..«1e999»", None, ""),
        ("E110", "opt=adam,«»", "opt: a value of the list is empty. Write it like adam,sgd", ""),
        ("E110", "lr=«lgo:1»,10", None, "did you mean 'log'?"),
        ("E110", "lr=0,«5..1»,5", None, ""),
        ("E110", "n=int:«0.5»..3", "n: integer parameters need whole numbers, not 0.5", ""),
        (
            "E110",
            "n=int:«1,2»",
            "n: integer parameters take a range such as 16..256, not a list",
            "",
        ),
        (
            "E110",
            "n=choice:«1..2»",
            "n: categorical parameters take a list such as 64,128, not a range",
            "",
        ),
        ("E110", "n=«log»:choice:a,b", "n: categorical parameters have no scale", ""),
        (
            "E111",
            "n=1..2?opt=«»",
            "n: a condition needs values, such as ?opt=sgd or ?opt=sgd|adam",
            "",
        ),
    ],
)
def test_a_fault_of_an_argument_is_told_at_its_place(
    code: str, sample: str, message: str | None, hint: str
) -> None:
    before, _, rest = sample.partition("«")
    inside, _, after = rest.partition("»")

    with pytest.raises(SpecError) as caught:
        parse_parameter(before + inside + after)

    (problem,) = caught.value.problems
    assert (problem.code, problem.hint) == (code, hint)
    assert (problem.file, problem.line) == ("", 0)
    assert problem.source == before + inside + after
    assert problem.source[problem.column - 1 :].startswith(inside.strip())
    if inside.strip():
        assert (problem.column - 1, problem.width) == (len(before), len(inside))
    if message is not None:
        assert problem.message == message


def test_a_faulty_argument_is_shown_with_a_caret() -> None:
    with pytest.raises(SpecError) as caught:
        parse_parameter("学習率=log:0.1..0.01")

    assert render_problem(caught.value.problems[0]).splitlines() == [
        "error[E110]: 学習率: max (0.01) must be greater than min (0.1)",
        "  学習率=log:0.1..0.01",
        "                  ^^^^",
    ]


def test_arguments_together_make_a_space() -> None:
    space = parse_parameters(["m=0..0.9?opt=sgd", "opt=adam,sgd", "n=choice:1,two", "k=1..3?n=1"])

    assert space == Space(
        {
            "m": Double(0.0, 0.9, when={"opt": ["sgd"]}),
            "opt": Categorical(["adam", "sgd"]),
            "n": Categorical([1, "two"]),
            "k": Integer(1, 3, when={"n": [1]}),
        }
    )


def test_all_faults_of_all_arguments_are_told_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        parse_parameters(["lr=2..1", "opt=adam,sgd", "opt=a,b", "m=1..2?otp=adam", "z=?"])

    assert [(p.code, p.source, p.column) for p in caught.value.problems] == [
        ("E110", "lr=2..1", 7),
        ("E104", "opt=a,b", 1),
        ("E111", "m=1..2?otp=adam", 8),
        ("E110", "z=?", 3),
    ]


SPACE = Space(
    {
        "lr": Double(0.0, 1.0),
        "n": Integer(1, 100),
        "units": Discrete([64, 128]),
        "opt": Categorical(["sgd", "1e-3", True]),
    }
)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("lr=1e-2", "lr", 0.01),
        ("lr=1", "lr", 1.0),
        ("n=10", "n", 10),
        ("n=1e1", "n", 10),
        ("units=64.0", "units", 64),
        ("opt=sgd", "opt", "sgd"),
        ("opt=1e-3", "opt", "1e-3"),
        ("opt=true", "opt", True),
    ],
)
def test_a_value_is_of_its_parameter_s_type(text: str, name: str, value: Value) -> None:
    found = parse_assignment(text, SPACE)

    assert found == (name, value)
    assert type(found[1]) is type(value)


@pytest.mark.parametrize(
    ("text", "column", "hint"),
    [
        ("lr", 1, ""),
        ("Lr=1", 1, "did you mean 'lr'?"),
        ("x=1", 1, "known are lr, n, units, opt"),
        ("lr=abc", 4, ""),
        ("lr=2", 4, ""),
        ("n=1.5", 3, ""),
        ("units=65", 7, ""),
        ("opt= sdg", 6, "did you mean 'sgd'?"),
        ("lr=", 4, ""),
    ],
)
def test_a_value_that_its_parameter_can_t_take_is_a_fault(
    text: str, column: int, hint: str
) -> None:
    with pytest.raises(SpecError) as caught:
        parse_assignment(text, SPACE)

    (problem,) = caught.value.problems
    assert problem.code == "E112"
    assert (problem.source, problem.column, problem.hint) == (text, column, hint)
