"""Which of Google's documents a text or a request is, and what it says.

A file is recognised by its content: ``trainingInput`` is a job of Cloud ML Engine, ``studySpec`` with
``trialJobSpec`` one of Vertex AI, ``studySpec`` alone a study of Vizier, ``jobSpec`` or
``workerPoolSpecs`` a job that tunes nothing. A file, but no request, may have a section for this machine.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from tunesmith.specs.faults import Faults, Span
from tunesmith.specs.google.findings import Findings
from tunesmith.specs.google.jobs import GoogleJob
from tunesmith.specs.google.message import Message, camel
from tunesmith.specs.google.plain import tree
from tunesmith.specs.google.study_config import read_optimizer_study
from tunesmith.specs.google.study_spec import Searched, read_study_spec
from tunesmith.specs.google.training_input import read_training_job
from tunesmith.specs.google.tuning_job import (
    read_custom_job_document,
    read_custom_job_spec,
    read_study_document,
    read_tuning_job,
)
from tunesmith.specs.located import Listing, Node, Table, compose
from tunesmith.specs.site import take_section

__all__ = ["Document", "parse_google", "read_google", "read_request"]

Document = Literal[
    "training job",
    "training input",
    "tuning job",
    "custom job",
    "custom job spec",
    "study",
    "study spec",
    "optimizer study",
]

_WORDS = (
    "input",
    "spec",
    "config",
    "hyperparameters",
    "parameterid",
    "parameter_id",
)  # one is in each
_SIGNS: tuple[tuple[tuple[str, ...], Document], ...] = (
    (("trainingInput",), "training job"),
    (("trialJobSpec",), "tuning job"),
    (("studySpec", "maxTrialCount"), "tuning job"),
    (("studySpec", "parallelTrialCount"), "tuning job"),
    (("studySpec",), "study"),
    (("jobSpec",), "custom job"),
    (("workerPoolSpecs",), "custom job spec"),
    (("studyConfig",), "optimizer study"),
)
_SEARCH = ("params", "goal", "maxTrials", "resumePreviousJobId", "hyperparameterMetricTag")


def read_google(path: Path, *, now: float | None = None) -> GoogleJob | None:
    """Return what the file at ``path`` says; None if it is none of Google's documents, or unreadable.

    Raises:
        SpecError: it is one, and has faults; each with its field and its place.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None
    return parse_google(text, path, now=now)


def parse_google(text: str, path: Path, *, now: float | None = None) -> GoogleJob | None:
    """Return what a text says as if it were the file at ``path``; see `read_google`."""
    if not any(word in text.lower() for word in _WORDS):
        return None
    faults = Faults(text.splitlines(), file=str(path))
    root = compose(text, faults)
    document = _recognised(root)
    if document is None:
        return None
    assert isinstance(root, Table), "only a mapping is recognised"
    bare, site = take_section(root, faults, path)
    found = _read(document, bare, Findings(faults), time.time() if now is None else now)
    faults.check()
    assert found is not None, "without faults there is a job"
    return replace(found, site=site, place=faults.place(root.at))


def read_request(document: Document, body: object, *, now: float) -> GoogleJob:
    """Return what the body of a request says, as plain data.

    Raises:
        SpecError: it has faults; `violations` gives the field of each.
    """
    faults = Faults([])
    findings = Findings(faults)
    found: GoogleJob | None = None
    if not isinstance(body, Mapping):
        findings.fault("", "a mapping is needed", Span(0, 0), code="E101")
    else:
        try:
            root = tree(body)
        except ValueError as error:
            findings.fault("", str(error), Span(0, 0), code="E101")
        else:
            assert isinstance(root, Table), "a mapping is one"
            found = _read(document, root, findings, now, whole=True)
    faults.check()
    assert found is not None, "without faults there is a job"
    return found


def _read(
    document: Document, root: Table, findings: Findings, now: float, *, whole: bool = False
) -> GoogleJob | None:
    message = Message(root, findings)
    match document:
        case "training job" | "training input":
            bare = document == "training input"
            found = read_training_job(message, bare=bare, whole=whole)
        case "tuning job":
            found = read_tuning_job(message, now=now, whole=whole)
        case "custom job":
            found = read_custom_job_document(message)
        case "custom job spec":
            found = read_custom_job_spec(message)
        case "study":
            found = read_study_document(message, now=now, whole=whole)
        case "optimizer study":
            found = read_optimizer_study(message)
        case "study spec":
            found = _study(read_study_spec(message, now=now), findings)
    return found


def _study(searched: Searched | None, findings: Findings) -> GoogleJob | None:
    if searched is None:
        return None
    lost = tuple(findings.lost.found)
    return GoogleJob("vizier", spec=searched.spec, names=searched.names, lost=lost)


def _recognised(root: Node | None) -> Document | None:
    if not isinstance(root, Table):
        return None
    nodes = {camel(key): entry.node for key, entry in root.entries.items()}
    for keys, document in _SIGNS:
        if all(key in nodes for key in keys):
            return document
    if _has(nodes.get("hyperparameters"), _SEARCH):
        return "training input"
    parameters = nodes.get("parameters")
    listed = parameters.items if isinstance(parameters, Listing) else ()
    return "study spec" if listed and all(_has(p, ("parameterId",)) for p in listed) else None


def _has(node: Node | None, names: tuple[str, ...]) -> bool:
    keys = {camel(key) for key in node.entries} if isinstance(node, Table) else set()
    return bool(keys & set(names))
