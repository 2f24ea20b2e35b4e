from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.errors import Problem, SpecError
from tunesmith.model import Algorithm
from tunesmith.search import Searcher, make_searcher
from tunesmith.specs import TuneFile, native, parse_study, program

INSTALLED = {
    "searchers": ["default", "grid", "random", "sobol"],
    "metric_sources": ["hypertune", "report", "stdout", "tensorboard"],
}


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """These parts are installed, whatever else is on this machine; random takes any setting."""
    for module in (native, program):
        monkeypatch.setattr(module, "plugin_names", lambda role: INSTALLED[role])
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
