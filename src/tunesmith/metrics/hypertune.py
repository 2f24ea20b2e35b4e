"""Reads the file of the package ``cloudml-hypertune``.

The package writes one JSON object a line: ``timestamp``, ``trial``, ``global_step``,
``checkpoint_path`` and one more key, the metric's tag, with the value as a text. Each report writes
the whole file anew with the last hundred entries, so a look may find it empty, cut off, or without
entries that were there before.
"""

import math
from pathlib import Path

from tunesmith.metrics.base import MetricRequest, Reading, Remarks
from tunesmith.metrics.decode import json_object, number, whole
from tunesmith.metrics.steps import Steps

__all__ = ["HypertuneFile"]

_DEFAULT_TAG = "training/hptuning/metric"
_NOT_METRICS = frozenset({"timestamp", "trial", "global_step", "checkpoint_path"})


class HypertuneFile:
    """The metric source ``hypertune``; ``CLOUD_ML_HP_METRIC_FILE`` must name its file."""

    def __init__(self, workdir: Path, request: MetricRequest) -> None:
        self.remarks = Remarks()
        self._path = workdir / "hypertune" / "output.metrics"
        self._request = request
        self._version: tuple[int, int, int] | None = None
        self._known: set[bytes] = set()
        self._taken: set[tuple[str, int]] = set()
        self._steps = Steps()

    def read(self, *, final: bool = False) -> list[Reading]:
        """Return the new reports; see `MetricSource`."""
        readings: list[Reading] = []
        for line in self._content(always=final).split(b"\n"):
            # An entry that is cut off is no JSON; it will be whole at a later look.
            if line not in self._known and (entry := json_object(line)) is not None:
                self._known.add(line)
                readings += self._readings(entry)
        return readings

    def _content(self, *, always: bool) -> bytes:
        """Return the file's content; nothing if it is as it was at the last look.

        Two reports in one tick of the file system's clock may look like one. While the program
        runs the next report brings the second; after the last one the file is read ``always``.
        """
        try:
            status = self._path.stat()
            version = (status.st_mtime_ns, status.st_size, status.st_ino)
            if version == self._version and not always:
                return b""
            content = self._path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return b""
        self._version = version
        return content

    def _readings(self, entry: dict[str, object]) -> list[Reading]:
        given = whole(entry.get("global_step"))
        elapsed_s = self._elapsed_s(number(entry.get("timestamp")))
        return [
            Reading(name, self._step(name, given), value, elapsed_s)
            for tag, raw in entry.items()
            if tag not in _NOT_METRICS and (value := number(raw)) is not None
            for name in [self._name(tag)]
        ]

    def _name(self, tag: str) -> str:
        wanted = self._request.metrics
        return wanted[0] if tag == _DEFAULT_TAG and tag not in wanted else tag

    def _step(self, name: str, given: int | None) -> int:
        """Return the entry's step, or the next one where the program's own does not advance.

        The package writes 0 for a step that it was not given: taken at its word, every value but
        the first would be a repetition.
        """
        step = self._steps.place([name], None if (name, given) in self._taken else given)
        self._taken.add((name, step))
        return step

    def _elapsed_s(self, timestamp: float | None) -> float:
        if timestamp is not None and math.isfinite(timestamp):
            return self._request.elapsed_s(timestamp)
        return self._request.elapsed_s()
