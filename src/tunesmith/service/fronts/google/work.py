"""The process that runs a job of Google's clients: ``python -m tunesmith.service.fronts.google.work``.

It is to a job what ``tunesmith run`` is to a file. It finds the order in a file, its study at the server, and in
its environment what this machine has for it.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, cast

from tunesmith.errors import SpecError, TunesmithError
from tunesmith.execution import Outcome, mirrored
from tunesmith.execution.buckets import Buckets
from tunesmith.execution.images import image_entry
from tunesmith.execution.job import Identity, JobExecutor
from tunesmith.execution.single import NOTHING, SingleRun
from tunesmith.execution.stages import Site
from tunesmith.model import Program, StudySpec, StudyState
from tunesmith.model.job import Job
from tunesmith.specs.google import Document, read_request
from tunesmith.specs.google.local import job_program
from tunesmith.storage import open_storage
from tunesmith.study import Study
from tunesmith.study.worker import own_name
from tunesmith.tuner import LEASE_S, Haste, Tuner
from tunesmith.tuner.events import Event, Note, TrialEnded, TrialStarted

__all__ = ["SITE", "main"]

SITE = "TUNESMITH_GOOGLE_SITE"
"""The variable in which it finds what this machine has for jobs."""

_DONE, _FAILED, _STUDY_FAILED, _TERMINATED = 0, 1, 5, 143


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be run, under which name, and where."""

    name: str
    job: Job
    identity: Identity
    site: Site
    trials: Path

    @property
    def program(self) -> Program:
        """The limits of its trials, and where their metrics are: the same as for ``tunesmith run``."""
        return job_program(self.job)

    def executor(self, spec: StudySpec, worker: str) -> JobExecutor:
        return JobExecutor(
            self.job,
            self.identity,
            self.site,
            study=self.name,
            spec=spec,
            root=self.trials,
            worker=worker,
            resources=self.program.resources,
        )


def main(file: str, name: str) -> int:
    """Run the order in a file; return the exit status."""
    order = json.loads(Path(file).read_text(encoding="utf-8"))
    here = json.loads(os.environ[SITE])
    try:
        found = read_request(cast("Document", order["document"]), order["body"], now=time.time())
        assert found.job is not None, "an order says what runs"
        identity = Identity(**order["identity"], tuning=found.tunes)
        with _site(here, found.labels) as site:
            work = _Work(name, found.job, identity, site, Path(here["trials"]))
            if not found.tunes:
                return _run_once(work)
            return _tune(work, first_decides=order["first_decides"])
    except SpecError as error:
        _say("; ".join(problem.message for problem in error.problems))
    except TunesmithError as error:
        _say(str(error))
    return _FAILED


@contextmanager
def _site(here: Mapping[str, Any], labels: Mapping[str, str]) -> Iterator[Site]:
    """Give what this machine has; programs that want ``gs://`` addresses find a server for them."""
    root = Path(here["buckets"])
    with ExitStack() as stack:
        url = ""
        if labels.get("tunesmith_addresses") == "gs":
            from tunesmith.service.storage_server import StorageServer  # noqa: PLC0415 - loads FastAPI

            url = stack.enter_context(StorageServer(root)).url
        images = tuple(image_entry(pattern, meant) for pattern, meant in here["images"])
        yield Site(Buckets(root, url), Path(here["environments"]), images)


def _tune(work: _Work, *, first_decides: bool) -> int:
    storage = open_storage(None)
    spec = storage.study(work.name).spec
    study = Study.from_spec(spec, name=work.name, storage=storage, lease_s=LEASE_S)
    executor = work.executor(study.spec, study.worker)
    tuner = Tuner(
        study,
        mirrored(executor, storage, study.record, say=_say),
        retries=work.program.retries,
        reading=work.program.reading,
        observe=_tell,
        first_decides=first_decides,
    )
    with _signals(lambda: tuner.hurry(Haste.STOP)):
        tuner.work()
    study.refresh()
    summary = storage.summary(work.name)
    state = summary.record.state
    if tuner.haste and state in (StudyState.ACTIVE, StudyState.PAUSED):
        return _TERMINATED
    if state is StudyState.FAILED:
        _say(summary.record.reason)
        return _STUDY_FAILED
    if summary.best is None and summary.done and state is not StudyState.STOPPED:
        last = storage.trials(work.name, order="newest", limit=1)[0]
        _say(f"no trial succeeded; the last one: {last.reason}")
        return _STUDY_FAILED
    return _DONE


def _run_once(work: _Work) -> int:
    """Run a job that tunes nothing."""
    executor = work.executor(NOTHING, own_name())
    single = SingleRun(executor, retries=work.program.retries, again=_say)
    with _signals(single.hurry):
        ended = single.run()
    if ended.outcome is Outcome.SUCCEEDED:
        return _DONE
    _say(ended.reason)
    return _TERMINATED if ended.outcome is Outcome.INTERRUPTED else _FAILED


@contextmanager
def _signals(end: Callable[[], None]) -> Iterator[None]:
    """Have signals ask for the end."""

    def asked(_number: int, _frame: FrameType | None) -> None:
        end()

    wanted = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, asked) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(event: Event) -> None:
    match event:
        case TrialStarted(trial):
            _say(f"trial {trial.number} runs")
        case TrialEnded(trial):
            _say(f"trial {trial.number} {trial.state}: {trial.reason or dict(trial.metrics)}")
        case Note(text):
            _say(text)
        case _:
            pass


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
