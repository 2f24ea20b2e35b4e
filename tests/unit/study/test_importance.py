import math
import subprocess
import sys
from collections.abc import Callable

import pytest

from tunesmith.errors import MetricError, NotFoundError
from tunesmith.space import Double, Space
from tunesmith.study import Study

Make = Callable[..., Study]

_SPACE = Space({"lr": Double(1e-4, 1e-1, scale="log"), "dropout": Double(0.0, 0.5)})


def _told(make: Make, count: int = 24, **settings: object) -> Study:
    """A study of which every sixth trial fails; lr decides the loss, dropout the size."""
    study = make(_SPACE, algorithm="sobol", **settings)
    for trial in study.ask(count):
        lr, dropout = (float(trial.values[name]) for name in ("lr", "dropout"))
        if trial.number % 6 == 0:
            study.tell(trial, error="out of memory")
        else:
            study.tell(trial, loss=(math.log10(lr) + 2.0) ** 2, size=10.0 * dropout)
    return study


def test_a_study_says_which_parameters_matter_for_its_objective(make: Make) -> None:
    found = _told(make).importance()

    assert list(found.parameters) == ["lr", "dropout"]
    assert found.metric == "loss"
    assert found.parameters["lr"].total > 0.95
    assert found.parameters["dropout"].high < 0.05
    assert found.explained > 0.5
    assert (found.trials, found.left_out) == (20, 4)


def test_every_metric_of_a_study_may_be_asked_for(make: Make) -> None:
    study = _told(make, constraints={"size": "<= 3"})

    found = study.importance("size", top=0.5)

    assert list(found.parameters) == ["dropout", "lr"]
    assert found.top == 0.5
    assert found.parameters["dropout"].trend == "better when lower"
    with pytest.raises(MetricError, match="No trial measured 'accuracy'"):
        study.importance("accuracy")


def test_what_other_workers_told_counts_at_once(make: Make, url: str) -> None:
    reader = make(_SPACE, storage=url, name="shared", algorithm="sobol")
    with pytest.raises(NotFoundError, match="8 trials"):
        reader.importance()

    _told(make, storage=url, name="shared")

    assert reader.importance().trials == 20


def test_scipy_is_loaded_only_for_those_who_ask() -> None:
    program = "import sys, tunesmith, tunesmith.reporting; sys.exit(any(m.startswith('scipy') for m in sys.modules))"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
