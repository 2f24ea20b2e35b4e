"""What options and the environment say of images and buckets."""

from pathlib import Path

import click
import pytest

from tunesmith.cli.site import SiteChoice, open_site
from tunesmith.errors import SpecError
from tunesmith.execution.images import ImageEntry
from tunesmith.model import Program
from tunesmith.model.job import Job, Pool

COMMAND = Job((Pool(command=("true",)),), "vertex")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said in the environment."""
    monkeypatch.delenv("TUNESMITH_IMAGES", raising=False)


def test_what_options_say_comes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNESMITH_IMAGES", f"a={tmp_path}; b=python -m b ;")

    entries = SiteChoice(("a:1=python -m a --x=1",)).entries()

    assert entries == (
        ImageEntry("a:1", None, ("python", "-m", "a", "--x=1")),
        ImageEntry("a", tmp_path),
        ImageEntry("b", None, ("python", "-m", "b")),
    )


@pytest.mark.parametrize("text", ["gcr.io/p/a", "=folder", "gcr.io/p/a="])
def test_an_entry_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.UsageError, match=r"--image: .* look like"):
        SiteChoice((text,)).entries()


def test_what_is_neither_a_folder_nor_a_command_is_refused() -> None:
    with pytest.raises(SpecError, match="no folder, and no command either"):
        SiteChoice(("a=./nowhere",)).entries()


def test_buckets_are_below_the_trials_folder_unless_it_is_said_where(tmp_path: Path) -> None:
    def buckets(choice: SiteChoice) -> Path:
        program = Program(("true",))
        folders = (tmp_path, tmp_path)
        with open_site(
            COMMAND, program, choice, root=tmp_path, environments=tmp_path, folders=folders
        ) as found:
            return found.site.buckets.root

    assert buckets(SiteChoice()) == tmp_path / "buckets"
    assert buckets(SiteChoice(buckets=Path("store"))) == Path.cwd() / "store"
