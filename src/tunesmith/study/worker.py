"""Names of workers that tell, on the same machine, whether the process behind them still lives.

A name is ``host:pid:place:birth:nonce``. ``place`` stands for the machine and its process
namespace; ``birth`` for the boot and the start of the process, since process numbers come again.
"""

import hashlib
import os
import platform
import secrets
import uuid
from pathlib import Path

__all__ = ["is_dead", "own_name"]


_UNKNOWN = "?"


def own_name() -> str:
    """Return a new name for a worker in this process."""
    pid = os.getpid()
    host = platform.node().replace(":", "_")[:60]
    return f"{host}:{pid}:{_place()}:{_birth(pid)}:{secrets.token_hex(3)}"


def is_dead(name: str) -> bool:
    """Whether the process behind a worker's name has ended; False where that can't be known from here."""
    parts = name.split(":")
    if len(parts) != 5 or not parts[1].isdigit():
        return False
    _, pid, place, birth, _ = parts
    return place == _place() and _birth(int(pid)) not in (birth, _UNKNOWN)


def _place() -> str:
    try:
        machine = Path("/etc/machine-id").read_text().strip()
    except OSError:
        machine = f"{uuid.getnode():x}"
    try:
        # Containers may share all else, yet can't see each other's processes.
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - not a path
    except OSError:
        namespace = ""
    text = f"{machine} {platform.node()} {namespace}"
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _birth(pid: int) -> str:
    """Return a stamp of the process with this number; ``""`` if there is none, ``"?"`` if unknown."""
    try:
        # Field 22, counted after the name in parentheses, which may hold blanks.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    except FileNotFoundError:
        if not Path("/proc/self/stat").exists():
            return _birth_elsewhere(pid)
        return _UNKNOWN if _may_live(pid) else ""
    except OSError:
        return _UNKNOWN
    state, start = fields[0], fields[19]
    return "" if state in "ZX" else f"{boot}.{start}"


def _birth_elsewhere(pid: int) -> str:
    import psutil  # noqa: PLC0415 - only where there is no /proc

    try:
        return f"{psutil.Process(pid).create_time():.2f}"
    except psutil.NoSuchProcess:
        return ""
    except psutil.AccessDenied:
        return _UNKNOWN


def _may_live(pid: int) -> bool:
    """Whether there may be a process that ``/proc`` hides from us, as it may hide other users' ones."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
