r"""Metrics in a line that a program printed for people: ``Epoch 3/10 loss: 0.5 - accuracy=0.93``.

A wrong number is worse than none, so a value must end where it seems to end: of ``9912/10000``,
``12:30``, ``1,234`` and ``5ms`` nothing is taken.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping

from tunesmith.metrics.decode import json_object, number, whole

__all__ = ["LineReader", "pair_names"]

_STEP_NAMES = ("step", "global_step", "epoch", "iteration", "iter")  # the first one found counts
_COUNTERS = frozenset({*_STEP_NAMES, "batch"})

_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_START = r"(?<![\w./-])"
_NAME = r"[^\W\d][\w./-]*+"
_EQUALS = r"""['"]?[ \t]*[=:][ \t]*"""
_VALUE = (
    r"(?:(?:np\.float\d+|tensor)\()?([+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf(?:inity)?))"
)
_END = r"(?!\w|[.:/,-]\d)(?:, device='[^']*')?"
_STEP = re.compile(
    rf"""{_START}({"|".join(_STEP_NAMES)})['"]?[\s=:#(\[]*+(\d{{1,18}})(?!\w|[.:,-]\d)""",
    re.IGNORECASE,
)


def _pair(name: str) -> re.Pattern[str]:
    return re.compile(rf"{_START}({name}){_EQUALS}{_VALUE}{_END}", re.IGNORECASE)


_ANY_PAIR = _pair(_NAME)


def pair_names(text: str) -> list[str]:
    """Return the names of all numbers in ``text``, counters of steps left out."""
    return [pair[1] for pair in _ANY_PAIR.finditer(text) if pair[1].lower() not in _COUNTERS]


class LineReader:
    """Reads lines that hold at least one wanted metric.

    Args:
        wanted: The metrics that make a line interesting; every other number in it is then taken,
            but for those that count steps.
    """

    def __init__(self, wanted: Collection[str]) -> None:
        self._wanted = frozenset(wanted)
        # A wanted name may have signs that names have not in general, such as the one in 'hits@10'.
        literal = sorted(map(re.escape, wanted), key=len, reverse=True)
        self._pair = _pair("|".join([*(rf"{name}(?={_EQUALS})" for name in literal), _NAME]))

    def find(self, line: str) -> Iterable[tuple[int | None, Mapping[str, float]]]:
        """Return the step, or None, and the metrics of ``line``; nothing if none is wanted."""
        if "\x1b" in line:
            line = _COLOUR.sub("", line)
        record = json_object(line) if line.lstrip().startswith("{") else None
        found = self._in_text(line) if record is None else self._in_json(record)
        return [found] if self._wanted & found[1].keys() else []

    def _in_text(self, line: str) -> tuple[int | None, dict[str, float]]:
        values: dict[str, float] = {}
        for name, value in self._pair.findall(line):
            if self._is_metric(name):
                values.setdefault(name, float(value))
        counters = {name.lower(): digits for name, digits in reversed(_STEP.findall(line))}
        return self._step(counters.get), values

    def _in_json(self, record: dict[str, object]) -> tuple[int | None, dict[str, float]]:
        nested = record.get("metrics")
        fields = record | nested if isinstance(nested, dict) else record
        values = {
            name: value
            for name, raw in fields.items()
            if self._is_metric(name) and (value := number(raw)) is not None
        }
        return self._step(fields.get), values

    def _is_metric(self, name: str) -> bool:
        return name in self._wanted or name.lower() not in _COUNTERS

    def _step(self, counter: Callable[[str], object]) -> int | None:
        for name in _STEP_NAMES:
            step = None if name in self._wanted else whole(counter(name))
            if step is not None:
                return step
        return None
