"""Analyses that take seconds: made by one thread at a time, kept until a trial ends, shared by who asks at once."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from fastapi.concurrency import run_in_threadpool

from tunesmith.model import History, StudyRecord, Trial
from tunesmith.reporting import Importance, importance_document

__all__ = ["Analyses"]

_KEPT = 64

Document = Mapping[str, object]


class Analyses:
    """Makes analyses. Its methods are called in the server's one event loop."""

    def __init__(self) -> None:
        self._found: OrderedDict[object, asyncio.Task[Document]] = OrderedDict()
        self._turn = asyncio.Lock()

    async def importance(
        self,
        project: str,
        record: StudyRecord,
        trials: Sequence[Trial],
        metric: str | None,
        top: float | None,
    ) -> Document:
        """Return what `Study.importance` says, as plain data.

        Args:
            project: The study's project.
            record: The study.
            trials: All its trials.
            metric: See there; likewise the next.
            top: See there.
        """
        ended = max((t.revision for t in trials if t.is_final), default=0)
        key = (project, record.name, record.created, ended, metric, top)
        task = self._found.get(key)
        if task is None:
            task = asyncio.create_task(self._analyse(record, trials, metric, top))
            self._found[key] = task
            if len(self._found) > _KEPT:
                self._found.popitem(last=False)
        try:
            # Who leaves does not take it from the others.
            return await asyncio.shield(task)
        except Exception:
            self._found.pop(key, None)
            raise

    async def _analyse(
        self, record: StudyRecord, trials: Sequence[Trial], metric: str | None, top: float | None
    ) -> Document:
        async with self._turn:
            return await run_in_threadpool(_importance, record, trials, metric, top)


def _importance(
    record: StudyRecord, trials: Sequence[Trial], metric: str | None, top: float | None
) -> Document:
    from tunesmith.search.importance import analyse  # noqa: PLC0415 - loads scipy

    analysis = analyse(History(record.spec, trials), metric, top)
    return importance_document(Importance.of(analysis, record.spec.space))
