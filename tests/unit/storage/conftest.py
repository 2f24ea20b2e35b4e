import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Process = subprocess.Popen[str]
Start = Callable[..., Process]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a Python program as a process of its own; none outlives the test."""
    started: list[Process] = []

    def go(program: str, *args: str | Path) -> Process:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", program, *map(str, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield go
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def release() -> Callable[..., None]:
    """Lets processes that have said "ready" go on, all at the same moment."""

    def go(*processes: Process) -> None:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.communicate()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()

    return go
