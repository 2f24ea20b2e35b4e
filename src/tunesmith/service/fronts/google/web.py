"""Where a browser finds what a job's replicas printed, for clients that ask for web access to them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import Depends, Request

from tunesmith.execution.cluster import replicas
from tunesmith.service.fronts.google.papers import Kind, Paper
from tunesmith.specs.google import Document, read_request
from tunesmith.specs.google.message import camel

__all__ = ["Shown", "Web", "task_names"]

_DOCUMENTS: dict[Kind, Document] = {
    "hyperparameterTuningJobs": "tuning job",
    "customJobs": "custom job",
    "jobs": "training job",
}
_INNER = ("trialJobSpec", "jobSpec", "trainingInput")


@dataclass(frozen=True, slots=True)
class Web:
    """The server's addresses.

    Attributes:
        base: The address under which the client has come, with a ``/`` at its end.
    """

    base: str

    def of(self, paper: Paper) -> Callable[[int], dict[str, str]]:
        """Return what gives an address for each replica of a trial, by its name.

        It gives none unless the job asks for web access. The trial is 0 for a job that tunes nothing.
        """
        if not _wants_access(paper):
            return lambda _: {}
        project = paper.parent.split("/")[1]
        place = f"{self.base}v2/projects/{quote(project, safe='')}/logs/{quote(paper.id, safe='')}"
        names = task_names(paper)

        def uris(number: int) -> dict[str, str]:
            trial = {"trial": number} if number else {}
            return {name: f"{place}?{urlencode({**trial, 'task': name})}" for name in names}

        return uris


def task_names(paper: Paper) -> list[str]:
    """Return the names of a job's replicas, the primary's first."""
    found = read_request(_DOCUMENTS[paper.kind], paper.document, now=paper.created)
    assert found.job is not None, "what was handed in says what runs"
    return [replica.name for replica in replicas(found.job)]


def _wants_access(paper: Paper) -> bool:
    for inner in _INNER:
        value = _field(_field(paper.document, inner), "enableWebAccess")
        if value is True or str(value).lower() == "true":
            return True
    return False


def _field(message: object, name: str) -> Any:
    """Return a field of a message, however it is spelt."""
    if not isinstance(message, dict):
        return None
    return next((value for key, value in message.items() if camel(key) == name), None)


def _web(request: Request) -> Web:
    return Web(str(request.base_url))


Shown = Annotated[Web, Depends(_web)]
"""The server's addresses, as the client of a request knows them."""
