"""Studies made by HTTP: a small document, with the keys of the native file."""

import json
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from fastapi import Body, Response

from tunesmith.model import check_study_name
from tunesmith.service.call import Writer, answer
from tunesmith.service.faults import Refused
from tunesmith.service.routes.parameters import StudyName
from tunesmith.service.strict import Router
from tunesmith.specs import check_stopping, parse_study
from tunesmith.storage.wire import RecordDocument, record_document
from tunesmith.study import Study

__all__ = ["router"]

router = Router(prefix="/studies", tags=["tune"])

_EXAMPLE = {
    "minimize": "loss",
    "max_trials": 50,
    "parameters": {
        "learning_rate": {"type": "double", "min": 1e-4, "max": 0.1, "scale": "log"},
        "units": [64, 128, 512],
    },
}
_LONGEST = 10_000
_PROGRAM = ("values_as", "directory", "environment", "metrics", "limits", "resources", "retries")


@router.put("/{study}", response_model=RecordDocument, responses={201: {"model": RecordDocument}})
def make_or_continue(
    study: StudyName,
    body: Annotated[dict[str, object], Body(examples=[_EXAMPLE])],
    call: Writer,
) -> Response:
    """Make a study, or continue the one of that name: up to `max_trials` where that is more than it had.

    The document has the keys of the native file: `parameters`, `minimize` or `maximize`, `algorithm`,
    `stopping`, `max_trials`, … What only matters where a program is started has no place here;
    `command` is a text for people to read. Answers 201 if the study is new.
    """
    check_study_name(study)
    command = body.pop("command", "")
    own = body.pop("study", study)
    if own != study or not isinstance(command, str) or len(command) > _LONGEST:
        message = f"study is {study!r}, as in the path, or left out; command is a text."
        raise Refused(422, "RequestError", message)
    if foreign := [key for key in _PROGRAM if key in body]:
        message = (
            f"A server only keeps the study; {', '.join(foreign)} belong to a file that is run."
        )
        raise Refused(422, "RequestError", message)
    plan = parse_study(json.dumps(body, indent=1), Path(f"{study}.json"))
    spec = plan.spec if plan.seed_given else replace(plan.spec, seed=secrets.randbits(32))
    check_stopping(spec, plan.places)
    is_new = study not in call.storage.revisions()
    if is_new:
        call.refuse_more_studies()
    with call.once():
        made = Study.from_spec(spec, name=study, storage=call.storage, command=command)
        made.refresh()
    return answer(record_document(made.record), 201 if is_new else 200)
