"""Whose turn it is to think about a study's next trials, when several machines ask for some at once.

A turn spares work and nothing else: who gets none in time thinks all the same.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

__all__ = ["Turns"]

_HOLD_S = 15.0  # a searcher thinks for less; who died holding a turn has lost it then
_LONGEST_LINE = 1000


@dataclass(slots=True)
class _Line:
    """Who has the turn, until when, and who waits for it."""

    holder: str = ""
    until: float = 0.0
    waiting: OrderedDict[str, "asyncio.Future[None]"] = field(default_factory=OrderedDict)


class Turns:
    """Gives turns, in the order in which they are asked for. Lives in the event loop's thread."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], _Line] = {}

    async def take(self, topic: tuple[str, str], turn: str, wait_s: float) -> bool:
        """Wait for the turn; return whether it came in time.

        Args:
            topic: The project and the study.
            turn: What the asker calls its turn.
            wait_s: How long to wait at most.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        line = self._lines.setdefault(topic, _Line())
        while line.holder not in ("", turn) and loop.time() < line.until:
            left_s = min(deadline, line.until) - loop.time()
            if left_s <= 0 or len(line.waiting) >= _LONGEST_LINE:
                return False
            called: asyncio.Future[None] = loop.create_future()
            line.waiting[turn] = called
            try:
                await asyncio.wait([called], timeout=left_s)
            finally:
                if line.waiting.get(turn) is called:
                    del line.waiting[turn]
            if called.cancelled() or (loop.time() >= deadline and line.holder != turn):
                return False
        line.holder, line.until = turn, loop.time() + _HOLD_S
        self._lines[topic] = line  # it may have been cleared away meanwhile
        return True

    def give_back(self, topic: tuple[str, str], turn: str) -> None:
        """End a turn, and call the next; or leave the line."""
        line = self._lines.get(topic)
        if line is None:
            return
        if line.holder != turn:
            if (waiting := line.waiting.pop(turn, None)) is not None:
                waiting.cancel()
            return
        if not line.waiting:
            del self._lines[topic]
            return
        line.holder, called = line.waiting.popitem(last=False)
        line.until = asyncio.get_running_loop().time() + _HOLD_S
        if not called.done():
            called.set_result(None)
