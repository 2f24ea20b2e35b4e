"""Starts processes that end with the tuner, however the tuner ends."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from tunesmith.execution import reaper

__all__ = ["Nursery"]


class Nursery:
    """Starts processes, each leading a session and group of its own, and has the reaper watch them."""

    def __init__(self) -> None:
        self._reaper: subprocess.Popen[bytes] | None = None
        self._groups: dict[int, str] = {}
        self._lock = threading.Lock()

    def start(
        self,
        words: Sequence[str],
        *,
        environment: Mapping[str, str],
        mark: Path,
        directory: str | None = None,
        stdout: BinaryIO | int = subprocess.DEVNULL,
        stderr: BinaryIO | int = subprocess.DEVNULL,
        files: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a process.

        Args:
            words: The program and its arguments.
            environment: All its variables.
            mark: The directory by whose mark its processes are known.
            directory: Where it runs.
            stdout: Where its standard output goes.
            stderr: Where its standard error goes.
            files: File descriptors it inherits beside these.

        Raises:
            OSError: the program can't be started.
        """
        process = subprocess.Popen(
            words,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=files,
            start_new_session=True,
        )
        with self._lock:
            self._groups[process.pid] = str(mark)
            self._note(f"+{process.pid} {mark}\n")
        return process

    def ended(self, process: subprocess.Popen[bytes]) -> None:
        """Note that a process and its group are gone."""
        with self._lock:
            del self._groups[process.pid]
            self._note(f"-{process.pid}\n")

    def close(self) -> None:
        """Let the reaper go."""
        with self._lock:
            if self._reaper is not None:
                assert self._reaper.stdin is not None
                self._reaper.stdin.close()
                self._reaper.wait()
                self._reaper = None

    def _note(self, line: str) -> None:
        if self._reaper is None or self._reaper.poll() is not None:
            self._reaper = subprocess.Popen(
                [sys.executable, "-I", "-S", reaper.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            line = "".join(f"+{pid} {mark}\n" for pid, mark in self._groups.items())
        assert self._reaper.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it was killed just now; the next note starts another
            self._reaper.stdin.write(line.encode())
            self._reaper.stdin.flush()
