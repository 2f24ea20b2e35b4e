"""Operations: all that clients ask for is done at once, so an operation has ended before it is named.

Its name holds what is needed to answer for it again, in the words of the version of the API that its client
speaks: the server remembers none.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Depends, Request, Response

from tunesmith.service.call import Reader, answer
from tunesmith.service.fronts.google.documents import Document
from tunesmith.service.fronts.google.papers import new_id
from tunesmith.service.strict import Router

__all__ = [
    "EMPTY",
    "TYPE",
    "ApiVersion",
    "Version",
    "deleted",
    "deleted_before",
    "done",
    "message",
    "router",
]

ApiVersion = Literal["v1", "v1beta1"]

router = Router(tags=["google"])

TYPE = "type.googleapis.com/"
EMPTY: Mapping[str, Any] = {"@type": f"{TYPE}google.protobuf.Empty"}
_PROJECT = "/projects/{project}"
_PLACE = _PROJECT + "/locations/{location}"
_DELETED = re.compile(r"(b?)\d{1,30}")


def _version(request: Request) -> ApiVersion:
    path: str = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    return "v1beta1" if path.startswith("/v1beta1/") else "v1"


Version = Annotated[ApiVersion, Depends(_version)]
"""The version of Vertex AI's API that a request is made to."""


def message(version: ApiVersion, word: str) -> str:
    """Return the full name of one of Vertex AI's messages."""
    return f"google.cloud.aiplatform.{version}.{word}"


def done(name: str, response: Mapping[str, Any], metadata: str) -> Document:
    """Return an operation that has ended.

    Args:
        name: Its name.
        response: What came of it, with its type.
        metadata: The type of what could be said beside.
    """
    return {
        "name": name,
        "metadata": {"@type": TYPE + metadata},
        "done": True,
        "response": dict(response),
    }


def deleted(parent: str, version: ApiVersion) -> Document:
    """Return the operation that has deleted something."""
    mark = "b" if version == "v1beta1" else ""
    return _deleted(f"{parent}/operations/{mark}{new_id()}", version)


def deleted_before(parent: str, id_: str) -> Document | None:
    """Return the operation of that id that has deleted something; None if the id is none of such."""
    match = _DELETED.fullmatch(id_)
    if match is None:
        return None
    return _deleted(f"{parent}/operations/{id_}", "v1beta1" if match[1] else "v1")


def _deleted(name: str, version: ApiVersion) -> Document:
    return done(name, EMPTY, message(version, "DeleteOperationMetadata"))


@router.get(_PROJECT + "/operations")
@router.get(_PLACE + "/operations")
@router.get(_PLACE + "/studies/{id}/operations")
@router.get(_PLACE + "/studies/{id}/trials/{number}/operations")
@router.get(_PLACE + "/hyperparameterTuningJobs/{id}/operations")
@router.get(_PLACE + "/customJobs/{id}/operations")
def get_operations(call: Reader) -> Response:  # noqa: ARG001
    """List the operations that have not ended: none."""
    return answer({})


@router.get(_PLACE)
def get_location(project: str, location: str, call: Reader) -> Response:  # noqa: ARG001
    """Answer with a place, which is this server whatever its name."""
    return answer(_location(project, location))


@router.get(_PROJECT + "/locations")
def get_locations(project: str, call: Reader) -> Response:  # noqa: ARG001
    """List the places."""
    return answer({"locations": [_location(project, "us-central1")]})


def _location(project: str, location: str) -> Document:
    return {
        "name": f"projects/{project}/locations/{location}",
        "locationId": location,
        "displayName": location,
    }
