"""What the trials of a study add up to: counts, fronts, which searcher chose when, orders."""

import json
import math
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select

from tunesmith.model import Feasibility, Front, StudySpec, Trial, TrialState, is_feasible
from tunesmith.storage.base import Order
from tunesmith.storage.rows import trial_from_row
from tunesmith.storage.schema import trial

__all__ = ["THE_TRIAL", "choices", "in_order", "outcomes"]

THE_TRIAL = select(trial).where(
    trial.c.study_id == bindparam("sid"), trial.c.number == bindparam("n")
)
"""The row of trial ``n`` of study ``sid``."""

_COUNTED = (
    select(trial.c.number, trial.c.state, trial.c.metrics)
    .where(trial.c.study_id == bindparam("sid"), trial.c.violation >= 0)
    .order_by(trial.c.number)
)
_NEXT_SEARCHER = select(func.min(trial.c.searcher)).where(
    trial.c.study_id == bindparam("sid"), trial.c.searcher > bindparam("after")
)
_LAST_OF_SEARCHER = select(func.max(trial.c.number)).where(
    trial.c.study_id == bindparam("sid"),
    trial.c.searcher == bindparam("searcher"),
    trial.c.number < bindparam("below"),
)
_FIRST_OF_SEARCHER = select(func.min(trial.c.number)).where(
    trial.c.study_id == bindparam("sid"),
    trial.c.searcher == bindparam("searcher"),
    trial.c.number > bindparam("above"),
)
_CHOICES_KEPT = 20  # a study that changes its searcher more often is not read to its beginning


def outcomes(
    connection: Connection, sid: int, spec: StudySpec
) -> tuple[Front | None, Feasibility | None]:
    """Return what needs more than the first objective of each trial, for studies that have more."""
    several = len(spec.objectives) > 1
    if not several and not spec.constraints:
        return None, None
    trials = [
        Trial(row.number, {}, TrialState(row.state), metrics=json.loads(row.metrics))
        for row in connection.execute(_COUNTED, {"sid": sid})
    ]
    feasibility = None
    if spec.constraints:
        kept = [
            sum(c.excess(t.metrics.get(c.metric, math.nan)) <= 0 for t in trials)
            for c in spec.constraints
        ]
        feasible = sum(is_feasible(t, spec) for t in trials)
        feasibility = Feasibility(len(trials), tuple(kept), feasible)
    if not several:
        return None, feasibility
    front = Front.of(trials, spec)
    whole = [connection.execute(THE_TRIAL, {"sid": sid, "n": t.number}).one() for t in front.trials]
    return replace(front, trials=tuple(map(trial_from_row, whole))), feasibility


def choices(connection: Connection, sid: int) -> tuple[Trial, ...]:
    """Return the trials with which a searcher took over, the latest of them.

    Backwards from the last, by the ends of each searcher's runs: a few looks into an index for each,
    however long the study is.
    """

    def look(query: Select[Any], **key: object) -> Any:
        return connection.execute(query, {"sid": sid, **key}).scalar()

    def last(below: int, besides: str) -> tuple[int, str] | None:
        """Return the last trial below a number that another searcher made, with that searcher."""
        others = [s for s in searchers if s != besides]
        ends = [(look(_LAST_OF_SEARCHER, searcher=s, below=below), s) for s in others]
        return max((end for end in ends if end[0] is not None), default=None)

    searchers = [""]
    while (searcher := look(_NEXT_SEARCHER, after=searchers[-1])) is not None:
        searchers.append(searcher)
    first: list[int] = []
    end = last(2**31 - 1, "")
    while end is not None and len(first) < _CHOICES_KEPT:
        before = last(*end)
        above = 0 if before is None else before[0]
        first.append(look(_FIRST_OF_SEARCHER, searcher=end[1], above=above))
        end = before
    rows = [connection.execute(THE_TRIAL, {"sid": sid, "n": n}).one() for n in reversed(first)]
    return tuple(map(trial_from_row, rows))


def in_order(order: Order) -> Any:
    """Return the query for a study's trials in an order."""
    query = select(trial).where(trial.c.study_id == bindparam("sid"))
    if order == "best":
        return query.where(trial.c.violation >= 0).order_by(
            trial.c.violation, trial.c.loss, trial.c.number
        )
    return query.order_by(trial.c.number.desc() if order == "newest" else trial.c.number)
