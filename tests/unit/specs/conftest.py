from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tunesmith import plugins
from tunesmith.errors import Problem, SpecError
from tunesmith.model import Algorithm, StudySpec
from tunesmith.search import Searcher, make_searcher
from tunesmith.specs import TuneFile, native, parse_study


class Rule:
    """A stopping rule as far as texts go: some settings, and studies that it does not serve."""

    def __init__(self, *, min_steps: int = 1, metric: str = "") -> None:
        if not isinstance(min_steps, int):
            raise SpecError([Problem("E120", f"min_steps is a whole number; given {min_steps!r}")])
        self._metric = metric

    def check(self, spec: StudySpec) -> None:
        if len(spec.objectives) > 1 and not self._metric:
            raise SpecError([Problem("E120", "the rule judges one metric: name it")])


class Schedule:
    """A schedule as far as texts go: it shares out the steps of a whole trial."""

    def __init__(self, *, eta: int = 3) -> None:
        self._eta = eta

    def check(self, spec: StudySpec) -> None:
        if spec.max_steps is None:
            raise SpecError([Problem("E120", "the schedule needs max_steps", hint="say max_steps")])


class Part:
    """An entry point of a part that is at hand."""

    def __init__(self, made: type) -> None:
        self._made = made

    def load(self) -> type:
        return self._made


RULES = {"median": Part(Rule), "threshold": Part(Rule)}
SCHEDULES = {"halving": Part(Schedule), "hyperband": Part(Schedule)}
INSTALLED = {
    "searchers": ("default", "grid", "random", "sobol"),
    "metric_sources": ("hypertune", "report", "stdout", "tensorboard"),
}


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """These parts are installed, whatever else is on this machine; random takes any setting."""
    real = plugins._parts

    def parts(role: str) -> Mapping[str, object]:
        if role == "stopping_rules":
            return RULES
        if role == "schedules":
            return SCHEDULES
        return {name: real(role)[name] for name in INSTALLED[role]}

    monkeypatch.setattr(plugins, "_parts", parts)
    monkeypatch.setattr(native, "make_searcher", _make_searcher)


def _make_searcher(algorithm: Algorithm) -> Searcher | None:
    return None if algorithm.name == "random" else make_searcher(algorithm)


@pytest.fixture
def read() -> Callable[[str], TuneFile]:
    """Reads a text as if it were the file ``/home/ada/digits/tune.yaml``."""
    return lambda text: parse_study(text, Path("/home/ada/digits/tune.yaml"))


@pytest.fixture
def faults() -> Callable[[str], list[Problem]]:
    """Returns the problems of a text, read as the file ``tune.yaml``."""

    def problems(text: str) -> list[Problem]:
        with pytest.raises(SpecError) as caught:
            parse_study(text, Path("tune.yaml"))
        return list(caught.value.problems)

    return problems
