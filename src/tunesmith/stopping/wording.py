"""Numbers in the sentences of rules."""

import math

__all__ = ["apart", "brief"]


def brief(value: float) -> str:
    """Return a number as people read it, with four digits."""
    return f"{value + 0.0:.4g}" if math.isfinite(value) else "nan"  # + 0.0 turns -0 into 0


def apart(value: float, other: float) -> tuple[str, str]:
    """Return two numbers with as many digits as it takes to tell them apart, four at least."""
    pair = brief(value), brief(other)
    digits = 5
    while pair[0] == pair[1] and digits <= 17 and math.isfinite(value) and math.isfinite(other):
        pair = f"{value + 0.0:.{digits}g}", f"{other + 0.0:.{digits}g}"
        digits += 1
    return pair
