"""Vertex AI's HyperparameterTuningJob."""

from tunesmith.service.call import Call
from tunesmith.service.fronts.google import orders
from tunesmith.service.fronts.google.documents import Document
from tunesmith.service.fronts.google.earlier import with_own_names
from tunesmith.service.fronts.google.orders import Wanted
from tunesmith.service.fronts.google.papers import Paper
from tunesmith.service.fronts.google.states import Standing
from tunesmith.service.fronts.google.trials import curves_of, trial_document
from tunesmith.service.fronts.google.vertex import job_router
from tunesmith.service.fronts.google.web import Web
from tunesmith.specs.google import read_request

__all__ = ["router"]


def _read(call: Call, body: object, now: float) -> Wanted:
    found = read_request("tuning job", body, now=now)
    assert found.spec is not None, "a tuning job searches something"
    orders.check_runs_jobs(call)
    spec = with_own_names(call, found.spec)
    orders.check_searchable(spec)
    return Wanted("tuning job", found, spec)


def _results(paper: Paper, stands: Standing, web: Web) -> Document:
    if stands.changes is None or not stands.changes.trials:
        return {}
    spec, curves = stands.changes.record.spec, curves_of(stands.changes)
    uris_of = web.of(paper)
    trials = []
    for trial in stands.changes.trials:
        document = trial_document(paper, spec, trial, curves.get(trial.number, ()))
        if trial.started is not None and (uris := uris_of(trial.number)):
            document["webAccessUris"] = uris
        trials.append(document)
    return {"trials": trials}


router = job_router("hyperparameterTuningJobs", _read, _results)
