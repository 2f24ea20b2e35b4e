"""Durations and amounts of memory, as people write them: ``1h30m``, ``2GiB``."""

import math
import re

__all__ = ["format_duration", "format_memory", "parse_duration", "parse_memory"]

_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_BYTES = {
    "b": 1,
    **{f"{prefix}b": 1000**power for power, prefix in enumerate("kmgt", start=1)},
    **{f"{prefix}ib": 1024**power for power, prefix in enumerate("kmgt", start=1)},
    # Kubernetes leaves out the b.
    **{f"{prefix}i": 1024**power for power, prefix in enumerate("kmgt", start=1)},
}
_MIB = 1024**2

_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_BARE = re.compile(_NUMBER)
_DURATION = re.compile(
    rf"(?:(?P<d>{_NUMBER})d)?(?:(?P<h>{_NUMBER})h)?(?:(?P<m>{_NUMBER})m)?"
    rf"(?:(?P<s>{_NUMBER})s)?(?:(?P<ms>{_NUMBER})ms)?"
)
_MEMORY = re.compile(rf"({_NUMBER}) ?([a-z]+)", re.IGNORECASE)


def parse_duration(text: str) -> float:
    """Return the seconds that ``text`` means: ``90``, ``90s``, ``10m``, ``1h30m``, ``2d``.

    Raises:
        ValueError: ``text`` is no duration; the message shows what one looks like.
    """
    text = text.strip()
    if _BARE.fullmatch(text):
        seconds = float(text)
    elif text and (match := _DURATION.fullmatch(text.replace(" ", ""))):
        parts = match.groupdict(default="0")
        seconds = math.fsum(float(parts[unit]) * worth for unit, worth in _SECONDS.items())
    else:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{text!r} is no duration. Write 90s, 10m, 1h30m, or a number of seconds.")
    return seconds


def parse_memory(text: str) -> float:
    """Return the MiB that ``text`` means: ``512``, ``500MB``, ``2GiB``, ``2Gi``.

    Raises:
        ValueError: ``text`` is no amount above zero; the message shows what one looks like.
    """
    text = text.strip()
    mib = math.nan
    if _BARE.fullmatch(text):
        mib = float(text)
    elif (match := _MEMORY.fullmatch(text)) and match[2].casefold() in _BYTES:
        mib = float(match[1]) * _BYTES[match[2].casefold()] / _MIB
    if not 0 < mib < math.inf:
        raise ValueError(f"{text!r} is no amount of memory. Write 500MB, 2GiB, or a number of MiB.")
    return mib


def format_duration(seconds: float) -> str:
    """Return the shortest text from which `parse_duration` makes the same number: ``1h30m``."""
    if seconds != int(seconds) or seconds >= 1e15:
        return f"{seconds!r}s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def format_memory(mib: float) -> str:
    """Return a text from which `parse_memory` makes the same number: ``2GiB``, ``500MiB``."""
    if mib % 1024 == 0:
        return f"{int(mib) // 1024}GiB"
    return f"{int(mib)}MiB" if mib == int(mib) else f"{mib!r}MiB"
