"""What options, the environment and files say of images, buckets and projects."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import pytest

from tunesmith.cli.site import JobSite, SiteChoice, open_site
from tunesmith.errors import SpecError
from tunesmith.execution.images import ImageEntry
from tunesmith.model import Program
from tunesmith.model.job import Job, Pool
from tunesmith.specs.site import SiteSection

SiteOf = Callable[..., JobSite]

COMMAND = Job((Pool(command=("true",)),), "vertex")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said in the environment."""
    for name in ("IMAGES", "BUCKETS", "ENGINE"):
        monkeypatch.delenv(f"TUNESMITH_{name}", raising=False)


def found(choice: SiteChoice) -> SiteSection:
    """Return what options and the environment say, beside a file that says nothing."""
    return choice.before(SiteSection())


def test_what_options_say_comes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNESMITH_IMAGES", f"a={tmp_path}; b=python -m b ;")

    entries = found(SiteChoice(("a:1=python -m a --x=1",))).images

    assert entries == (
        ImageEntry("a:1", Path.cwd(), ("python", "-m", "a", "--x=1")),
        ImageEntry("a", tmp_path),
        ImageEntry("b", Path.cwd(), ("python", "-m", "b")),
    )


def test_options_come_first_then_the_file_of_one_the_environment_and_the_jobs_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("tunesmith: {project: file, region: file, buckets: file}")
    monkeypatch.setenv("TUNESMITH_BUCKETS", "/around")
    monkeypatch.setenv("TUNESMITH_ENGINE", "none")
    section = SiteSection((ImageEntry("s"),), Path("/s"), gs=True, engine="podman", region="s")

    without = SiteChoice().before(section)
    whole = SiteChoice(project="option", file=file).before(section)

    assert without == SiteSection(
        (ImageEntry("s"),), Path("/around"), gs=True, engine="none", region="s"
    )
    assert whole == SiteSection(
        (ImageEntry("s"),), tmp_path / "file", True, "none", "option", "file"
    )


@pytest.mark.parametrize("text", ["gcr.io/p/a", "=folder", "gcr.io/p/a="])
def test_an_entry_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.UsageError, match=r"--image: .* look like"):
        found(SiteChoice((text,)))


def test_what_is_neither_a_folder_nor_a_command_is_refused() -> None:
    with pytest.raises(SpecError, match="no folder, and no command either"):
        found(SiteChoice(("a=./nowhere",)))


def test_an_engine_of_the_environment_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TUNESMITH_ENGINE", "rkt")

    with pytest.raises(click.UsageError, match="TUNESMITH_ENGINE is one of auto, docker"):
        found(SiteChoice())


@pytest.fixture
def site_of(tmp_path: Path) -> SiteOf:
    """Returns what this machine has for a job, as a section says."""

    def opened(section: SiteSection, job: Job = COMMAND) -> JobSite:
        with open_site(
            job,
            Program(("true",)),
            section,
            root=tmp_path,
            environments=tmp_path,
            folders=(tmp_path, tmp_path),
        ) as site:
            return site

    return opened


def test_buckets_are_below_the_trials_folder_unless_it_is_said_where(
    tmp_path: Path, site_of: SiteOf
) -> None:
    said = found(SiteChoice(buckets=Path("store")))

    assert site_of(SiteSection()).site.buckets.root == tmp_path / "buckets"
    assert site_of(said).site.buckets.root == Path.cwd() / "store"


def test_programs_are_told_addresses_if_the_jobs_label_says_so_or_a_person_does(
    site_of: SiteOf,
) -> None:
    labelled = replace(COMMAND, labels={"tunesmith_addresses": "gs"})

    def served(section: SiteSection, job: Job) -> bool:
        return bool(site_of(section, job).site.buckets.url)

    assert served(SiteSection(), labelled)
    assert served(SiteSection(gs=True), COMMAND)
    assert not served(SiteSection(), COMMAND)
    assert not served(SiteSection(gs=False), labelled)


def test_a_project_and_a_region_are_told_that_are_said_or_else_the_usual_ones(
    site_of: SiteOf,
) -> None:
    said, unsaid = site_of(SiteSection(project="p", region="r")), site_of(SiteSection())

    assert (said.project, said.region) == ("p", "r")
    assert (unsaid.project, unsaid.region) == ("local", "us-central1")
