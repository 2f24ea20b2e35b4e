"""Where a server keeps the files of each project, below its data folder.

projects/<project>/blobs, uploads     files by the hash of their content
projects/<project>/outputs            what trials printed
projects/<project>/jobs               the code and the output of jobs
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from tunesmith.service.allowance import Allowance
from tunesmith.service.blobs import Blobs
from tunesmith.service.outputs import Outputs
from tunesmith.service.settings import Settings

__all__ = ["Shelf", "Shelves"]


@dataclass(frozen=True, slots=True)
class Shelf:
    """The files of one project.

    Attributes:
        project: The project.
        folder: Where they all are.
        allowance: How many bytes they may have.
        blobs: Those that are known by the hash of their content.
        outputs: What its trials printed.
    """

    project: str
    folder: Path
    allowance: Allowance
    blobs: Blobs
    outputs: Outputs

    @property
    def jobs(self) -> Path:
        """The folder of its jobs."""
        return self.folder / "jobs"


class Shelves:
    """The files of all projects.

    Args:
        settings: The server's settings: where the files are, how many there may be.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.data / "projects"
        self._limits = settings.limits
        self._lock = threading.Lock()
        self._shelves: dict[str, Shelf] = {}

    def of(self, project: str) -> Shelf:
        """Return a project's files; nothing is made on the disk before something comes."""
        with self._lock:
            if project not in self._shelves:
                self._shelves[project] = self._shelf(project)
            return self._shelves[project]

    def projects(self) -> Sequence[str]:
        """Return the projects that have files on the disk."""
        return sorted(unquote(folder.name) for folder in self._folder.glob("*"))

    def bytes(self) -> int:
        """Return how many bytes the projects' files have that were asked for since the start."""
        with self._lock:
            shelves = list(self._shelves.values())
        return sum(shelf.allowance.used for shelf in shelves)

    def _shelf(self, project: str) -> Shelf:
        # Projects have names like studies, so this changes nothing; it is the lock on the door.
        folder = self._folder / quote(project, safe="").replace(".", "%2E")
        allowance = Allowance(folder, self._limits.project_bytes)
        return Shelf(
            project,
            folder,
            allowance,
            Blobs(folder, largest=self._limits.upload_bytes, allowance=allowance),
            Outputs(folder / "outputs", largest=self._limits.log_bytes, allowance=allowance),
        )
