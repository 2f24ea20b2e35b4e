"""Reads what a program prints.

A program may print a megabyte a second in which nothing is wanted: a block of output without the
name of any wanted metric is passed over after a search through its bytes.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tunesmith.metrics.base import MetricRequest, Reading, Remarks
from tunesmith.metrics.pairs import LineReader, pair_names
from tunesmith.metrics.pattern import LinePattern
from tunesmith.metrics.steps import Steps
from tunesmith.metrics.tail import Lines

__all__ = ["StandardOutput"]

_BLOCK = 4 * 2**20
_LONGEST_LINE = 8 * 2**10
_GLANCE = 8 * 2**10  # how much of each block's end is searched for names, which costs time


class StandardOutput:
    """The metric source ``stdout``: JSON lines and ``name=value``, or what a pattern matches.

    Raises:
        ValueError: the request's pattern can't be used; see `check_pattern`.
    """

    def __init__(self, workdir: Path, request: MetricRequest) -> None:
        self.remarks = Remarks()
        self._request = request
        self._lines = Lines(workdir / "stdout", longest=_LONGEST_LINE)
        self._steps = Steps()
        self._find: Callable[[str], Iterable[tuple[int | None, Mapping[str, float]]]]
        if request.pattern:
            self._find = LinePattern(request.pattern, request.metrics[0]).find
            self._needles = [b""]
        else:
            self._find = LineReader(request.metrics).find
            self._needles = _needles(request.metrics)

    def read(self, *, final: bool = False) -> list[Reading]:
        """Return the new readings; see `MetricSource`."""
        readings: list[Reading] = []
        for block in self._lines.blocks(_BLOCK, final=final):
            if self._may_hold_metrics(block):
                for line in block.split(b"\n"):
                    if self._may_hold_metrics(line):
                        readings += self._readings(_text(line[:_LONGEST_LINE]))
            self._glance(block)
        return readings

    def _may_hold_metrics(self, printed: bytes) -> bool:
        return any(needle in printed for needle in self._needles)

    def _readings(self, line: str) -> list[Reading]:
        readings: list[Reading] = []
        for given, found in self._find(line):
            metrics = {k: v for k, v in found.items() if self._is_metric(k)}
            step = self._steps.place(metrics, given)
            elapsed_s = self._request.elapsed_s()
            readings += [Reading(k, step, v, elapsed_s) for k, v in metrics.items()]
        if not readings and not self._request.pattern:
            self._remember_names(line)  # one that holds a wanted name, as 'val_loss', explains most
        return readings

    def _is_metric(self, name: str) -> bool:
        return name in self._request.metrics or name not in self._request.parameters

    def _glance(self, block: bytes) -> None:
        """Remember names at the block's end, where programs tell their results."""
        if len(block) > _GLANCE:
            block = block[-_GLANCE:].partition(b"\n")[2]
        self._remember_names(_text(block))

    def _remember_names(self, text: str) -> None:
        if self.remarks.full:
            return
        for name in pair_names(text):
            if self._is_metric(name):
                self.remarks.saw(name)


def _needles(metrics: Iterable[str]) -> list[bytes]:
    """Return the bytes that stand for a metric's name in a text or in JSON, which may escape it."""
    return list(
        {form for name in metrics for form in (name.encode(), json.dumps(name)[1:-1].encode())}
    )


def _text(printed: bytes) -> str:
    return printed.decode("utf-8", errors="replace")
