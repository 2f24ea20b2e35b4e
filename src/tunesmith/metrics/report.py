"""Reads ``metrics.jsonl``, which `tunesmith.report` writes in a trial's working directory.

Each line is one of these objects; ``step`` may be null:

    {"step": 3, "elapsed_s": 1.25, "metrics": {"accuracy": 0.9, "loss": "nan"}}
    {"infeasible": "why these values can't be tried"}
"""

import math
from pathlib import Path

from tunesmith.metrics.base import MetricRequest, Reading, Remarks
from tunesmith.metrics.decode import json_object, number, whole
from tunesmith.metrics.steps import Steps
from tunesmith.metrics.tail import Lines

__all__ = ["ReportFile"]

_BLOCK = 2**20
_LONGEST_LINE = 2**20


class ReportFile:
    """The metric source ``report``."""

    def __init__(self, workdir: Path, request: MetricRequest) -> None:
        self.remarks = Remarks()
        self._request = request
        self._lines = Lines(workdir / "metrics.jsonl", longest=_LONGEST_LINE)
        self._steps = Steps()

    def read(self, *, final: bool = False) -> list[Reading]:
        """Return the new reports; see `MetricSource`."""
        return [
            reading
            for block in self._lines.blocks(_BLOCK, final=final)
            for line in block.split(b"\n")
            if (report := json_object(line)) is not None
            for reading in self._readings(report)
        ]

    def _readings(self, report: dict[str, object]) -> list[Reading]:
        if "infeasible" in report:
            reason = str(report["infeasible"] or "") or "The program gave no reason."
            self.remarks.infeasible = self.remarks.infeasible or reason

        metrics = report.get("metrics")
        if not isinstance(metrics, dict):
            return []
        values = {
            name: value for name, raw in metrics.items() if (value := number(raw)) is not None
        }
        step = self._steps.place(values, whole(report.get("step")))
        elapsed_s = self._elapsed_s(number(report.get("elapsed_s")))
        return [Reading(name, step, value, elapsed_s) for name, value in values.items()]

    def _elapsed_s(self, reported: float | None) -> float:
        if reported is not None and math.isfinite(reported) and reported >= 0:
            return reported
        return self._request.elapsed_s()
