"""What must hold of every study, whatever goes wrong: each invariant says what is broken, in sentences.

    seen = look(storage, "s")
    assert check(seen) == []

An invariant judges by what was `Seen`; one that needs more than that says nothing.
"""

from collections.abc import Callable, Iterator, Mapping

from tunesmith.testing.invariants.holders import (
    fences_hold,
    handed_out_once,
    leases_exclude,
    suggested_once,
)
from tunesmith.testing.invariants.measured import (
    best_never_worsens,
    measured_is_true,
    reports_are_kept,
    results_follow,
    stored_once,
)
from tunesmith.testing.invariants.moves import (
    all_ended,
    budget_is_kept,
    ends_are_final,
    moves_are_allowed,
    numbers_have_no_gap,
    revisions_rise,
    slots_are_kept,
)
from tunesmith.testing.invariants.words import (
    ends_are_kept,
    readers_miss_nothing,
    replay_is_the_same,
    requests_happen_once,
    suggestions_repeat,
    told_the_truth,
)
from tunesmith.testing.seen import Seen

__all__ = ["INVARIANTS", "Invariant", "check"]

Invariant = Callable[[Seen], Iterator[str]]

INVARIANTS: Mapping[str, Invariant] = {
    invariant.__name__: invariant
    for invariant in (
        numbers_have_no_gap,
        revisions_rise,
        moves_are_allowed,
        ends_are_final,
        budget_is_kept,
        slots_are_kept,
        handed_out_once,
        suggested_once,
        leases_exclude,
        fences_hold,
        stored_once,
        reports_are_kept,
        measured_is_true,
        results_follow,
        best_never_worsens,
        requests_happen_once,
        ends_are_kept,
        told_the_truth,
        replay_is_the_same,
        readers_miss_nothing,
        suggestions_repeat,
        all_ended,
    )
}
"""All invariants by their names."""


def check(seen: Seen) -> list[str]:
    """Return what is broken of all invariants, each sentence with the invariant's name."""
    return [
        f"{name}: {sentence}" for name, broken in INVARIANTS.items() for sentence in broken(seen)
    ]
