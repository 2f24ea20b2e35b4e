from dataclasses import replace

import numpy as np

from tunesmith.model import Constraint, History, Objective, StudySpec, Trial, TrialState
from tunesmith.search.table import Rows, Table
from tunesmith.space import Categorical, Double, Space

SPACE = Space(
    {"kind": Categorical(["a", "b"]), "x": Double(0.0, 1.0, when={"kind": ["a"]})},
)
SPEC = StudySpec(
    SPACE,
    (Objective("gain", "maximize"),),
    constraints=(Constraint("size", 3.0), Constraint("speed", 5.0, "at_least")),
)


def same(a: Rows, b: Rows) -> bool:
    return all(
        np.array_equal(
            getattr(a, name), getattr(b, name), equal_nan=name in {"units", "losses", "errors"}
        )
        for name in Rows.__slots__
    )


def trials(count: int) -> list[Trial]:
    rng = np.random.default_rng(0)
    states = list(TrialState)
    return [
        Trial(
            n + 1,
            SPACE.sample(rng),
            states[n % len(states)],
            metrics={"gain": float(n), "size": float(n % 5), "speed": float(n % 7)},
            revision=n,
        )
        for n in range(count)
    ]


def test_a_row_says_where_a_trial_lies_and_how_it_went() -> None:
    trial = Trial(
        1, {"kind": "b"}, TrialState.COMPLETED, metrics={"gain": 2.0, "size": 4.5, "speed": 9.0}
    )

    rows = Table().rows(History(SPEC, [trial]))

    assert rows.units[0, 0] == 0.75
    assert np.isnan(rows.units[0, 1])
    assert rows.losses.tolist() == [[-2.0]]
    assert rows.excesses.tolist() == [[1.5, -4.0]]
    assert rows.ended.tolist() == [True]
    assert rows.pending.tolist() == [False]


def test_a_constraint_that_was_not_measured_is_broken_without_bound() -> None:
    trial = Trial(1, {"kind": "b"}, TrialState.COMPLETED, metrics={"gain": 2.0, "size": 1.0})

    rows = Table().rows(History(SPEC, [trial]))

    assert rows.excesses.tolist() == [[-2.0, np.inf]]


def test_cancelled_trials_say_nothing_and_open_ones_are_pending() -> None:
    rows = Table().rows(History(SPEC, trials(8)))

    states = [t.state for t in trials(8)]
    assert [s for s, e in zip(states, rows.ended, strict=True) if e] == [
        TrialState.COMPLETED,
        TrialState.STOPPED,
        TrialState.FAILED,
        TrialState.INFEASIBLE,
    ]
    assert rows.pending.tolist() == [s in {"queued", "running", "paused"} for s in states]


def test_a_table_that_follows_a_study_equals_one_that_is_made_anew() -> None:
    history, table = History(SPEC), Table()

    for n in range(1, 200, 7):
        history.update(trials(n)[len(history.trials) :])
        changed = replace(history.trials[n // 2], metrics={"gain": -1.0}, revision=1000 + n)
        history.update([changed])

        assert same(table.rows(history), Table().rows(history))


def test_a_table_serves_one_study_after_another() -> None:
    table = Table()
    table.rows(History(StudySpec(Space({"z": Double(0.0, 9.0)}), SPEC.objectives)))
    table.rows(History(SPEC, trials(30)))

    shorter = History(SPEC, trials(5))

    assert same(table.rows(shorter), Table().rows(shorter))


def test_a_changed_budget_changes_no_row() -> None:
    table, history = Table(), History(SPEC, trials(9))
    before = table.rows(history)

    history.update([], replace(SPEC, max_trials=99))

    assert same(table.rows(history), before)
