"""Vertex AI's CustomJob: a program that runs once, and tunes nothing."""

from tunesmith.service.call import Call
from tunesmith.service.fronts.google import orders
from tunesmith.service.fronts.google.documents import Document
from tunesmith.service.fronts.google.orders import Wanted
from tunesmith.service.fronts.google.papers import Paper
from tunesmith.service.fronts.google.states import Standing
from tunesmith.service.fronts.google.vertex import job_router
from tunesmith.service.fronts.google.web import Web
from tunesmith.specs.google import read_request

__all__ = ["router"]


def _read(call: Call, body: object, now: float) -> Wanted:
    found = read_request("custom job", body, now=now)
    orders.check_runs_jobs(call)
    return Wanted("custom job", found)


def _results(paper: Paper, stands: Standing, web: Web) -> Document:
    uris = web.of(paper)(0) if stands.job.started is not None else {}
    return {"webAccessUris": uris} if uris else {}


router = job_router("customJobs", _read, _results)
