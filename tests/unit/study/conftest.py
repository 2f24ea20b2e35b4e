from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tunesmith.space import Double, Space
from tunesmith.study import Study
from tunesmith.testing.clock import Clock

LINE = Space({"x": Double(0.0, 1.0)})


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'studies.db'}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make() -> Iterator[Callable[..., Study]]:
    """Makes studies of one double ``x`` that minimize ``loss``, closed after the test."""
    made: list[Study] = []

    def go(space: Space = LINE, **settings: object) -> Study:
        if "maximize" not in settings:
            settings.setdefault("minimize", "loss")
        study = Study(space, **{"seed": 0, **settings})  # type: ignore[arg-type]
        made.append(study)
        return study

    yield go
    for study in made:
        study.close()
