"""Reads the event files that TensorBoard shows, without TensorBoard or TensorFlow."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tunesmith.metrics.base import MetricRequest, Reading, Remarks
from tunesmith.metrics.steps import Steps
from tunesmith.metrics.summaries import parse_event
from tunesmith.metrics.tfrecord import RecordFile
from tunesmith.metrics.tree import Tree

__all__ = ["EventFiles"]

_MOST_TAGS = 200
_EVALUATION = re.compile(r"(?<![a-z])(eval|evaluation|val|valid|validation)(?![a-z])")
_TRAINING = re.compile(r"(?<![a-z])(train|training)(?![a-z])")


class EventFiles:
    """The metric source ``tensorboard``: every scalar of every event file below a folder.

    Programs write one tag in several folders, such as ``train`` and ``validation``: then a folder
    for evaluation is preferred to any other, and one for training comes last.
    """

    def __init__(self, workdir: Path, request: MetricRequest) -> None:
        self.remarks = Remarks()
        self._workdir = workdir
        self._request = request
        self._tree = Tree(workdir, "tfevents")
        self._files: dict[Path, _EventFile] = {}
        self._folders: dict[str, dict[int, str]] = {}  # by tag and rank: the first such folder

    def read(self, *, final: bool = False) -> list[Reading]:
        """Return the new readings, file by file; see `MetricSource`."""
        readings: list[Reading] = []
        for path in self._tree.files():
            if path not in self._files:
                self._files[path] = _EventFile(path, path.relative_to(self._workdir))
            file = self._files[path]
            try:
                readings += self._readings(file, final=final)
            except OSError as error:  # one file that can't be read must not hide the others
                self.remarks.note(f"The event file {file.name} can't be read: {error.strerror}.")
            if final and file.damaged_at is not None:
                self.remarks.note(
                    f"The event file {file.name} is damaged at byte {file.damaged_at}; "
                    "what it holds behind that is not read."
                )
        return readings

    def _readings(self, file: "_EventFile", *, final: bool) -> Iterator[Reading]:
        for tag, step, value, wall_time in file.read(final=final):
            if self._has_room(tag):
                self._place(tag, file)
                at = wall_time if math.isfinite(wall_time) else None
                yield Reading(tag, step, value, self._request.elapsed_s(at), file.rank)
            else:
                self.remarks.saw(tag)

    def _has_room(self, tag: str) -> bool:
        known = tag in self._folders or tag in self._request.metrics
        return known or len(self._folders) < _MOST_TAGS

    def _place(self, tag: str, file: "_EventFile") -> None:
        """Remember where the tag is; note it when a wanted one is in two kinds of folder."""
        folders = self._folders.setdefault(tag, {})
        if file.rank in folders:
            return
        folders[file.rank] = file.name.parent.as_posix()
        if len(folders) > 1 and tag in self._request.metrics:
            best, *others = (repr(folders[rank]) for rank in sorted(folders))
            self.remarks.note(
                f"{tag!r} was written in {best} and in {', '.join(others)}; "
                f"the values in {best} count."
            )


class _Scalar(NamedTuple):
    tag: str
    step: int
    value: float
    wall_time: float


class _EventFile:
    """One event file, and how its program has counted steps so far.

    Attributes:
        name: Its path below the working directory.
        rank: 0 in a folder for evaluation, 2 in one for training, 1 in any other.
    """

    def __init__(self, path: Path, name: Path) -> None:
        self.name = name
        self.rank = _rank(name.parent.as_posix().lower())
        self._records = RecordFile(path)
        self._restarts = 0
        self._steps = Steps()
        self._last_given: dict[str, int] = {}

    @property
    def damaged_at(self) -> int | None:
        """The byte at which the last look met a wrong checksum, or None."""
        return self._records.damaged_at

    def read(self, *, final: bool) -> Iterator[_Scalar]:
        """Yield the new scalars, with steps that are not negative."""
        for record in self._records.read(final=final):
            if self._restarts != self._records.restarts:
                self._restarts = self._records.restarts
                self._steps = Steps()
                self._last_given = {}
            event = parse_event(record)
            if event is not None and event.step >= 0:
                for tag, value in event.scalars:
                    yield _Scalar(tag, self._step(tag, event.step), value, event.wall_time)

    def _step(self, tag: str, given: int) -> int:
        """Return the step; one more than the last where the program gives none.

        Writers that are given no step write 0 every time. A single 0 is a step like any other.
        """
        counted = given > 0 or self._last_given.get(tag) != 0
        self._last_given[tag] = given
        return self._steps.place([tag], given if counted else None)


def _rank(folder: str) -> int:
    if _EVALUATION.search(folder):
        return 0
    return 2 if _TRAINING.search(folder) else 1
