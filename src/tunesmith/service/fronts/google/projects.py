"""Cloud Resource Manager's projects, of which clients ask what a project's id is.

Any project of Google's that a client names is there: it is a word in the addresses of what the client makes,
and has nothing to do with the projects of this server.
"""

import hashlib
import re
from typing import Annotated

from fastapi import Depends, Response

from tunesmith.errors import NotFoundError
from tunesmith.service.call import Reader, answer
from tunesmith.service.strict import Router

__all__ = ["router"]

router = Router(tags=["google"])

_VERB = re.compile(r":[a-z]+[A-Z]")


def _named(project: str) -> str:
    if _VERB.search(project) or not project.isprintable():
        msg = f"There is no project {project[:100]!r}."
        raise NotFoundError(msg)
    return project


_Named = Annotated[str, Depends(_named)]


@router.get("/v3/projects/{project}")
def get(project: _Named, call: Reader) -> Response:  # noqa: ARG001
    """Answer with a project."""
    return answer(
        {
            "name": f"projects/{_number(project)}",
            "projectId": project,
            "displayName": project,
            "state": "ACTIVE",
        }
    )


@router.get("/v1/projects/{project}")
def get_older(project: _Named, call: Reader) -> Response:  # noqa: ARG001
    """Answer with a project, in the words of the first version."""
    return answer(
        {
            "projectNumber": _number(project),
            "projectId": project,
            "name": project,
            "lifecycleState": "ACTIVE",
        }
    )


def _number(project: str) -> str:
    """Return the number of a project: always the same for the same id, and a number's own."""
    if re.fullmatch(r"[1-9]\d{0,18}", project):
        return project
    return str(int(hashlib.sha256(project.encode()).hexdigest(), 16) % (9 * 10**11) + 10**11)
