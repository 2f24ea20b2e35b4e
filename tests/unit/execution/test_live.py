import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tunesmith.errors import MetricError, SpecError, TrialStopped
from tunesmith.execution import LiveTrial
from tunesmith.execution.live import call, check_function
from tunesmith.execution.messages import Answer
from tunesmith.space import Categorical, Double, Space

SPACE = Space({"lr": Double(0.0, 1.0), "opt": Categorical(["a", "b"])})
CONDITIONAL = Space(
    {"opt": Categorical(["sgd", "adam"]), "momentum": Double(0.0, 1.0, when={"opt": "sgd"})}
)


def takes_trial(trial: LiveTrial) -> object:
    return trial.number


def takes_another_name(t: LiveTrial) -> object:
    return t.number


def takes_trial_and_more(trial: LiveTrial, depth: int = 3) -> object:
    return trial.number + depth - 3


def takes_parameters(lr: float, opt: str) -> object:
    return (lr, opt)


def takes_parameters_and_more(lr: float, opt: str, epochs: int = 3) -> object:
    return (lr, opt)


def takes_anything(**values: object) -> object:
    return (values["lr"], values["opt"])


def takes_keywords(*, lr: float, opt: str) -> object:
    return (lr, opt)


class Callee:
    def __call__(self, trial: LiveTrial) -> object:
        return trial.number

    def method(self, lr: float, opt: str) -> object:
        return (lr, opt)


def live(values: Mapping[str, Any], answer: str = "") -> LiveTrial:
    said = Answer(answer)
    return LiveTrial(
        7, values, Path("/d"), Path("/d/checkpoints"), None, lambda _step, _metrics: said
    )


@pytest.mark.parametrize(
    "function",
    [takes_trial, takes_another_name, takes_trial_and_more, lambda t: t.number, Callee()],
)
def test_a_function_of_one_argument_gets_the_trial(function: Callable[..., object]) -> None:
    check_function(function, SPACE)

    result = call(function, live({"lr": 0.5, "opt": "a"}), frozenset(SPACE))

    assert result == 7


@pytest.mark.parametrize(
    "function",
    [
        takes_parameters,
        takes_parameters_and_more,
        takes_anything,
        takes_keywords,
        Callee().method,
        functools.partial(takes_parameters_and_more, epochs=9),
        lambda opt, lr: (lr, opt),
    ],
)
def test_a_function_of_the_parameters_gets_them_by_name(function: Callable[..., object]) -> None:
    check_function(function, SPACE)

    result = call(function, live({"lr": 0.5, "opt": "a"}), frozenset(SPACE))

    assert result == (0.5, "a")


def test_a_function_of_the_only_parameter_gets_its_value() -> None:
    space = Space({"lr": Double(0.0, 1.0)})

    def train(lr: float) -> float:
        return 2 * lr

    check_function(train, space)

    assert call(train, live({"lr": 0.5}), frozenset(space)) == 1.0


def test_a_parameter_that_is_not_always_active_keeps_its_default() -> None:
    def train(opt: str, momentum: float = 0.9) -> object:
        return (opt, momentum)

    check_function(train, CONDITIONAL)

    assert call(train, live({"opt": "adam"}), frozenset(CONDITIONAL)) == ("adam", 0.9)


@pytest.mark.parametrize(
    ("function", "space", "message"),
    [
        (lambda lr, option: 0, SPACE, "does not take the parameter 'opt'"),
        (lambda lr, opt, epochs: 0, SPACE, "needs 'epochs', which is no parameter"),
        (lambda: 0, SPACE, "does not take the parameter 'lr'"),
        (lambda opt, momentum: 0, CONDITIONAL, "needs a default for 'momentum'"),
        (lambda lr, /, opt: 0, SPACE, "does not take the parameter 'lr'"),
    ],
)
def test_a_function_that_cannot_be_called_so_is_refused(
    function: Callable[..., object], space: Space, message: str
) -> None:
    with pytest.raises(SpecError, match=f"{message}.* either one argument, the trial, or"):
        check_function(function, space)


def test_a_report_is_checked_where_it_is_made() -> None:
    with pytest.raises(MetricError, match="'loss' is a number; given 'low'"):
        live({}).report(loss="low")  # type: ignore[arg-type]
    with pytest.raises(MetricError, match="whole number"):
        live({}).report(-1, loss=0.5)


def test_an_answer_to_stop_leaves_the_function() -> None:
    with pytest.raises(TrialStopped, match="too slow"):
        live({}, answer="too slow").report(1, loss=0.5)
