"""What whoever starts a server decides: where it listens, whom it believes, how much it takes."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

__all__ = ["Limits", "Settings", "is_loopback"]

_KIB, _MIB, _GIB = 2**10, 2**20, 2**30


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a server takes from those who ask.

    Attributes:
        body_bytes: The largest body of a request; files have a limit of their own.
        depth: How deeply JSON may be nested.
        headers: How many headers a request may have.
        header_bytes: How long its first line and its headers may be together.
        requests_per_s: How many requests one token may make in a second, on average.
        burst: How many at once.
        attempts_per_minute: How many wrong tokens one address may try.
        studies: How many studies a project may have.
        trials_per_request: How many trials one request may add or ask for.
        header_s: Seconds that a client has to send its headers.
        body_s: Seconds within which every 64 KiB of a body have to come.
        connections: How many connections there may be at once.
        streams: How many event streams there may be at once.
        upload_bytes: The largest file.
        project_bytes: How much all files of a project may take.
        log_bytes: The longest log of a trial.
    """

    body_bytes: int = 8 * _MIB
    depth: int = 64
    headers: int = 100
    header_bytes: int = 32 * _KIB
    requests_per_s: float = 2000.0
    burst: int = 4000
    attempts_per_minute: int = 30
    studies: int = 10_000
    trials_per_request: int = 1000
    header_s: float = 10.0
    body_s: float = 30.0
    connections: int = 2000
    streams: int = 500
    upload_bytes: int = 64 * _GIB
    project_bytes: int = 1024 * _GIB
    log_bytes: int = 256 * _MIB


@dataclass(frozen=True, slots=True)
class Settings:
    """How a server is started.

    Attributes:
        host: The address on which it listens.
        port: The port; 0 for any that is free.
        base_path: What stands before every path, such as ``/tunesmith``; ``""`` for nothing.
        allowed_hosts: Names by which it may be addressed, beside addresses and those of its machine;
            ``*.example.org`` for all below, ``*`` for any.
        trusted_proxies: Addresses or networks of proxies whose word on the client is believed.
        data: The folder of files and jobs.
        executor: What runs submitted jobs: ``local``, or ``none`` for nothing.
        workers: How many jobs run at once.
        buckets: The folder that stands for Cloud Storage, with a folder for each bucket; None for one
            in the data folder.
        images: What runs in place of container images: pairs of an image, or a pattern, and a folder or
            command.
        session_s: How long a browser stays logged in.
        grace_s: How long requests under way may take when the server is told to end.
        limits: How much it takes.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    base_path: str = ""
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    data: Path = field(default_factory=lambda: Path(".tunesmith", "server"))
    executor: str = "none"
    workers: int = 1
    buckets: Path | None = None
    images: tuple[tuple[str, str], ...] = ()
    session_s: float = 12 * 3600.0
    grace_s: float = 10.0
    limits: Limits = field(default_factory=Limits)

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine can reach it."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own, reachable from nowhere else."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
