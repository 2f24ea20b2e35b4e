"""Which files a server keeps of each trial, as a role."""

from typing import Protocol

from tunesmith.storage.manifest import Manifest, StoredFile

__all__ = ["Files"]


class Files(Protocol):
    """The files of the trials of one project; their contents are elsewhere, by hash."""

    def manifest(self, study: str, number: int) -> Manifest:
        """Return a trial's files; raise `NotFoundError` if there is no such trial."""
        ...

    def replace(self, study: str, number: int, manifest: Manifest) -> None:
        """Have a trial's files be these, and no others.

        Raises:
            NotFoundError: there is no such trial.
            LeaseLostError: another attempt has the trial by now.
        """
        ...

    def put(self, study: str, number: int, path: str, file: StoredFile, attempt: int) -> None:
        """Add a file to a trial's, or exchange it; raises what `replace` raises."""
        ...

    def remove(self, study: str, number: int, path: str | None = None) -> bool:
        """Remove a file of a trial, or all; return whether there was one."""
        ...

    def digests(self) -> frozenset[str]:
        """Return the hashes of all contents that are used."""
        ...
