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
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, cast

from tunesmith.errors import SpecError, TunesmithError
from tunesmith.execution import Ended, Outcome, mirrored
from tunesmith.execution.buckets import Buckets
from tunesmith.execution.images import image_entry
from tunesmith.execution.job import Identity, JobExecutor
from tunesmith.execution.stages import Site
from tunesmith.model import MetricReading, Objective, Resources, StudySpec, StudyState, Trial
from tunesmith.model.job import Job
from tunesmith.space import Categorical, Space
from tunesmith.specs.google import Document, read_request
from tunesmith.storage import open_storage
from tunesmith.study import Study
from tunesmith.study.worker import own_name
from tunesmith.tuner import LEASE_S, Haste, Tuner
from tunesmith.tuner.events import Event, Note, TrialEnded, TrialStarted

__all__ = ["SITE", "main"]

SITE = "TUNESMITH_GOOGLE_SITE"
"""The variable in which it finds what this machine has for jobs."""

_DONE, _FAILED, _STUDY_FAILED, _TERMINATED = 0, 1, 5, 143
_RETRIES = 2
# Neither service looks at what a program prints.
_READING = MetricReading(("report", "hypertune", "tensorboard"))
# A job that tunes nothing has one trial, of nothing.
_NOTHING = StudySpec(
    Space({"nothing": Categorical(["nothing"])}), (Objective("nothing", "minimize"),)
)


def main(file: str, name: str) -> int:
    """Run the order in a file; return the exit status."""
    order = json.loads(Path(file).read_text(encoding="utf-8"))
    try:
        found = read_request(cast("Document", order["document"]), order["body"], now=time.time())
        assert found.job is not None, "an order says what runs"
        tunes = found.spec is not None or found.resumes is not None
        identity = Identity(**order["identity"], tuning=tunes)
        with _site(found.labels) as site:
            if not tunes:
                return _run_alone(name, found.job, identity, site)
            return _tune(name, found.job, identity, site, first_decides=order["first_decides"])
    except SpecError as error:
        _say("; ".join(problem.message for problem in error.problems))
    except TunesmithError as error:
        _say(str(error))
    return _FAILED


@contextmanager
def _site(labels: Mapping[str, str]) -> Iterator[Site]:
    """Give what this machine has; programs that want ``gs://`` addresses find a server for them."""
    given = json.loads(os.environ[SITE])
    root = Path(given["buckets"])
    server: AbstractContextManager[Any] = nullcontext(None)
    if labels.get("tunesmith_addresses") == "gs":
        from tunesmith.service.storage_server import StorageServer  # noqa: PLC0415 - loads FastAPI

        server = StorageServer(root)
    with server as serving:
        yield Site(
            Buckets(root, "" if serving is None else serving.url),
            Path(given["environments"]),
            tuple(image_entry(pattern, meant) for pattern, meant in given["images"]),
        )


def _root() -> Path:
    """Return the folder with the trials' directories."""
    return Path(json.loads(os.environ[SITE])["trials"])


def _tune(name: str, job: Job, identity: Identity, site: Site, *, first_decides: bool) -> int:
    storage = open_storage(None)
    study = Study.from_spec(storage.study(name).spec, name=name, storage=storage, lease_s=LEASE_S)
    executor = JobExecutor(
        job,
        identity,
        site,
        study=name,
        spec=study.spec,
        root=_root(),
        worker=study.worker,
        resources=Resources(),
    )
    tuner = Tuner(
        study,
        mirrored(executor, storage, study.record, say=_say),
        retries=0 if job.restart == "never" else _RETRIES,
        reading=_READING,
        observe=_tell,
        first_decides=first_decides,
    )
    with _signals(lambda: tuner.hurry(Haste.STOP)):
        tuner.work()
    study.refresh()
    summary = storage.summary(name)
    if tuner.haste and summary.record.state is StudyState.ACTIVE:
        return _TERMINATED
    if summary.record.state is StudyState.FAILED:
        _say(summary.record.reason)
        return _STUDY_FAILED
    if summary.best is None and summary.done and summary.record.state is not StudyState.STOPPED:
        last = storage.trials(name, order="newest", limit=1)[0]
        _say(f"no trial succeeded; the last one: {last.reason}")
        return _STUDY_FAILED
    return _DONE


def _run_alone(name: str, job: Job, identity: Identity, site: Site) -> int:
    """Run a job that tunes nothing, once."""
    executor = JobExecutor(
        job,
        identity,
        site,
        study=name,
        spec=_NOTHING,
        root=_root(),
        worker=own_name(),
        resources=Resources(),
    )
    trial = Trial(1, {}, attempt=1)
    retries = 0 if job.restart == "never" else _RETRIES
    try:
        with _signals(lambda: executor.stop(1, Outcome.INTERRUPTED, "it was asked to end")):
            while True:
                executor.start(trial)
                ended = _awaited(executor)
                if ended.outcome is not Outcome.LOST or trial.attempt > retries:
                    break
                trial = replace(trial, attempt=trial.attempt + 1)
    finally:
        executor.close()
    if ended.outcome is Outcome.SUCCEEDED:
        return _DONE
    _say(ended.reason)
    return _TERMINATED if ended.outcome is Outcome.INTERRUPTED else _FAILED


def _awaited(executor: JobExecutor) -> Ended:
    while True:
        event = executor.wait(1.0)
        if isinstance(event, Ended):
            return event


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
