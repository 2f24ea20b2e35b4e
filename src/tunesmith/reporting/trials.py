"""A study's trials as a sequence that turns itself into records, a frame or a table."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, overload

from tunesmith.errors import MissingExtraError
from tunesmith.model import StudySpec, Trial
from tunesmith.reporting.documents import NO_STEPS, trial_record
from tunesmith.reporting.figures import number
from tunesmith.reporting.reached import shown_metrics

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Trials"]

_SHOWN = 20


class Trials(Sequence[Trial]):
    """Trials of a study. All of them are in the order of their numbers; trial ``n`` stands at ``n - 1``.

    Args:
        trials: The trials.
        spec: Their study.
        steps: How many steps each has done, by number, where the study goes by steps.
    """

    def __init__(
        self, trials: Sequence[Trial], spec: StudySpec, steps: Mapping[int, int] = NO_STEPS
    ) -> None:
        self._trials = tuple(trials)
        self._spec = spec
        self._steps = steps

    def __len__(self) -> int:
        return len(self._trials)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self._trials)

    @overload
    def __getitem__(self, index: int) -> Trial: ...
    @overload
    def __getitem__(self, index: slice) -> "Trials": ...
    def __getitem__(self, index: int | slice) -> "Trial | Trials":
        if isinstance(index, slice):
            return Trials(self._trials[index], self._spec, self._steps)
        return self._trials[index]

    def records(self) -> list[Mapping[str, object]]:
        """Return one flat dict per trial: number, state, parameters, metrics, times; the same keys in all."""
        rows = [trial_record(t, self._spec, self._steps.get(t.number)) for t in self._trials]
        keys = list(dict.fromkeys(key for row in rows for key in row))
        return [{key: row.get(key) for key in keys} for row in rows]

    def df(self) -> "pd.DataFrame":
        """Return a pandas frame with one row per trial and the columns of `records`.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas as pd  # noqa: PLC0415 - optional and heavy
        except ImportError:
            msg = "A frame needs pandas: pip install 'tunesmith[pandas]'. `records()` does without."
            raise MissingExtraError(msg) from None
        return pd.DataFrame(self.records())

    def __repr__(self) -> str:
        if not self._trials:
            return "no trials"
        rows = [list(map(number, row)) for row in self._rows()]
        table = [self._head(), *rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
        return "\n".join([*lines, *self._more()])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in self._head())
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(number(cell))}</td>" for cell in row) + "</tr>"
            for row in self._rows()
        )
        more = "".join(f"<p>{escape(line)}</p>" for line in self._more())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"

    def _head(self) -> list[str]:
        steps = ["steps"] if self._steps else []
        return ["#", "state", *shown_metrics(self._spec), *steps, *self._spec.space]

    def _rows(self) -> Iterator[list[object]]:
        for t in self._trials[-_SHOWN:]:
            metrics = [t.metrics.get(name, "") for name in shown_metrics(self._spec)]
            values = [t.values.get(name, "") for name in self._spec.space]
            steps = [self._steps.get(t.number, "")] if self._steps else []
            yield [t.number, t.state.value, *metrics, *steps, *values]

    def _more(self) -> list[str]:
        hidden = len(self._trials) - _SHOWN
        return [f"… and {hidden} earlier trials; records() and df() give all"] if hidden > 0 else []
