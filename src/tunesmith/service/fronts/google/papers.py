"""What clients sent to make a job or a study, kept as it was, a file for each.

All else about it, its state and its trials, is in the storage; so a paper is written once, and deleted
with what it is about.
"""

import fcntl
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from tunesmith.errors import NotFoundError
from tunesmith.specs.google.message import camel

__all__ = ["Kind", "Paper", "Papers", "new_id"]

_LONGEST = 200

Kind = Literal["hyperparameterTuningJobs", "customJobs", "jobs", "studies", "titles"]
"""What a paper is about; ``titles`` has the studies again, by the names that clients gave them."""


@dataclass(frozen=True, slots=True)
class Paper:
    """What a client sent.

    Attributes:
        kind: What it made, by the word in its address.
        id: Its name there.
        parent: What it belongs to: ``projects/P/locations/L``, or ``projects/P``.
        study: The study; of a job that tunes nothing, the name of its trial's folder.
        document: What was sent.
        created: When, in seconds since the epoch.
        job: The server's job that runs it; ``""`` for none.
        names: Names of the study's parameters that differ from the client's.
        tunes: Whether there is a study at all.
        labels: Labels that were changed since; None if none were.
        deleted: Numbers of trials that the client no longer wants to see.
        request: Which request made it, if that had a key.
    """

    kind: Kind
    id: str
    parent: str
    study: str
    document: Mapping[str, Any]
    created: float
    job: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    tunes: bool = True
    labels: Mapping[str, str] | None = None
    deleted: Sequence[int] = ()
    request: str = ""

    @property
    def name(self) -> str:
        """Its whole name."""
        return f"{self.parent}/{self.kind}/{self.id}"

    @property
    def is_older(self) -> bool:
        """Whether it is a study of the older optimizer API."""
        return any(camel(key) == "studyConfig" for key in self.document)


class Papers:
    """The papers of one project.

    Args:
        folder: Where they are; made by the first one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, paper: Paper, *, new: bool = False) -> bool:
        """Keep a paper; return False, and keep the old one, if it is to be new and is not."""
        place = self._place(paper.kind, paper.parent, paper.id)
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=place.parent, prefix=".")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(asdict(paper), file, ensure_ascii=False)
                file.flush()
                os.fsync(file.fileno())
            if not new:
                Path(part).replace(place)
                return True
            try:
                os.link(part, place)
            except FileExistsError:
                return False
            return True
        finally:
            Path(part).unlink(missing_ok=True)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Let one request at a time change papers by what they were, as long as the block lasts."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def get(self, kind: Kind, id_: str, parent: str) -> Paper:
        """Return a paper; raise `NotFoundError` if there is none."""
        paper = self._read(self._place(kind, parent, id_))
        if paper is None:
            msg = f"There is no {parent}/{kind}/{id_[:100]}."
            raise NotFoundError(msg)
        return paper

    def find(self, kind: Kind, id_: str) -> Paper | None:
        """Return a paper whatever its parent; None if there is none."""
        places = (self._folder / kind).glob("*/")
        found = (self._read(place / _file(id_)) for place in sorted(places))
        return next((paper for paper in found if paper is not None), None)

    def all(self, kind: Kind, parent: str) -> Sequence[Paper]:
        """Return the papers of a kind, the newest first."""
        places = self._place(kind, parent, "").parent.glob("[!.]*.json")
        found = [paper for place in places if (paper := self._read(place)) is not None]
        return sorted(found, key=lambda paper: (-paper.created, paper.id))

    def everywhere(self, kind: Kind) -> Iterator[Paper]:
        """Yield the papers of a kind, whatever they belong to, in no order."""
        for place in (self._folder / kind).glob("*/[!.]*.json"):
            if (paper := self._read(place)) is not None:
                yield paper

    def remove(self, paper: Paper) -> None:
        """Forget a paper."""
        self._place(paper.kind, paper.parent, paper.id).unlink(missing_ok=True)
        if paper.job:
            self.ledger(paper).unlink(missing_ok=True)

    def ledger(self, paper: Paper) -> Path:
        """Return the file in which it is noted when a job's lines came."""
        return self._folder / "ledgers" / _file(paper.job)

    def _read(self, place: Path) -> Paper | None:
        try:
            return Paper(**json.loads(place.read_text(encoding="utf-8")))
        except (FileNotFoundError, OSError):  # no such name, or none that a file could have
            return None

    def _place(self, kind: Kind, parent: str, id_: str) -> Path:
        return self._folder / kind / _plain(parent) / _file(id_)


def _file(id_: str) -> str:
    return f"{_plain(id_)}.json"


def _plain(text: str) -> str:
    """Return a name of a file; none that a client can give leads out of its folder, or hides in it."""
    plain = quote(text, safe="").replace(".", "%2E")
    return plain if len(plain) <= _LONGEST else hashlib.sha256(text.encode()).hexdigest()


def new_id() -> str:
    """Return a number for a new resource, as Google numbers them."""
    return str(secrets.randbelow(9 * 10**18) + 10**18)
