"""Sends what trials print to a server, as it grows, in a thread of its own.

Nothing is kept in memory but places in files: what could not be sent yet waits on the disk.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tunesmith.errors import StorageError, TunesmithError
from tunesmith.execution.keeping import FileStore
from tunesmith.storage.manifest import OutputName, Stream

__all__ = ["OutputSender"]

_EVERY_S = 1.0
_AFTER_FAULT_S = 5.0
_PIECE = 256 * 1024
_PIECES = 16  # in a row; then the other trials have their turn
_STREAMS: tuple[Stream, ...] = ("stdout", "stderr")


@dataclass(slots=True, eq=False)
class _Stream:
    """An output file on its way."""

    output: OutputName
    directory: Path
    offset: int = 0
    ended: bool = False


class OutputSender:
    """Follows the outputs of a study's trials until all they printed has been sent.

    Args:
        store: Where they go.
        study: The study's name.
        say: Is told, in the sender's thread, of what is not sent.
    """

    def __init__(self, store: FileStore, *, study: str, say: Callable[[str], None]) -> None:
        self._store = store
        self._study = study
        self._say = say
        self._lock = threading.Lock()
        self._streams: list[_Stream] = []
        self._wake = threading.Event()
        self._closing = False
        self._said = False
        self._thread = threading.Thread(target=self._run, daemon=True, name="tunesmith-outputs")
        self._thread.start()

    def follow(self, number: int, attempt: int, directory: Path, *, ended: bool = False) -> None:
        """Send what an attempt prints from now on; ``ended`` if it prints no more."""
        with self._lock:
            self._streams += [
                _Stream(OutputName(number, attempt, name), directory, ended=ended)
                for name in _STREAMS
            ]

    def end(self, number: int) -> None:
        """Stop following a trial, once all it has printed has been sent."""
        with self._lock:
            for stream in self._streams:
                stream.ended = stream.ended or stream.output.number == number

    def move(self, number: int, attempt: int, directory: Path) -> None:
        """Look for what an ended attempt printed in another folder from now on."""
        with self._lock:
            for stream in self._streams:
                if (stream.output.number, stream.output.attempt) == (number, attempt):
                    stream.directory = directory

    def close(self, timeout_s: float) -> None:
        """Send what is left, for at most so long."""
        self._closing = True
        with self._lock:
            for stream in self._streams:
                stream.ended = True
        self._wake.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        pause_s = _EVERY_S
        while self._streams or not self._closing:
            if not self._closing or pause_s > _EVERY_S:
                self._wake.wait(pause_s)
                self._wake.clear()
            pause_s = _EVERY_S
            for stream in list(self._streams):
                try:
                    for _ in range(_PIECES):
                        if not self._send(stream):
                            break
                except StorageError as error:  # it can't be reached: all go on later
                    if not self._said:
                        self._said = True
                        self._say(f"what trials print waits to be sent: {error}")
                    pause_s = _AFTER_FAULT_S
                    break
                except TunesmithError as error:
                    self._drop(stream)
                    name = stream.output
                    self._say(
                        f"the {name.stream} of trial {name.number} is kept here only: {error}"
                    )

    def _send(self, stream: _Stream) -> bool:
        """Send the next piece of a stream; return whether there may be more."""
        ended = stream.ended  # before reading: what it printed until then is read now
        try:
            with (stream.directory / stream.output.stream).open("rb") as file:
                file.seek(stream.offset)
                data = file.read(_PIECE)
        except FileNotFoundError:
            data = b""
        if data:
            stream.offset = self._store.append(self._study, stream.output, stream.offset, data)
            return len(data) == _PIECE or ended
        if ended:
            self._drop(stream)
        return False

    def _drop(self, stream: _Stream) -> None:
        with self._lock:
            self._streams.remove(stream)
