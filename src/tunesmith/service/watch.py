"""Who watches studies change: one look at the database a second serves all who watch a project.

What a client of this server changes is told at once; the look finds what others change in the database.
Who is slow misses nothing but the steps in between: a subscription holds the latest revision of each
study, not a queue.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from fastapi.concurrency import run_in_threadpool

from tunesmith.errors import StorageError
from tunesmith.storage import ServedStorage

__all__ = ["News", "Watch"]

_LOG = logging.getLogger("tunesmith.service")

_LOOK_S = 1.0
_PAUSE_S = 0.05  # between two looks: who changes a lot is not looked at each time
_BEAT_S = 15.0

News = Mapping[str, int | None]
"""The revisions of studies that have changed, by name; None for one that is gone."""


@dataclass(slots=True, eq=False)
class _Subscription:
    """One who watches: all studies of a project, or one."""

    study: str | None
    news: dict[str, int | None] = field(default_factory=dict)
    called: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, news: News) -> None:
        for name, revision in news.items():
            if self.study in (None, name):
                self.news[name] = revision
                self.called.set()


@dataclass(slots=True, eq=False)
class _Lookout:
    """Looks at the studies of one project while somebody watches them."""

    storage: ServedStorage
    subscribers: set[_Subscription] = field(default_factory=set)
    known: Mapping[str, int] | None = None
    nudged: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None

    async def look(self) -> None:
        """Look again and again."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.nudged.wait(), _LOOK_S)
            self.nudged.clear()
            try:
                found = await run_in_threadpool(self.storage.revisions)
            except StorageError:  # it may come back; whoever asks for something hears of it
                _LOG.warning("the database did not say what has changed")
                continue
            known = self.known or {}
            changed: dict[str, int | None] = {
                name: revision for name, revision in found.items() if known.get(name) != revision
            }
            changed |= dict.fromkeys(known.keys() - found.keys())
            self.known = found
            for subscriber in self.subscribers if changed else ():
                subscriber.tell(changed)
            await asyncio.sleep(_PAUSE_S)


class Watch:
    """Tells of studies that have changed. Lives in the event loop; only `nudge` may come from anywhere."""

    def __init__(self) -> None:
        self._lookouts: dict[str, _Lookout] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False
        self.count = 0

    async def news(self, storage: ServedStorage, study: str | None = None) -> AsyncIterator[News]:
        """Yield what has changed, until the server ends; nothing has every now and then.

        The first time it is all there is.

        Args:
            storage: The studies of a project.
            study: The only study that matters; None for all of them.
        """
        self._loop = asyncio.get_running_loop()
        own = _Subscription(study)
        lookout = self._lookouts.get(storage.project)
        if lookout is None:
            lookout = self._lookouts[storage.project] = _Lookout(storage)
            lookout.task = asyncio.create_task(lookout.look())
        lookout.subscribers.add(own)
        self.count += 1
        try:
            found = await run_in_threadpool(storage.revisions)
            if lookout.known is None:  # what goes from now on is missed by the first look otherwise
                lookout.known = found
            own.tell(found if study is None or study in found else {study: None})
            while not self._ended:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(own.called.wait(), _BEAT_S)
                if self._ended:
                    return
                own.called.clear()
                news, own.news = own.news, {}
                yield news
        finally:
            self.count -= 1
            lookout.subscribers.discard(own)
            if not lookout.subscribers and lookout.task is not None:
                lookout.task.cancel()
                self._lookouts.pop(storage.project, None)

    def nudge(self, project: str) -> None:
        """Say that something may have changed in a project. May be called from any thread."""
        lookout = self._lookouts.get(project)
        if lookout is not None and self._loop is not None and not lookout.nudged.is_set():
            with contextlib.suppress(RuntimeError):  # the loop has ended, and all who watched
                self._loop.call_soon_threadsafe(lookout.nudged.set)

    def end(self) -> None:
        """End all subscriptions."""
        self._ended = True
        for lookout in self._lookouts.values():
            for subscriber in lookout.subscribers:
                subscriber.called.set()
