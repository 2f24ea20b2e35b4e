"""What is answered about the trials of Vizier's studies, in the words of the study's API."""

import re
from collections.abc import Callable

from tunesmith.errors import NotFoundError
from tunesmith.model import Trial
from tunesmith.service.call import Call
from tunesmith.service.fronts.google.documents import Document
from tunesmith.service.fronts.google.older import older_trial_document
from tunesmith.service.fronts.google.papers import Paper
from tunesmith.service.fronts.google.trials import curves_of, trial_document

__all__ = ["document_of", "documents_of", "teller", "trial_of"]


def trial_of(call: Call, paper: Paper, text: str) -> Trial:
    """Return the trial that a text names; raise `NotFoundError` if there is none."""
    if not re.fullmatch(r"[1-9]\d{0,8}", text) or int(text) in paper.deleted:
        msg = f"There is no {paper.name}/trials/{text[:50]}."
        raise NotFoundError(msg)
    return call.storage.trial(paper.study, int(text))


def document_of(call: Call, paper: Paper, number: int) -> Document:
    """Return what a trial is answered as."""
    trial = call.storage.trial(paper.study, number)
    curve = call.storage.measurements(paper.study, number)
    return teller(paper)(paper, call.storage.study(paper.study).spec, trial, curve)


def documents_of(call: Call, paper: Paper) -> list[Document]:
    """Return what all trials are answered as that their client wants to see."""
    changes = call.storage.changes(paper.study, -1, curves=True)
    curves, tell = curves_of(changes), teller(paper)
    return [
        tell(paper, changes.record.spec, trial, curves.get(trial.number, ()))
        for trial in changes.trials
        if trial.number not in paper.deleted
    ]


def teller(paper: Paper) -> Callable[..., Document]:
    """Return what writes trials in the words of a study's API."""
    return older_trial_document if paper.is_older else trial_document
