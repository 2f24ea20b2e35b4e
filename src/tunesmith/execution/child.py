"""Starts processes that end with the tuner, however the tuner ends."""

import contextlib
import errno
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from tunesmith.execution import reaper
from tunesmith.execution.mark import MARK, OWNER
from tunesmith.execution.tree import kill_marked, sweep

__all__ = ["Nursery"]


class Nursery:
    """Starts processes, each leading a session and group of its own, and has the reaper watch them.

    Args:
        owner: The tuner's name; by it, all its processes are known.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._reaper: subprocess.Popen[bytes] | None = None
        self._children: dict[int, subprocess.Popen[bytes]] = {}
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
            environment: All its variables, but for the marks.
            mark: The directory by whose mark its processes are known.
            directory: Where it runs.
            stdout: Where its standard output goes.
            stderr: Where its standard error goes.
            files: File descriptors it inherits beside these.

        Raises:
            OSError: the program can't be started.
        """
        with self._lock:
            self._watch()  # before the process starts, so that no moment is unwatched
        try:
            process = subprocess.Popen(
                words,
                cwd=directory,
                env={**environment, MARK: str(mark), OWNER: self._owner},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                pass_fds=files,
                start_new_session=True,
            )
        except ValueError as error:  # a sign that no process can be given, such as NUL
            raise OSError(errno.EINVAL, str(error), words[0]) from error
        with self._lock:
            self._children[process.pid] = process
            self._note(f"+{process.pid}\n")
        return process

    @staticmethod
    def outlast(process: subprocess.Popen[bytes]) -> None:
        """Wait until a process has ended, and kill what is left of its group.

        Where the system allows, its number stays taken until `bury`, so that nothing else can have it.
        """
        if hasattr(os, "waitid"):
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        else:
            process.wait()
        sweep(process.pid)

    def bury(self, process: subprocess.Popen[bytes]) -> int:
        """Return the exit status of a process that has ended, and forget it."""
        status = process.wait()
        with self._lock:
            if self._children.pop(process.pid, None) is not None:
                self._note(f"-{process.pid}\n")
        return status

    def close(self) -> None:
        """Kill what left its group, such as daemons, and what nobody has outlasted; let the reaper go."""
        with self._lock:
            if self._reaper is not None:
                kill_marked(owner=self._owner)
                while self._children:
                    pid, process = self._children.popitem()
                    sweep(pid)
                    process.wait()
                self._note(".\n")
                self._dismiss(self._reaper)
                self._reaper = None

    def _watch(self) -> None:
        """Start a reaper if there is none, or if it was killed."""
        before = self._reaper
        if before is not None and before.poll() is None:
            return
        self._reaper = subprocess.Popen(
            [sys.executable, "-I", "-S", reaper.__file__, self._owner],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if before is not None:
            self._dismiss(before)
        self._note("".join(f"+{pid}\n" for pid in self._children))

    def _note(self, text: str) -> None:
        assert self._reaper is not None
        assert self._reaper.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it was killed; `_watch` starts another
            self._reaper.stdin.write(text.encode())

    @staticmethod
    def _dismiss(reaper: subprocess.Popen[bytes]) -> None:
        assert reaper.stdin is not None
        reaper.stdin.close()
        reaper.wait()
