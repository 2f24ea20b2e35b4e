import logging
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from tunesmith.errors import NotFoundError
from tunesmith.model import Explanation, History, Prediction, StudySpec, Suggestion, Trial
from tunesmith.search import Searcher
from tunesmith.study import Choices, Study

Make = Callable[..., Study]


class TwoStage:
    """Chooses: random points for the first two trials, then what it calls a model."""

    def check(self, spec: StudySpec) -> None:
        """Serve every study."""

    def suggest(
        self, history: History, count: int, rng: np.random.Generator
    ) -> Sequence[Suggestion]:
        """Return one point that explains itself."""
        x = float(rng.random())
        if len(history.trials) < 2:
            return [Suggestion({"x": x}, "random", Explanation(searcher="random", note="a start"))]
        why = Explanation(
            searcher="model",
            predictions={"loss": Prediction(x, 0.1)},
            acquisition="log_ei",
            value=-1.5,
            note="2 trials have ended",
        )
        return [Suggestion({"x": x}, "model", why)]


@pytest.fixture
def two_stage(make: Make) -> Make:
    def go(**settings: object) -> Study:
        study = make(**settings)
        searcher: Searcher = TwoStage()
        study._live.advisor._searcher = searcher
        return study

    return go


def explained(number: int, searcher: str | None) -> Trial:
    explanation = None if searcher is None else Explanation(searcher=searcher)
    return Trial(number, {"x": 0.5}, explanation=explanation)


def test_a_searcher_takes_over_where_another_suggested_before() -> None:
    choices = Choices()
    trials = [explained(n, s) for n, s in enumerate(["a", "a", None, "", "b", "b", "a"], start=1)]

    assert [t.number for t in trials if choices.takes_over(t)] == [1, 5, 7]
    assert not any(choices.takes_over(t) for t in trials)  # seen already


def test_it_goes_on_from_the_last_that_took_over() -> None:
    choices = Choices(explained(5, "b"))

    assert not choices.takes_over(explained(4, "a"))
    assert not choices.takes_over(explained(6, "b"))
    assert choices.takes_over(explained(7, "a"))


def test_a_trial_keeps_why_it_was_suggested(two_stage: Make, url: str) -> None:
    study = two_stage(storage=url, name="s")
    for _ in range(3):
        study.tell(study.ask(), loss=0.5)

    kept = study.storage.trial("s", 3).explanation

    assert kept is not None
    assert kept == study.trials[2].explanation
    assert (kept.searcher, kept.acquisition, kept.value) == ("model", "log_ei", -1.5)
    assert study.enqueue({"x": 0.5}).explanation is None


def test_the_log_says_when_another_searcher_takes_over(
    two_stage: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tunesmith")
    study = two_stage(name="s")

    for _ in range(4):
        study.tell(study.ask(), loss=0.5)
    study.refresh()

    assert [r.getMessage() for r in caplog.records] == [
        "study s: default → random since trial 1: a start",
        "study s: default → model since trial 3: 2 trials have ended",
    ]


def test_the_log_says_what_another_process_chose_but_not_what_was_before(
    two_stage: Make, make: Make, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    study = two_stage(storage=url, name="s")
    for _ in range(2):
        study.tell(study.ask(), loss=0.5)
    other = make(storage=url, name="s")
    other.refresh()
    study.ask()
    caplog.set_level(logging.INFO, "tunesmith")

    other.refresh()

    assert [r.getMessage() for r in caplog.records] == [
        "study s: default → model since trial 3: 2 trials have ended"
    ]


# What is best


def test_the_best_trial_is_one_that_keeps_the_constraints(make: Make) -> None:
    study = make(constraints={"ms": "<= 20"})
    for loss, ms in [(0.1, 30.0), (0.5, 20.0), (0.4, 25.0)]:
        study.tell(study.ask(), loss=loss, ms=ms)

    assert study.best_trial.number == 2
    assert [t.number for t in study.best_trials] == [2]
    assert "best 0.5 (#2)" in repr(study)
    assert "constraint ms <= 20: kept by 1 of 3 trials" in repr(study)


def test_without_a_trial_that_keeps_the_constraints_the_nearest_is_called_so(make: Make) -> None:
    study = make(constraints={"ms": "<= 20"})
    for loss, ms in [(0.1, 30.0), (0.5, 23.5)]:
        study.tell(study.ask(), loss=loss, ms=ms)

    assert study.best_trial.number == 2
    assert list(study.best_trials) == []
    assert "no trial keeps ms <= 20 yet; the nearest is trial 2, over by 3.5" in repr(study)
    assert "best" not in repr(study)


def test_several_objectives_have_a_front(make: Make) -> None:
    study = make(minimize=["loss", "ms"])
    for loss, ms in [(0.5, 30.0), (0.1, 20.0), (0.3, 10.0), (0.4, 40.0)]:
        study.tell(study.ask(), loss=loss, ms=ms)

    assert [t.number for t in study.best_trials] == [2, 3]
    assert study.best_trial.number == 2
    assert study.best_trials.records()[0]["ms"] == 20.0
    assert "front of 2 trials, hypervolume 10 against the worst measured (loss=0.5 ms=40)" in repr(
        study
    )


def test_before_a_trial_counts_there_is_no_best(make: Make) -> None:
    study = make(minimize=["loss", "ms"])
    study.ask()

    assert list(study.best_trials) == []
    with pytest.raises(NotFoundError):
        _ = study.best_trial
