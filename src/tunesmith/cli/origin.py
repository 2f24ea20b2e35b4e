"""Where a study comes from that one of Google's documents made: what it is called there, and the document.

A server keeps what its clients sent. What a file said that `tunesmith run` read lies in the study's
folder on the machine that ran it.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tunesmith.errors import NotFoundError, StorageError
from tunesmith.execution import study_directory
from tunesmith.storage import Storage, files_root, is_remote
from tunesmith.study import Study

if TYPE_CHECKING:
    from tunesmith.storage.http_client import HttpClient

__all__ = [
    "Origin",
    "keep_document",
    "origin_at",
    "origin_of",
    "origins",
    "served_origins",
    "study_called",
]

_FILE = "origin.json"
_KINDS = {
    "hyperparameterTuningJobs": "tuning job of Vertex AI",
    "customJobs": "custom job of Vertex AI",
    "jobs": "job of Cloud ML Engine",
    "studies": "study of Vizier",
}
_FORMS = {
    "cmle": "jobs",
    "vertex": "hyperparameterTuningJobs",
    "vizier": "studies",
    "optimizer": "studies",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a study comes from, or a job of a server's that tunes nothing.

    Attributes:
        study: The study; of such a job, what its folder is called.
        kind: What it is, by the word in Google's names, such as ``hyperparameterTuningJobs``.
        title: What whoever made it called it; ``""`` if it had no name.
        name: Its whole name there; ``""`` of a file's.
        file: The file that said it; ``""`` of what a client sent.
        job: The server's job that runs it; ``""`` for none.
        state: How it stands, in Google's words; ``""`` if that was not asked for, or of a file's.
        document: The text of the document; ``""`` if that was not asked for.
    """

    study: str
    kind: str
    title: str = ""
    name: str = ""
    file: str = ""
    job: str = ""
    state: str = ""
    document: str = ""

    @property
    def tunes(self) -> bool:
        """Whether it could be a study: only a custom job never is."""
        return self.kind != "customJobs"

    @property
    def names(self) -> tuple[str, ...]:
        """By what it may be called: its whole name there, the number in that, and its title."""
        return tuple(filter(None, (self.name, self.name.rpartition("/")[2], self.title)))

    @property
    def words(self) -> str:
        """What it is, for people: ``tuning job of Vertex AI "digits"``."""
        kind = _KINDS.get(self.kind, self.kind)
        return f'{kind} "{self.title}"' if self.title else kind

    @property
    def whole(self) -> str:
        """The same with its whole name or file, and its state."""
        parts = [self.words, self.name or self.file, self.state]
        return ", ".join(part for part in parts if part)

    def to_json(self) -> Mapping[str, object]:
        """Return it as plain data, as ``--json`` prints it."""
        return {key: value for key, value in asdict(self).items() if key != "study"}


def keep_document(study: Study, file: Path | None) -> None:
    """Keep in a new study's folder which of Google's documents made it, if its file is one.

    Args:
        study: The study; one that has trials already keeps what made it.
        file: Its file; None if it has none.

    Raises:
        StorageError: the folder can't be written.
    """
    # Reading documents loads all that can be said in them; most commands only look.
    from tunesmith.specs.google import read_google  # noqa: PLC0415

    found = None if file is None or study.history.trials else read_google(file)
    if found is None or file is None:
        return
    text, kind = file.read_text(encoding="utf-8-sig"), _FORMS[found.form]
    origin = Origin(study.name, kind, found.title, file=str(file.absolute()), document=text)
    place = _place(study.storage, study.name)
    draft = place.with_name(f".{_FILE}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(asdict(origin)), encoding="utf-8")
        draft.replace(place)
    except OSError as error:
        msg = f"Can't write to the study's folder {place.parent}: {error.strerror}."
        raise StorageError(msg) from error


def origin_of(storage: Storage, study: str) -> Origin | None:
    """Return where a study comes from, with its state and document; None if no such document made it."""
    client = _client(storage)
    served = None if client is None else origin_at(client, study)
    return served or _of_folder(storage, study)


def origin_at(client: "HttpClient", study: str) -> Origin | None:
    """Return where a study at a server comes from, or a job that tunes nothing; see `origin_of`."""
    with contextlib.suppress(NotFoundError):
        name = quote(study, safe="", errors="replace")
        return _of_server(client.document("GET", f"/origins/{name}"))
    return None


def origins(storage: Storage) -> Mapping[str, Origin]:
    """Return where studies come from, by their names: those that one of Google's documents made."""
    client = _client(storage)
    found = {origin.study: origin for origin in served_origins(client)} if client else {}
    for study in storage.study_names():
        if study not in found and (origin := _of_folder(storage, study)) is not None:
            found[study] = replace(origin, document="")
    return found


def served_origins(client: "HttpClient") -> Iterator[Origin]:
    """Yield what clients of Google's have made at a server, also jobs that tune nothing."""
    yield from map(_of_server, client.document("GET", "/origins"))


def study_called(storage: Storage, text: str) -> str:
    """Return the study that Google's clients call so, by name, number or title; ``""`` if none is.

    Raises:
        NotFoundError: several are called so.
    """
    found = [
        origin.study
        for origin in origins(storage).values()
        if origin.tunes and text in origin.names
    ]
    if len(found) > 1:
        msg = f"{text!r} may be any of: {', '.join(sorted(found)[:8])}."
        raise NotFoundError(msg)
    return found[0] if found else ""


def _of_server(document: Mapping[str, Any]) -> Origin:
    sent = document.get("document")
    return Origin(
        study=document["study"],
        kind=document["kind"],
        title=document["title"],
        name=document["name"],
        job=document["job"],
        state=document.get("state", ""),
        document="" if sent is None else json.dumps(sent, indent=2, ensure_ascii=False),
    )


def _of_folder(storage: Storage, study: str) -> Origin | None:
    try:
        return Origin(**json.loads(_place(storage, study).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # there is none, or it was not written by this version
        return None


def _place(storage: Storage, study: str) -> Path:
    return study_directory(files_root(storage.url), study) / _FILE


def _client(storage: Storage) -> "HttpClient | None":
    if not is_remote(storage.url):
        return None
    from tunesmith.storage.remote import RemoteStorage  # noqa: PLC0415 - loads an HTTP client

    assert isinstance(storage, RemoteStorage)
    return storage.client
