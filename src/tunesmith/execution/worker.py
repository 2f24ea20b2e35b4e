"""The process in which training functions run: one trial after another, each with its own output.

Started as ``python -m tunesmith.execution.worker FD``; FD is a socket to the tuner.
"""

import io
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType

from tunesmith.errors import TrialInfeasible, TrialPaused, TrialStopped
from tunesmith.execution.live import LiveTrial, call
from tunesmith.execution.messages import Answer, Hello, Raised, Report, Returned, Run, Signalled
from tunesmith.execution.workdir import CHECKPOINTS
from tunesmith.study import check_metrics

__all__ = ["main"]


def main() -> None:
    """Serve the tuner until it hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the tuner's to handle
    signal.signal(signal.SIGTERM, _leave)
    for stream in (sys.stdout, sys.stderr):  # a line is kept as soon as it is printed
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    connection = Connection(int(sys.argv[1]))
    # The tuner learns of this process's end when the last copy of the connection closes.
    os.register_at_fork(after_in_child=connection.close)
    function: Callable[..., object] | None = None
    failure = ""
    try:
        hello: Hello = connection.recv()
        names: frozenset[str] = frozenset()
        sys.path[:] = hello.path
        while True:
            run: Run = connection.recv()
            with _output_to(Path(run.directory)):
                if function is None and not failure:
                    function, names, failure = _load(hello.function)
                os.environ.update(run.variables)
                end = (
                    Raised(failure) if function is None else _run(function, names, run, connection)
                )
            connection.send(end)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _load(pickled: bytes) -> tuple[Callable[..., object] | None, frozenset[str], str]:
    try:
        function, names = pickle.loads(pickled)  # noqa: S301 - our own tuner pickled it
    except BaseException as error:
        traceback.print_exc()
        return None, frozenset(), f"the function could not be loaded: {_words(error)}"
    return function, names, ""


def _run(
    function: Callable[..., object], names: frozenset[str], run: Run, connection: Connection
) -> Returned | Signalled | Raised:
    directory = Path(run.directory)
    started = time.monotonic()
    asking = threading.Lock()  # training code may report from several threads

    def send(step: int | None, metrics: Mapping[str, float]) -> Answer:
        with asking:
            connection.send(Report(step, metrics, time.monotonic() - started))
            answer: Answer = connection.recv()
        return answer

    checkpoints = directory / CHECKPOINTS
    trial = LiveTrial(run.number, run.values, directory, checkpoints, run.budget, send)
    try:
        return Returned(_metrics(call(function, trial, names)))
    except TrialPaused as signalled:
        return Signalled("paused", str(signalled))
    except TrialStopped as signalled:
        return Signalled("stopped", str(signalled))
    except TrialInfeasible as signalled:
        return Signalled("infeasible", str(signalled) or "the program said so")
    except _Leaving:
        raise
    except SystemExit as error:
        return Raised(f"the function left by sys.exit({error.code!r})")
    except BaseException as error:  # also KeyboardInterrupt, which is nobody's but the function's
        traceback.print_exc()
        return Raised(_words(error))


def _metrics(returned: object) -> dict[str, float]:
    if returned is None:
        return {}
    if isinstance(returned, Mapping):
        return check_metrics({str(name): value for name, value in returned.items()})
    return {"": check_metrics({"result": returned})["result"]}


@contextmanager
def _output_to(directory: Path) -> Iterator[None]:
    """Send this process's standard output and error to files, also what C libraries print."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(file, number)
        os.close(file)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


class _Leaving(SystemExit):
    """The tuner asked this process to end."""


def _leave(_number: int, _frame: FrameType | None) -> None:
    # Not the default action, so that the function's `finally` blocks save what they have.
    raise _Leaving(143)  # as a shell reports SIGTERM


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__


if __name__ == "__main__":
    main()
