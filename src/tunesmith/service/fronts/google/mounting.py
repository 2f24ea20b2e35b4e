"""The front as a part of the server: all its routes, and the imitation of Cloud Storage beside them."""

from fastapi import APIRouter, Depends, FastAPI

from tunesmith.service.call import needs
from tunesmith.service.fronts.google import (
    custom_jobs,
    logs,
    operations,
    orders,
    projects,
    studies,
    study_trials,
    training_jobs,
    trial_operations,
    tuning_jobs,
)
from tunesmith.service.parts import Parts
from tunesmith.service.storage_api import storage_router

__all__ = ["mount_google", "routers"]

_VERTEX = (tuning_jobs, custom_jobs, study_trials, studies, trial_operations, operations)


def mount_google(app: FastAPI, parts: Parts) -> None:
    """Add the front to an app."""
    for prefix, router in routers():
        app.include_router(router, prefix=prefix, include_in_schema=False)
    buckets = parts.settings.buckets or parts.settings.data / "buckets"
    objects = storage_router(buckets)
    app.include_router(objects, include_in_schema=False, dependencies=[Depends(needs("write"))])
    orders.prepare(parts)


def routers() -> list[tuple[str, APIRouter]]:
    """Return the routers of jobs and studies, each with what stands before its paths."""
    vertex = [(prefix, part.router) for prefix in ("/v1", "/v1beta1") for part in _VERTEX]
    return [
        *vertex,
        # The clients ask here for operations and places, first of all.
        ("/ui", trial_operations.router),
        ("/ui", operations.router),
        ("/v1", training_jobs.router),
        ("", logs.router),
        ("", projects.router),
    ]
