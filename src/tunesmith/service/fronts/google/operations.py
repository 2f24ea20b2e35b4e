"""Operations: all that clients ask for is done at once, so an operation has ended before it is named.

Its name holds what is needed to answer for it again, and the server remembers none.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import Response

from tunesmith.service.call import Reader, answer
from tunesmith.service.fronts.google.documents import Document
from tunesmith.service.fronts.google.papers import new_id
from tunesmith.service.strict import Router

__all__ = ["EMPTY", "deleted", "done", "router"]

router = Router(tags=["google"])

_TYPE = "type.googleapis.com/"
_METADATA = "google.cloud.aiplatform.v1.DeleteOperationMetadata"
EMPTY: Mapping[str, Any] = {"@type": f"{_TYPE}google.protobuf.Empty"}


def done(
    name: str, response: Mapping[str, Any], metadata: str = _METADATA, **more: object
) -> Document:
    """Return an operation that has ended.

    Args:
        name: Its name.
        response: What came of it, with its type.
        metadata: The type of what is said beside.
        **more: What is said beside.
    """
    return {
        "name": name,
        "metadata": {"@type": _TYPE + metadata, **more},
        "done": True,
        "response": dict(response),
    }


def deleted(parent: str) -> Document:
    """Return the operation that has deleted something."""
    return done(f"{parent}/operations/{new_id()}", EMPTY)


@router.get("/projects/{project}/locations/{location}/operations")
def get_operations(project: str, location: str, call: Reader) -> Response:  # noqa: ARG001
    """List the operations that have not ended: none."""
    return answer({})


@router.get("/projects/{project}/locations/{location}")
def get_location(project: str, location: str, call: Reader) -> Response:  # noqa: ARG001
    """Answer with a place, which is this server whatever its name."""
    return answer(_location(project, location))


@router.get("/projects/{project}/locations")
def get_locations(project: str, call: Reader) -> Response:  # noqa: ARG001
    """List the places."""
    return answer({"locations": [_location(project, "us-central1")]})


def _location(project: str, location: str) -> Document:
    return {"name": f"projects/{project}/locations/{location}", "locationId": location}
