"""The front as a part of the server: all its routes, and the imitation of Cloud Storage beside them."""

from fastapi import Depends, FastAPI

from tunesmith.service.call import needs
from tunesmith.service.fronts.google import (
    custom_jobs,
    operations,
    orders,
    studies,
    study_trials,
    training_jobs,
    tuning_jobs,
)
from tunesmith.service.parts import Parts
from tunesmith.service.storage_api import storage_router

__all__ = ["mount_google"]

_VERTEX = (tuning_jobs, custom_jobs, study_trials, studies, operations)


def mount_google(app: FastAPI, parts: Parts) -> None:
    """Add the front to an app."""
    for prefix in ("/v1", "/v1beta1"):
        for module in _VERTEX:
            app.include_router(module.router, prefix=prefix, include_in_schema=False)
    # The clients ask here for operations, first of all places.
    app.include_router(study_trials.router, prefix="/ui", include_in_schema=False)
    app.include_router(training_jobs.router, prefix="/v1", include_in_schema=False)
    buckets = parts.settings.buckets or parts.settings.data / "buckets"
    objects = storage_router(buckets)
    app.include_router(objects, include_in_schema=False, dependencies=[Depends(needs("write"))])
    orders.prepare(parts)
