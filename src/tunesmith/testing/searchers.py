"""What every searcher keeps, whatever it does to find good values."""
# ruff: noqa: D102 - a test's name is its sentence

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from tunesmith.errors import SpecError
from tunesmith.model import (
    FINAL,
    Constraint,
    History,
    Objective,
    StudySpec,
    Suggestion,
    Trial,
    TrialState,
)
from tunesmith.search import Searcher, position_rng
from tunesmith.space import Space
from tunesmith.testing.studies import FINITE, INFINITE, ended, spec_of

__all__ = ["SearcherContract"]

_ALL_SPACES = [*FINITE.items(), *INFINITE.items()]
_EVERY_STATE = tuple(TrialState)


def _each(spaces: Sequence[tuple[str, Space]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "space", [pytest.param(space, id=name) for name, space in spaces]
    )


each_space = _each(_ALL_SPACES)
each_finite_space = _each(list(FINITE.items()))


def _suggest(searcher: Searcher, history: History, count: int = 1) -> Sequence[Suggestion]:
    rng = position_rng(history.spec.seed, len(history.trials))
    return searcher.suggest(history, count, rng)


def _study(
    searcher: Searcher, spec: StudySpec, *, trials: int, batch: int = 1
) -> tuple[History, list[Suggestion]]:
    """Run a study until the searcher has no more or ``trials`` are suggested."""
    history = History(spec)
    suggested: list[Suggestion] = []
    while len(suggested) < trials and (points := _suggest(searcher, history, batch)):
        suggested.extend(points)
        history.update(ended(history, points))
    return history, suggested


def _completed(trial: Trial, space: Space, revision: int) -> Trial:
    loss = float(np.nansum(space.encode(trial.values)))
    metrics = {"loss": loss, "size": 3 * loss % 2, "speed": 7 * loss % 1}
    return replace(trial, state=TrialState.COMPLETED, metrics=metrics, revision=revision)


def _refusal(searcher: Searcher, spec: StudySpec) -> str:
    try:
        searcher.check(spec)
    except SpecError as error:
        return str(error)
    return ""


def _serves_or_refuses(searcher: Searcher, spec: StudySpec) -> None:
    """Run a study in which some metrics are missing, unless the searcher says that it can't."""
    if refusal := _refusal(searcher, spec):
        assert len(refusal) > 40, "it says what would help"
        return
    history = History(spec)
    for revision in range(1, 13):
        points = _suggest(searcher, history, 2)
        assert all(spec.space.contains(point.values) for point in points)
        trials = [_completed(t, spec.space, revision) for t in ended(history, points)]
        if revision % 4 == 0:
            trials = [replace(t, metrics={"loss": 0.1}) for t in trials]
        history.update(trials)
    assert len(history.trials) > 0


class SearcherContract:
    """Give the fixture ``new_searcher``: a function that makes a searcher.

    It must serve every space of `tunesmith.testing.studies`, and have 24 points to offer for each
    of the infinite ones.
    """

    @each_space
    def test_it_serves_the_space(self, new_searcher: Callable[[], Searcher], space: Space) -> None:
        new_searcher().check(spec_of(space))

    @each_space
    def test_every_point_is_one_of_the_space(
        self, new_searcher: Callable[[], Searcher], space: Space
    ) -> None:
        _, suggested = _study(new_searcher(), spec_of(space), trials=20)

        assert suggested
        assert all(space.contains(point.values) for point in suggested)

    @each_space
    def test_points_say_where_they_came_from(
        self, new_searcher: Callable[[], Searcher], space: Space
    ) -> None:
        (point,) = _suggest(new_searcher(), History(spec_of(space)))

        assert 0 < len(point.origin) <= 40

    @each_space
    def test_a_batch_of_eight_is_eight_points_as_far_as_there_are_so_many(
        self, new_searcher: Callable[[], Searcher], space: Space
    ) -> None:
        history = History(spec_of(space))

        batch = _suggest(new_searcher(), history, 8)

        keys = {space.key(point.values) for point in batch}
        expected = 8 if space.size is None else min(8, space.size)
        assert len(keys) == len(batch) == expected

    @each_space
    def test_the_same_history_and_generator_give_the_same_points(
        self, new_searcher: Callable[[], Searcher], space: Space
    ) -> None:
        spec = spec_of(space, seed=5)

        _, first = _study(new_searcher(), spec, trials=12, batch=3)
        _, second = _study(new_searcher(), spec, trials=12, batch=3)

        assert first == second

    @each_space
    def test_what_a_searcher_remembers_changes_no_suggestion(
        self, new_searcher: Callable[[], Searcher], space: Space
    ) -> None:
        spec = spec_of(space, seed=1)
        veteran, history = new_searcher(), History(spec)

        for _ in range(10):
            remembered = _suggest(veteran, history, 2)
            anew = _suggest(new_searcher(), History(spec, history.trials), 2)

            assert remembered == anew
            history.update(ended(history, remembered))

    @each_space
    def test_points_that_became_no_trials_are_suggested_again(
        self, new_searcher: Callable[[], Searcher], space: Space
    ) -> None:
        searcher, history = new_searcher(), History(spec_of(space))

        lost = _suggest(searcher, history, 3)
        again = _suggest(searcher, history, 3)

        assert again == lost

    @each_space
    def test_a_searcher_serves_one_study_after_another(
        self, new_searcher: Callable[[], Searcher], space: Space
    ) -> None:
        searcher = new_searcher()
        _study(searcher, spec_of(FINITE["integers"], seed=3), trials=4)

        _, after_another = _study(searcher, spec_of(space), trials=6)
        _, alone = _study(new_searcher(), spec_of(space), trials=6)

        assert after_another == alone

    @each_space
    def test_trials_in_every_state_are_taken_as_they_come(
        self, new_searcher: Callable[[], Searcher], space: Space
    ) -> None:
        searcher, history = new_searcher(), History(spec_of(space))

        for _ in range(12):
            points = _suggest(searcher, history, 2)
            assert all(space.contains(point.values) for point in points)
            history.update(ended(history, points, _EVERY_STATE))

        assert len(history.trials) > 0

    @each_space
    def test_a_study_whose_trials_all_failed_goes_on(
        self, new_searcher: Callable[[], Searcher], space: Space
    ) -> None:
        searcher, history = new_searcher(), History(spec_of(space))

        for _ in range(12):
            points = _suggest(searcher, history)
            exhausted = history.distinct == space.size
            assert len(points) == (0 if exhausted else 1)
            history.update(ended(history, points, [TrialState.FAILED]))

    @each_space
    def test_a_suggestion_waits_for_no_running_trial(
        self, new_searcher: Callable[[], Searcher], space: Space
    ) -> None:
        history = History(spec_of(space))
        searcher = new_searcher()
        history.update(ended(history, _suggest(searcher, history, 5), [TrialState.RUNNING]))

        points = _suggest(searcher, history)

        exhausted = history.distinct == space.size
        assert len(points) == (0 if exhausted else 1)

    @each_space
    def test_trials_that_end_out_of_order_are_remembered_as_they_ended(
        self, new_searcher: Callable[[], Searcher], space: Space
    ) -> None:
        spec = spec_of(space, seed=2)
        veteran, history = new_searcher(), History(spec)

        for revision in range(1, 13):
            points = _suggest(veteran, history, 2)
            assert points == _suggest(new_searcher(), History(spec, history.trials), 2)
            history.update(ended(history, points, [TrialState.RUNNING]))
            open_trials = list(history.open)
            if len(open_trials) > 4:
                chosen = open_trials[revision % 3 :: 3]
                history.update(_completed(trial, space, revision) for trial in chosen)

    @each_space
    def test_losses_that_are_no_numbers_are_taken_as_they_come(
        self, new_searcher: Callable[[], Searcher], space: Space
    ) -> None:
        searcher, history = new_searcher(), History(spec_of(space))
        strange = [math.nan, math.inf, -math.inf, 1e300, -1e300, 0.0, 5e-324]

        for n in range(14):
            points = _suggest(searcher, history)
            assert all(space.contains(point.values) for point in points)
            metrics = {"loss": strange[n % len(strange)]}
            history.update(replace(t, metrics=metrics) for t in ended(history, points))

        assert len(history.trials) > 0

    @each_space
    def test_constraints_are_kept_in_mind_or_refused(
        self, new_searcher: Callable[[], Searcher], space: Space
    ) -> None:
        bounds = (Constraint("size", 1.0), Constraint("speed", 0.5, "at_least"))
        _serves_or_refuses(new_searcher(), replace(spec_of(space), constraints=bounds))

    @each_space
    def test_several_objectives_are_searched_or_refused(
        self, new_searcher: Callable[[], Searcher], space: Space
    ) -> None:
        goals = (*spec_of(space).objectives, Objective("speed", "maximize"))
        _serves_or_refuses(new_searcher(), replace(spec_of(space), objectives=goals))

    @each_space
    def test_the_history_is_left_as_it_was(
        self, new_searcher: Callable[[], Searcher], space: Space
    ) -> None:
        history, _ = _study(new_searcher(), spec_of(space), trials=5)
        before: list[Trial] = list(history.trials)

        _suggest(new_searcher(), history, 4)

        assert list(history.trials) == before
        assert history.count(*FINAL) == len(before)

    @pytest.mark.parametrize("batch", [1, 3, 8])
    @each_finite_space
    def test_a_finite_space_is_exhausted_without_a_repetition(
        self, new_searcher: Callable[[], Searcher], space: Space, batch: int
    ) -> None:
        history, suggested = _study(new_searcher(), spec_of(space), trials=10_000, batch=batch)

        keys = [space.key(point.values) for point in suggested]
        assert len(set(keys)) == len(keys) == space.size
        assert set(keys) == {space.key(point) for point in space.points()}
        assert not _suggest(new_searcher(), history, 8)

    @each_finite_space
    def test_points_of_the_user_are_not_repeated(
        self, new_searcher: Callable[[], Searcher], space: Space
    ) -> None:
        history = History(spec_of(space))
        given = [Suggestion(point, "user") for point in list(space.points())[1::3]]
        history.update(ended(history, given, [TrialState.QUEUED]))

        while points := _suggest(new_searcher(), history, 4):
            history.update(ended(history, points))

        assert len(history.trials) == history.distinct == space.size

    @each_finite_space
    def test_failed_and_infeasible_points_are_not_repeated(
        self, new_searcher: Callable[[], Searcher], space: Space
    ) -> None:
        searcher, history = new_searcher(), History(spec_of(space))

        while points := _suggest(searcher, history):
            states = [TrialState.FAILED, TrialState.INFEASIBLE, TrialState.CANCELLED]
            history.update(ended(history, points, states))

        assert len(history.trials) == history.distinct == space.size

    def test_points_that_the_user_repeated_do_not_end_a_space_early(
        self, new_searcher: Callable[[], Searcher]
    ) -> None:
        space = FINITE["integers"]
        history = History(spec_of(space))
        history.update(ended(history, [Suggestion({"a": 2, "b": 0}, "user")] * 30))

        while points := _suggest(new_searcher(), history, 4):
            history.update(ended(history, points))

        assert history.distinct == space.size
        assert len(history.trials) == 30 + 19
