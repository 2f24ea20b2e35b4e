"""Checks of searchers' settings, which say what would be right."""

from collections.abc import Sequence

from tunesmith.errors import Problem, SpecError

__all__ = ["check_choice", "check_flag", "check_positive", "check_whole", "refuse"]


def refuse(message: str) -> SpecError:
    """Return the error that says why a searcher can't be had so."""
    return SpecError([Problem("E120", message)])


def check_whole(searcher: str, setting: str, value: object, *, low: int) -> None:
    """Raise `SpecError` unless ``value`` is a whole number from ``low``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise refuse(
            f"{searcher}'s setting {setting!r} is a whole number from {low}; given {value!r}."
        )


def check_positive(
    searcher: str, setting: str, value: object, *, most: float | None = None
) -> None:
    """Raise `SpecError` unless ``value`` is a number above 0, and at most ``most`` if that is given."""
    number = not isinstance(value, bool) and isinstance(value, int | float)
    if not number or not 0.0 < value < float("inf") or (most is not None and value > most):  # type: ignore[operator]
        upto = "" if most is None else f" and up to {most:g}"
        raise refuse(
            f"{searcher}'s setting {setting!r} is a number above 0{upto}; given {value!r}."
        )


def check_flag(searcher: str, setting: str, value: object) -> None:
    """Raise `SpecError` unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise refuse(f"{searcher}'s setting {setting!r} is true or false; given {value!r}.")


def check_choice(searcher: str, setting: str, value: object, allowed: Sequence[str]) -> None:
    """Raise `SpecError` unless ``value`` is one of ``allowed``."""
    if value not in allowed:
        known = ", ".join(allowed)
        raise refuse(f"{searcher}'s setting {setting!r} is one of {known}; given {value!r}.")
