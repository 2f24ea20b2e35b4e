import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.errors import SpecError
from tunesmith.execution.buckets import Buckets
from tunesmith.execution.images import ImageEntry
from tunesmith.execution.slots import Slot
from tunesmith.execution.stages import Place, Site, Stage
from tunesmith.execution.staging import make_stages
from tunesmith.model.job import Job, Package, Pool

Make = Callable[..., Stage]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that stands in for an image."""
    folder = tmp_path / "context"
    (folder / "app").mkdir(parents=True)
    (folder / "app" / "train.py").touch()
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Place:
    trial = tmp_path / "1"
    (trial / "work").mkdir(parents=True)
    return Place("name", trial, trial / "work", trial / "root", Slot(), None)


def stage(pool: Pool, *images: ImageEntry) -> Stage:
    site = Site(Buckets(Path("buckets")), Path("environments"), images, engine="none")
    return make_stages(Job((pool,), "vertex"), site)[0]


def dockerfile(folder: Path, *lines: str) -> ImageEntry:
    (folder / "Dockerfile").write_text("\n".join(["FROM a", *lines]))
    return ImageEntry("image", folder)


def test_a_command_of_the_table_runs_in_its_folder(folder: Path, place: Place) -> None:
    made = stage(Pool(image="image"), ImageEntry("image", folder, ("train", "now")))

    command = made.command(place, {"A": "1"}, ["--x=1"])

    assert (command.words, command.directory) == (["train", "now", "--x=1"], folder)
    assert command.environment["A"] == "1"


def test_a_command_of_the_job_takes_the_place_of_the_dockerfiles(
    folder: Path, place: Place
) -> None:
    entry = dockerfile(folder, "COPY app /app", 'ENTRYPOINT ["no"]')
    made = stage(Pool(image="image", command=("python", "/app/train.py")), entry)

    command = made.command(place, {}, ["--x=1"])

    assert command.words == ["python", f"{place.root}/app/train.py", "--x=1"]


def test_arguments_of_the_job_take_the_place_of_the_dockerfiles(folder: Path) -> None:
    entry = dockerfile(folder, 'ENTRYPOINT ["train"]', 'CMD ["--fast"]')

    own = stage(Pool(image="image"), entry)
    given = stage(Pool(image="image", args=("--slow",)), entry)

    assert own == stage(Pool(image="image", command=("train", "--fast")), entry)
    assert given == stage(Pool(image="image", command=("train",)), entry)


def test_variables_of_the_image_come_before_the_trials(folder: Path, place: Place) -> None:
    entry = dockerfile(
        folder, "COPY app /app", "ENV A=image B=image", "ENV PATH=/app:$PATH", 'CMD ["train"]'
    )

    command = stage(Pool(image="image"), entry).command(place, {"A": "trial"}, [])

    assert (command.environment["A"], command.environment["B"]) == ("trial", "image")
    parts = command.environment["PATH"].split(os.pathsep)
    assert parts[0] == str(Path(sys.executable).parent)
    assert f"{place.root}/app" in parts


def test_a_python_that_is_not_here_is_tunesmiths_own(folder: Path, place: Place) -> None:
    entry = dockerfile(folder, 'CMD ["python2.6", "-V"]')

    command = stage(Pool(image="image"), entry).command(place, {}, [])

    assert command.words == [sys.executable, "-V"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["ENTRYPOINT python train.py"], "written without brackets"),
        (["CMD python train.py"], "written without brackets"),
        (["COPY nothing /x", 'CMD ["x"]'], "copies nothing, but there is no such file"),
        ([], "has no ENTRYPOINT and no CMD"),
    ],
)
def test_a_dockerfile_that_runs_nothing_is_refused(
    lines: list[str], words: str, folder: Path
) -> None:
    with pytest.raises(SpecError, match=words):
        stage(Pool(image="image"), dockerfile(folder, *lines))


def test_a_folder_without_a_dockerfile_needs_a_command(folder: Path, place: Place) -> None:
    entry = ImageEntry("image", folder)

    made = stage(Pool(image="image", command=("train",)), entry)

    assert made.command(place, {}, []).directory == folder
    with pytest.raises(SpecError, match="has no Dockerfile"):
        stage(Pool(image="image"), entry)


def test_an_output_folder_that_leads_nowhere_is_refused() -> None:
    site = Site(Buckets(Path("buckets")), Path("environments"), engine="none")
    job = Job((Pool(command=("train",)),), "vertex", output="gs://{YOUR_BUCKET}/x")

    with pytest.raises(SpecError, match="YOUR_BUCKET"):
        make_stages(job, site)


def test_a_pool_without_replicas_needs_nothing() -> None:
    site = Site(Buckets(Path("buckets")), Path("environments"), engine="none")

    stages = make_stages(Job((Pool(command=("a",)), Pool(0, image="b")), "vertex"), site)

    assert list(stages) == [0]


# Sources on this machine


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes the stage of a pool where sources are in the folder ``here``."""
    here = tmp_path / "here"
    here.mkdir()

    def make(pool: Pool, *more: Pool) -> Stage:
        site = Site(
            Buckets(tmp_path / "buckets"), tmp_path / "envs", engine="none", folders=(here,)
        )
        return make_stages(Job((pool, *more), "vertex"), site)[0]

    return make


def test_a_module_without_packages_runs_where_its_source_is(make: Make, tmp_path: Path) -> None:
    (tmp_path / "here" / "trainer").mkdir()
    (tmp_path / "here" / "trainer" / "task.py").touch()

    text = make(Pool(package=Package("trainer.task"))).text(["--x=1"])

    assert text == f"python3 -m trainer.task --x=1, in {tmp_path / 'here'}"


def test_a_modules_source_stands_in_for_packages_that_are_not_here(
    make: Make, tmp_path: Path
) -> None:
    (tmp_path / "here" / "trainer").mkdir()
    (tmp_path / "here" / "trainer" / "__main__.py").touch()

    text = make(Pool(package=Package("trainer", ("gs://bucket/t.tar.gz",)))).text([])

    assert text.endswith("in place of gs://bucket/t.tar.gz")


def test_a_jobs_own_command_runs_here_where_its_image_is_not_to_be_had(
    make: Make, tmp_path: Path
) -> None:
    (tmp_path / "here" / "train.py").touch()

    text = make(Pool(image="gcr.io/p/t", command=("python", "train.py"))).text([])

    assert text == (f"python train.py, in {tmp_path / 'here'}, in place of the image gcr.io/p/t")


@pytest.mark.parametrize(
    ("pool", "sentence"),
    [
        (Pool(package=Package("no.such")), "The module 'no.such' is neither in"),
        (Pool(), "The job says what to tune and not what to run"),
        (Pool(image="a", command=("python", "/app/t.py")), "The image a can't be run"),
        (Pool(image="a", command=("nowhere",)), "Its own command can't be run either"),
        (Pool(command=("nowhere",)), "The command 'nowhere' can't be found"),
    ],
)
def test_what_is_not_here_is_one_clear_error(make: Make, pool: Pool, sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        make(pool)


def test_the_faults_of_all_pools_are_told_at_once_and_each_once(make: Make) -> None:
    first, second = Pool(image="first"), Pool(2, image="second")

    with pytest.raises(SpecError) as caught:
        make(first, second, first)

    messages = [problem.message for problem in caught.value.problems]
    assert [message.split()[2] for message in messages] == ["first", "second"]
