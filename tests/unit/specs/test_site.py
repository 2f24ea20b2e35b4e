"""The section of a job's file about this machine, in that file and in one of its own."""

from dataclasses import replace
from pathlib import Path

import pytest

from tunesmith.errors import SpecError
from tunesmith.execution.images import ImageEntry
from tunesmith.specs.google import GoogleJob, parse_google
from tunesmith.specs.site import SiteSection, read_section

JOB = """\
displayName: digits
studySpec:
  metrics: [{metricId: accuracy}]
  parameters: [{parameterId: lr, doubleValueSpec: {maxValue: 1}}]
trialJobSpec:
  workerPoolSpecs: [{containerSpec: {imageUri: gcr.io/p/digits}}]
"""
SECTION = """\
tunesmith:
  images:
    gcr.io/p/digits: ./train
    gcr.io/p/tool: ./tool.sh
    gcr.io/p/*: python -m trainer.task --fast
    gcr.io/p/torch: {folder: train, command: [python, train.py], install: true}
  buckets: ../buckets
  addresses: gs
  engine: podman
  project: my-project
  region: europe-west4
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with what the section names, other than the working directory."""
    (tmp_path / "train").mkdir()
    (tmp_path / "tool.sh").touch()
    return tmp_path


def section_of(folder: Path, text: str) -> SiteSection:
    """Return the section of a file in a folder."""
    path = folder / "site.yaml"
    path.write_text(text, encoding="utf-8")
    return read_section(path)


def faults_of(folder: Path, lines: str) -> list[tuple[int, str]]:
    """Return the line and the message of each fault of a section."""
    with pytest.raises(SpecError) as caught:
        section_of(folder, f"tunesmith:\n{lines}")
    assert all(problem.file == str(folder / "site.yaml") for problem in caught.value.problems)
    return [(problem.line, problem.message) for problem in caught.value.problems]


def test_a_section_says_what_options_say_with_paths_that_count_from_its_file(folder: Path) -> None:
    section = section_of(folder, SECTION)

    assert section == SiteSection(
        images=(
            ImageEntry("gcr.io/p/digits", folder / "train"),
            ImageEntry("gcr.io/p/tool", folder, (str(folder / "tool.sh"),)),
            ImageEntry("gcr.io/p/*", folder, ("python", "-m", "trainer.task", "--fast")),
            ImageEntry("gcr.io/p/torch", folder / "train", ("python", "train.py"), install=True),
        ),
        buckets=folder / "../buckets",
        gs=True,
        engine="podman",
        project="my-project",
        region="europe-west4",
    )


def test_a_jobs_file_has_the_same_section_which_is_no_part_of_the_job(folder: Path) -> None:
    def found(text: str) -> GoogleJob:
        job = parse_google(text, folder / "job.yaml", now=0.0)
        assert job is not None
        return job

    alone, together = found(JOB), found(JOB + SECTION)

    assert together.site == section_of(folder, SECTION)
    assert replace(together, site=SiteSection()) == alone


def test_a_training_input_alone_keeps_the_section_out_of_what_its_programs_are_told(
    folder: Path,
) -> None:
    text = "pythonModule: t\nhyperparameters:\n  params: [{parameterName: x, type: DOUBLE, maxValue: 1}]\n"

    found = parse_google(text + SECTION, folder / "job.yaml", now=0.0)

    assert found is not None
    assert found.job is not None
    assert found.site.project == "my-project"
    assert "tunesmith" not in found.job.document


def test_where_two_speak_the_first_counts_and_images_are_looked_up_in_both() -> None:
    first = SiteSection((ImageEntry("a"),), gs=False, project="one")
    second = SiteSection((ImageEntry("b"),), Path("/b"), gs=True, project="two", region="r")

    both = first.before(second)

    assert both == SiteSection(
        (ImageEntry("a"), ImageEntry("b")), Path("/b"), gs=False, project="one", region="r"
    )


@pytest.mark.parametrize(
    ("lines", "line", "told"),
    [
        ("  images:\n    a: ./nowhere", 3, "tunesmith: images: a: './nowhere' is no folder"),
        ("  images:\n    a: 'python \"x'", 3, "tunesmith: images: a: 'python \"x' is no folder"),
        ("  images: [a]", 2, "tunesmith: images must be a mapping, not a list"),
        ("  images:\n    a: [b]", 3, "tunesmith: images: a must be a text, not a list"),
        ("  images:\n    a: {}", 3, "tunesmith: images: a needs a folder with its Dockerfile"),
        (
            "  images:\n    a: {folder: nowhere}",
            3,
            "tunesmith: images: a: folder: there is no folder",
        ),
        (
            "  images:\n    a: {command: ''}",
            3,
            "tunesmith: images: a: command: '' is no command",
        ),
        (
            "  images:\n    a: {command: x, install: 1}",
            3,
            "tunesmith: images: a: install must be true or false, not 1",
        ),
        ("  bucket: b", 2, "unknown key 'bucket'"),
        ("  buckets: {a: b}", 2, "tunesmith: buckets must be a text, not a mapping"),
        ("  addresses: s3", 2, "tunesmith: addresses is one of paths, gs; given 's3'"),
        ("  engine: dokcer", 2, "tunesmith: engine is one of auto, docker, podman, none"),
        ("  project: [p]", 2, "tunesmith: project must be a text, not a list"),
    ],
)
def test_wrong_entries_are_told_with_file_line_and_field(
    folder: Path, lines: str, line: int, told: str
) -> None:
    faults = faults_of(folder, lines)

    assert [at for at, _ in faults] == [line]
    assert faults[0][1].startswith(told)


def test_all_faults_of_a_section_are_told_beside_those_of_its_job(folder: Path) -> None:
    text = JOB.replace("maxValue", "maxValu") + "tunesmith: {engine: x, bucket: y}\n"

    with pytest.raises(SpecError) as caught:
        parse_google(text, folder / "job.yaml", now=0.0)

    assert {problem.line for problem in caught.value.problems} >= {4, 7}
    assert sum(problem.line == 7 for problem in caught.value.problems) == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "a mapping with the section 'tunesmith' is needed; the file is empty"),
        ("[a]", "a mapping with the section 'tunesmith' is needed; given a list"),
        ("images: {}", "missing key 'tunesmith'"),
        ("tunesmith: x", "tunesmith must be a mapping, not the text 'x'"),
    ],
)
def test_a_file_of_its_own_has_the_section_and_nothing_else(
    folder: Path, text: str, told: str
) -> None:
    with pytest.raises(SpecError) as caught:
        section_of(folder, text)

    assert caught.value.problems[0].message == told


def test_a_file_that_can_not_be_read_says_so(folder: Path) -> None:
    (folder / "latin.yaml").write_bytes("tunesmith: {project: ü}".encode("latin-1"))

    with pytest.raises(SpecError, match="can't be read"):
        read_section(folder / "nowhere.yaml")
    with pytest.raises(SpecError, match="not UTF-8"):
        read_section(folder / "latin.yaml")
