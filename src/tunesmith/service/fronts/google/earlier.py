"""Earlier studies that a client names by its own words: a job's id, a study's number."""

from dataclasses import replace

from tunesmith.errors import NotFoundError
from tunesmith.model import StudySpec
from tunesmith.service.call import Call
from tunesmith.service.fronts.google.faults import fault
from tunesmith.service.fronts.google.orders import papers_of
from tunesmith.service.fronts.google.papers import Kind

__all__ = ["own_name_of", "with_own_names"]

_KINDS: tuple[Kind, ...] = ("jobs", "studies", "hyperparameterTuningJobs")


def own_name_of(call: Call, theirs: str, field: str) -> str:
    """Return the name of an earlier study; raise `SpecError` if there is none."""
    papers = papers_of(call)
    for kind in _KINDS:
        paper = papers.find(kind, theirs)
        if paper is not None and paper.tunes:
            return paper.study
    try:
        return call.storage.study(theirs).name
    except NotFoundError:
        raise fault(field, f"there is no earlier job or study {theirs!r}") from None


def with_own_names(call: Call, spec: StudySpec, field: str = "") -> StudySpec:
    """Return a study whose earlier ones are named as they are here."""
    where = field or "studySpec.transferLearningConfig.priorStudyNames"
    names = [own_name_of(call, name, where) for name in spec.warm_start]
    return replace(spec, warm_start=tuple(dict.fromkeys(names)))
