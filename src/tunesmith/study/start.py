"""The first points of a study: those its user gave, the declared defaults, then the priors' centers."""

from collections.abc import Iterator

from tunesmith.model import History, Suggestion

__all__ = ["start_points"]


def start_points(history: History) -> Iterator[Suggestion]:
    """Yield the start points that no trial has tried yet."""
    spec = history.spec
    points = [(spec.space.complete(point), "user") for point in spec.initial]
    if (defaults := spec.space.defaults()) is not None:
        points.append((defaults, "default"))
    if (centers := spec.space.centers()) is not None:
        points.append((centers, "prior"))
    seen: set[tuple[object, ...]] = set()
    for point, origin in points:
        key = spec.space.key(point)
        if key not in seen and history.tried(key) is None:
            seen.add(key)
            yield Suggestion(point, origin)
