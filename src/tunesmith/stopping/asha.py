"""Asynchronous successive halving that stops: at each rung only the best part of those there goes on.

Li et al., "A system for massively parallel hyperparameter tuning" (MLSys 2020), in the form that stops
trials instead of pausing and promoting them. So nobody waits, and no checkpoint is needed.

    η       eta: one of so many goes on
    r, R    min_steps and max_steps
    rung k  at r·ηᵏ steps, below R
    s       the bracket; its lowest rung is r·ηˢ
"""

import math
from bisect import bisect_right

import numpy as np

from tunesmith.model import (
    By,
    History,
    Objective,
    StudySpec,
    Trial,
    violation,
)
from tunesmith.search.ranked import fronts
from tunesmith.search.settings import check_positive, check_whole, refuse
from tunesmith.stopping.peers import Array, Peers, others
from tunesmith.stopping.watch import Watch, news, place
from tunesmith.stopping.wording import brief

__all__ = ["Asha"]

_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


class Asha:
    """Ends a trial that reaches a rung and is not among the best 1/η of all that have reached it so far.

    Of n trials at a rung, itself included, ``max(1, ⌊n/η⌋)`` go on; so the first always does, and a trial
    is ended only if so many are strictly better. Each is judged once at each rung, by what it measured
    when it came there: its first measurement from the rung on.

    Where the study has constraints, trials that keep them come first, then the others by how much they
    break them. With several objectives trials are sorted by fronts (those that none dominates, those
    that none of the rest dominates, and so on), within a front by the first objective.

    With several brackets, trials of bracket s are first judged at rung s, so that some are spared early
    judgements that may mislead. Trial i is in the bracket in whose part of [0, 1) i·(√5 - 1)/2 mod 1
    falls: that spreads the trials evenly, and is the same whoever asks. The parts are as large as
    Hyperband's brackets: of K rungs, bracket s has a share of ηᵐ/(m + 1) with m = K - s halvings.

    Args:
        eta: η, from 2.
        min_steps: r, above 0.
        max_steps: R; None for the study's own. Without either, rungs go on for ever.
        brackets: How many there are.
        by: ``"step"``, or ``"elapsed"``: then r and R are seconds.
        metric: The objective to rank by; ``""`` for all of them.

    Raises:
        SpecError: a setting makes no sense.
    """

    def __init__(
        self,
        *,
        eta: int = 3,
        min_steps: float = 1,
        max_steps: float | None = None,
        brackets: int = 1,
        by: By = "step",
        metric: str = "",
    ) -> None:
        check_whole("asha", "eta", eta, low=2)
        check_positive("asha", "min_steps", min_steps)
        if max_steps is not None:
            check_positive("asha", "max_steps", max_steps)
        check_whole("asha", "brackets", brackets, low=1)
        self._eta = eta
        self._least = float(min_steps)
        self._whole = max_steps
        self._brackets = brackets
        self._watch = Watch("asha", metric, by, min_steps)

    def check(self, spec: StudySpec) -> None:
        """Serve studies that are long enough for a rung in each bracket."""
        self._objectives(spec)
        whole = self._end(spec)
        if whole is None and self._brackets > 1:
            raise refuse(
                "asha shares trials out to brackets by how long a whole trial is: say max_steps."
            )
        if whole is None:
            return
        count = self._rungs(whole)
        if self._brackets > count:
            raise refuse(
                f"asha has {count} rungs from min_steps={brief(self._least)} to below"
                f" max_steps={brief(whole)} with eta={self._eta}, and needs one for each of its"
                f" {self._brackets} brackets. Lower min_steps or brackets, or raise max_steps."
            )

    def stop_reason(self, trial: Trial, history: History) -> str | None:
        """Return why the trial should end; see `StoppingRule.stop_reason`."""
        spec, by = history.spec, self._watch.by
        objectives, parts = self._objectives(spec), self._parts(spec)
        bracket = _bracket(trial.number, parts)
        before, reach = news(history.curve(trial.number), objectives[0], by)
        rung = self._rung_between(before, reach, bracket, spec)
        if rung is None:
            return None
        rivals = [t for t in others(trial, history) if _bracket(t.number, parts) == bracket]
        there, arrivals = _arrived([trial, *rivals], history, objectives[0], by, rung)
        rest = [_met(there, arrivals, history, o, by) for o in objectives[1:]]
        losses = np.stack([there.until(arrivals).lasts, *rest], axis=1)
        broken = _broken(there, arrivals, history, by)
        keep = max(1, len(there) // self._eta)
        if _better(losses, broken) < keep:
            return None
        values = ", ".join(
            f"{o.metric} {brief(o.loss(x))}" for o, x in zip(objectives, losses[0], strict=True)
        )
        if broken[0]:
            values += " with broken constraints"
        where = place(history.curve(trial.number), float(arrivals[0]), by)
        part = "the best" if keep == 1 else f"among the best {keep}"
        unit = "s" if by == "elapsed" else "steps"
        return f"{values} {where} is not {part} of {len(there)} trials at the rung of {brief(rung)} {unit}"

    def _objectives(self, spec: StudySpec) -> tuple[Objective, ...]:
        return (self._watch.objective(spec),) if self._watch.metric else spec.objectives

    def _end(self, spec: StudySpec) -> float | None:
        """Return R, if anybody knows it."""
        if self._whole is not None:
            return self._whole
        return spec.max_steps if self._watch.by == "step" else None

    def _rungs(self, whole: float) -> int:
        """Return how many rungs lie below R."""
        count = 0
        while self._least * self._eta**count < whole:
            count += 1
        return count

    def _parts(self, spec: StudySpec) -> list[float]:
        """Return where in [0, 1) the part of each bracket ends."""
        whole = self._end(spec)
        if self._brackets == 1 or whole is None:
            return [1.0]
        halvings = self._rungs(whole) - np.arange(self._brackets)
        shares = np.float64(self._eta) ** halvings / (halvings + 1.0)
        ends: list[float] = (np.cumsum(shares) / shares.sum()).tolist()
        return [*ends[:-1], 1.0]

    def _rung_between(
        self, before: float, reach: float, bracket: int, spec: StudySpec
    ) -> float | None:
        """Return the highest rung above ``before`` and up to ``reach``; None if there is none."""
        whole = self._end(spec)
        found, rung = None, self._least * self._eta**bracket
        while rung <= reach and (whole is None or rung < whole):
            if rung > before:
                found = rung
            rung *= self._eta
        return found


def _bracket(number: int, parts: list[float]) -> int:
    return bisect_right(parts, number * _GOLDEN % 1.0)


def _arrived(
    trials: list[Trial], history: History, objective: Objective, by: By, rung: float
) -> tuple[Peers, Array]:
    """Return the k trials that have come to the rung, and where they first measured there, ``(k,)``."""
    peers = Peers.of(trials, history, objective, by)
    arrivals = peers.arrivals(rung)
    there = ~np.isnan(arrivals)
    return peers.chosen(there), arrivals[there]


def _met(there: Peers, arrivals: Array, history: History, objective: Objective, by: By) -> Array:
    """Return each trial's latest loss on its arrival, ``(k,)``; infinite without one."""
    trials = (history.trials[n - 1] for n in there.numbers.tolist())
    measured = Peers.of(trials, history, objective, by)
    # Both are in the same order, but some trials may not have measured this.
    measured = measured.until(arrivals[np.isin(there.numbers, measured.numbers)])
    out: Array = np.full(len(there), np.inf)
    out[np.isin(there.numbers, measured.numbers)] = measured.lasts
    return out


def _broken(there: Peers, arrivals: Array, history: History, by: By) -> Array:
    """Return by how much each broke the constraints on its arrival, ``(k,)``."""
    constraints = history.spec.constraints
    if not constraints:
        return np.zeros(len(there))
    metrics = [c.metric for c in constraints]
    met = [_met(there, arrivals, history, Objective(m, "minimize"), by) for m in metrics]
    table = np.stack(met, axis=1)
    table[np.isinf(table)] = np.nan  # not measured, so not kept
    return np.array(
        [violation(dict(zip(metrics, row, strict=True)), constraints) for row in table.tolist()]
    )


def _better(losses: Array, broken: Array) -> int:
    """Return how many rows are strictly better than the first."""
    if broken[0]:
        return int(np.count_nonzero(broken < broken[0]))
    first = losses[:, 0]
    kept = broken == 0.0
    if losses.shape[1] == 1:
        return int(np.count_nonzero(kept & (first < first[0])))
    front = np.full(len(losses), np.inf)
    front[kept] = fronts(losses[kept])
    ahead = (front < front[0]) | ((front == front[0]) & (first < first[0]))
    return int(np.count_nonzero(ahead))
