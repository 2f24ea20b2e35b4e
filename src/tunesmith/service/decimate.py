"""Fewer points of a curve that look the same: every peak and every valley stays."""

from collections.abc import Sequence

__all__ = ["decimated"]


def decimated(values: Sequence[float], points: int) -> Sequence[int]:
    """Return the places of at most ``points`` of the values: the first, the last, and all extremes between.

    What lies between is cut into pieces of equal length, of which each keeps its least and its greatest
    value. What is nan is passed over, unless a piece has nothing else.

    Args:
        values: At least two points are kept of them.
        points: How many to keep at most; from 4.
    """
    count = len(values)
    if count <= points:
        return range(count)
    pieces = (points - 2) // 2
    kept = {0, count - 1}
    for piece in range(pieces):
        begin, end = 1 + piece * (count - 2) // pieces, 1 + (piece + 1) * (count - 2) // pieces
        inner = [i for i in range(begin, end) if values[i] == values[i]] or [begin]
        kept.add(min(inner, key=values.__getitem__))
        kept.add(max(inner, key=values.__getitem__))
    return sorted(kept)
