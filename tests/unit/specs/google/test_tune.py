"""What one of Google's files comes to on this machine: a study with a job, or one clear error."""

from dataclasses import replace
from pathlib import Path

import pytest

from tunesmith.errors import NotFoundError, SpecError
from tunesmith.model import Objective, StudySpec
from tunesmith.model.job import Job, Package, Pool
from tunesmith.space import Double, Space
from tunesmith.specs.google import Continuation, GoogleJob, check_runs, tune_file, with_command

SPEC = StudySpec(Space({"lr": Double(0, 1)}), (Objective("loss", "minimize"),))
PACKAGE = Pool(package=Package("trainer.task", ("gs://b/t.tar.gz",)), args=("--epochs=3",))
COMMAND = ("python", "mine.py", "--fast")
GIVEN = Pool(command=("python",), args=("mine.py", "--fast"))


def nothing_earlier(name: str) -> StudySpec:
    raise NotFoundError(name)


def test_a_file_gives_its_job_as_it_is() -> None:
    job = Job((PACKAGE, replace(PACKAGE, replicas=9)), "cmle", output="gs://b/census")

    tune = tune_file(GoogleJob("cmle", spec=SPEC, job=job), Path("f.yaml"), nothing_earlier)

    assert tune.job == job


def test_the_limits_of_a_job_are_those_of_a_program() -> None:
    pool = Pool(image="gcr.io/p/t", args=("-v",))
    job = Job((pool,), "vertex", restart="never", time_limit_s=60)

    tune = tune_file(GoogleJob("vertex", spec=SPEC, job=job), Path("f.yaml"), nothing_earlier)

    assert tune.program is not None
    assert tune.program.command == ("gcr.io/p/t", "-v")
    assert (tune.program.retries, tune.program.resources.time_limit_s) == (0, 60)


def test_a_given_command_runs_in_place_of_the_primarys_and_keeps_its_variables() -> None:
    job = Job((Pool(image="gcr.io/p/t", environment={"A": "1"}),), "vertex")

    assert with_command(job, COMMAND).pools == (replace(GIVEN, environment={"A": "1"}),)


def test_pools_that_run_the_same_as_the_primary_or_nothing_run_the_command_too() -> None:
    trainer = Pool(image="gcr.io/p/t")
    reducer = Pool(2, image="gcr.io/p/reduce")
    empty = Pool(0)

    alike = Job((trainer, replace(trainer, replicas=9), empty, reducer), "vertex")
    of_seed = Job((Pool(), Pool(9), Pool(3)), "cmle")

    assert with_command(alike, COMMAND).pools == (GIVEN, replace(GIVEN, replicas=9), empty, reducer)
    assert {pool.command for pool in with_command(of_seed, COMMAND).pools} == {("python",)}


def test_a_job_with_nothing_to_run_asks_for_a_command() -> None:
    with pytest.raises(SpecError, match="what to tune and not what to run") as caught:
        check_runs(Job((PACKAGE, Pool(2)), "cmle"))

    assert "behind --" in caught.value.problems[0].message


def test_a_file_without_a_name_gives_the_study_its_own(tmp_path: Path) -> None:
    job = Job((PACKAGE,), "vertex")

    def name_of(title: str, file: str) -> str:
        found = GoogleJob("vertex", title, SPEC, job)
        return tune_file(found, tmp_path / file, nothing_earlier).name

    assert name_of("wide & deep", "hp.yaml") == "wide-deep"
    assert name_of("", "hp.yaml") == "hp"
    assert name_of("", "config.yaml") == tmp_path.name


def test_a_study_of_vizier_has_nothing_to_run(tmp_path: Path) -> None:
    tune = tune_file(GoogleJob("vizier", spec=SPEC), tmp_path / "s.json", nothing_earlier)

    assert (tune.program, tune.job) == (None, None)


def test_a_job_that_resumes_goes_on_with_the_study_of_that_name(tmp_path: Path) -> None:
    job = Job((PACKAGE,), "cmle")
    resumed = GoogleJob("cmle", "next", job=job, resumes=Continuation("census_1", 30))

    tune = tune_file(resumed, tmp_path / "f.yaml", {"census_1": SPEC}.__getitem__)

    assert tune.spec == replace(SPEC, max_trials=30, warm_start=("census_1",))


def test_a_job_that_resumes_nothing_that_is_here_says_so(tmp_path: Path) -> None:
    resumed = GoogleJob("cmle", job=Job((PACKAGE,), "cmle"), resumes=Continuation("census_1", 30))

    with pytest.raises(NotFoundError, match="census_1"):
        tune_file(resumed, tmp_path / "f.yaml", nothing_earlier)
