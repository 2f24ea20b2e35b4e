"""Keeps suggestions fresh: in a finite space no point is proposed twice, unless that is wanted.

It is where measurements are so noisy that a second one tells much; the setting ``repeat`` says so.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

import numpy as np

from tunesmith.model import History, Suggestion
from tunesmith.space import Value

__all__ = ["along", "fresh_points"]

_ENUMERABLE = 20_000  # points that are listed rather than drawn until a new one turns up
_DRAWS = 200


def fresh_points(
    history: History,
    propose: Callable[[int], Mapping[str, Value]],
    rng: np.random.Generator,
    *,
    repeat: bool = False,
) -> Iterator[Mapping[str, Value]]:
    """Yield ``propose(0)``, ``propose(1)``, … without points that were tried; end when none is left.

    Spaces without a finite size are not filtered: there a repetition is a coincidence or is meant.
    With ``repeat`` none is, and there is no end.
    """
    space = history.spec.space
    size = space.size
    if size is None or repeat:
        index = 0
        while True:
            yield propose(index)
            index += 1
    proposed: set[tuple[object, ...]] = set()
    index = 0
    misses = 0
    while misses < _DRAWS and history.distinct + len(proposed) < size:
        point = propose(index)
        key = space.key(point)
        index += 1
        if key in proposed or history.tried(key) is not None:
            misses += 1
            continue
        misses = 0
        proposed.add(key)
        yield point
    # Proposals hardly ever hit what is left, so list it. In a space too large to list, that many
    # misses mean a searcher that has settled on a few points: give the first that are left.
    left = (
        p
        for p in space.points()
        if (k := space.key(p)) not in proposed and history.tried(k) is None
    )
    if size <= _ENUMERABLE:
        listed = list(left)
        rng.shuffle(listed)
        yield from listed
    else:
        yield from islice(left, size)


def along(
    point: Callable[[int], np.ndarray],
    history: History,
    count: int,
    rng: np.random.Generator,
    *,
    origin: str,
) -> list[Suggestion]:
    """Return the next ``count`` points of a sequence, fewer if the space has no more.

    Args:
        point: Gives the sequence's place ``(d,)`` at an index; trial ``n`` has index ``n - 1``.
        history: The trials so far.
        count: How many are wanted.
        rng: What draws points where the sequence hits only what was tried.
        origin: What the suggestions say they come from.
    """
    first = len(history.trials)

    def propose(index: int) -> Mapping[str, Value]:
        return history.spec.space.decode(point(first + index))

    return [
        Suggestion(values, origin) for values in islice(fresh_points(history, propose, rng), count)
    ]
