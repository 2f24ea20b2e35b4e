"""What one of Google's files comes to on this machine: a study with a job, or one clear error."""

from dataclasses import replace
from pathlib import Path

import pytest

from tunesmith.errors import NotFoundError, SpecError
from tunesmith.model import Objective, StudySpec
from tunesmith.model.job import Job, Package, Pool
from tunesmith.space import Double, Space
from tunesmith.specs.google import (
    Continuation,
    GoogleJob,
    check_runs,
    single_job,
    tune_file,
    with_command,
)
from tunesmith.specs.google.jobs import Stated
from tunesmith.specs.site import SiteSection

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
    with pytest.raises(SpecError, match="does not say what to run") as caught:
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

    with pytest.raises(
        SpecError, match="resumePreviousJobId: there is no study 'census_1'"
    ) as caught:
        tune_file(
            resumed, tmp_path / "f.yaml", nothing_earlier, known=lambda: ["census_10", "digits"]
        )

    assert caught.value.problems[0].hint == "did you mean 'census_10'?"


def test_a_job_that_resumes_may_say_again_what_the_earlier_one_said(tmp_path: Path) -> None:
    own = Stated(SPEC.space, SPEC.objective.metric, SPEC.objective.goal)
    resumes = Continuation("census_1", 30, own=own)
    resumed = GoogleJob("cmle", job=Job((PACKAGE,), "cmle"), resumes=resumes)

    tune = tune_file(resumed, tmp_path / "f.yaml", {"census_1": SPEC}.__getitem__)

    assert tune.spec == replace(SPEC, max_trials=30, warm_start=("census_1",))


@pytest.mark.parametrize(
    "own",
    [
        Stated(space=Space({"other": Double(0, 1)})),
        Stated(metric="other"),
        Stated(goal="maximize"),
    ],
)
def test_a_job_that_resumes_one_with_other_parameters_or_another_metric_is_refused(
    own: Stated, tmp_path: Path
) -> None:
    resumes = Continuation("census_1", 30, own=own)
    resumed = GoogleJob("cmle", job=Job((PACKAGE,), "cmle"), resumes=resumes)

    with pytest.raises(SpecError, match="has other parameters or another metric") as caught:
        tune_file(resumed, tmp_path / "f.yaml", {"census_1": SPEC}.__getitem__)

    assert "tunesmith run --from census_1" in caught.value.problems[0].hint


def test_a_job_that_tunes_nothing_runs_once_with_what_its_file_says_of_the_machine(
    tmp_path: Path,
) -> None:
    job = Job((PACKAGE,), "cmle", time_limit_s=60.0)
    site = SiteSection(project="mine")
    found = GoogleJob("cmle", "train it", job=job, project="theirs", region="r", site=site)

    single = single_job(found, tmp_path / "f.yaml")

    assert single is not None
    assert (single.name, single.job) == ("train-it", job)
    assert single.program.resources.time_limit_s == 60
    assert single.site == SiteSection(project="mine", region="r")
    with pytest.raises(SpecError, match="there is nothing to tune"):
        tune_file(found, tmp_path / "f.yaml", nothing_earlier)


def test_a_job_that_tunes_something_is_no_single_one(tmp_path: Path) -> None:
    job = Job((PACKAGE,), "cmle")
    resumed = GoogleJob("cmle", job=job, resumes=Continuation("census_1", 30))

    assert single_job(GoogleJob("cmle", spec=SPEC, job=job), tmp_path / "f.yaml") is None
    assert single_job(resumed, tmp_path / "f.yaml") is None
    assert single_job(GoogleJob("vizier", spec=SPEC), tmp_path / "f.yaml") is None


def test_a_converted_file_that_still_lacks_its_image_asks_for_one() -> None:
    unfinished = Pool(image="IMAGE_URI")

    with pytest.raises(SpecError, match="still says IMAGE_URI"):
        check_runs(Job((unfinished,), "vertex"))

    check_runs(Job((replace(unfinished, command=("python", "train.py")),), "vertex"))
