"""What a process's exit status says about its trial."""

import errno
import signal
from pathlib import Path

from tunesmith.execution.base import Ended, Outcome
from tunesmith.execution.guard import Guard

__all__ = ["explain_exit", "explain_start", "last_line"]

_TAIL_BYTES = 8192

# Signals that a broken program brings upon itself; any other came from outside.
_OWN_FAULT = {
    signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS,
    signal.SIGTRAP, signal.SIGXCPU, signal.SIGXFSZ, signal.SIGPIPE, signal.SIGALRM,
}  # fmt: skip

# Starting the same program once more would end likewise.
_WRONG_PROGRAM = {
    errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EINVAL, errno.ENOEXEC, errno.E2BIG,
}  # fmt: skip


def explain_exit(number: int, status: int, guard: Guard, stderr: Path) -> Ended:
    """Return how a trial ended whose process had this exit status (negative for a signal)."""
    if guard.outcome is not None:
        return Ended(number, guard.outcome, guard.reason)
    if status == 0:
        return Ended(number, Outcome.SUCCEEDED)
    # A shell reports the signal that killed its program as 128 + its number.
    killed_by = -status if status < 0 else status - 128
    if killed_by in (signal.SIGKILL, signal.SIGTERM) or (
        status < 0 and killed_by not in _OWN_FAULT
    ):
        name = _signal_name(killed_by)
        if killed_by == signal.SIGTERM:
            return Ended(number, Outcome.PREEMPTED, f"preempted: {name} from outside")
        memory = "; the system may have run out of memory" if name == "SIGKILL" else ""
        return Ended(number, Outcome.LOST, f"killed from outside by {name}{memory}")
    how = f"died by {_signal_name(-status)}" if status < 0 else f"exit status {status}"
    words = last_line(stderr)
    return Ended(number, Outcome.FAILED, f"{how}: {words}" if words else how)


def explain_start(number: int, error: OSError) -> Ended:
    """Return how a trial ended whose process could not be started."""
    outcome = Outcome.FAILED if error.errno in _WRONG_PROGRAM else Outcome.LOST
    return Ended(number, outcome, f"it could not be started: {error}")


def last_line(path: Path) -> str:
    """Return the last line of a file that is not blank, shortened to 300 characters; ``""`` for none."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
