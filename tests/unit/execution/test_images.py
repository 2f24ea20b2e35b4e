from pathlib import Path, PurePosixPath

import pytest

from tunesmith.errors import SpecError
from tunesmith.execution.dockerfile import Copied, Recipe
from tunesmith.execution.images import (
    ImageEntry,
    check_copies,
    image_entry,
    lay_out,
    look_up,
    replaced_paths,
)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A folder with a program, as it would be given to ``docker build``."""
    folder = tmp_path / "context"
    (folder / "trainer").mkdir(parents=True)
    (folder / "trainer" / "task.py").write_text("print(__file__)")
    (folder / "train.py").write_text("")
    return folder


@pytest.mark.parametrize(
    ("pattern", "image"),
    [
        ("gcr.io/{PROJECT_ID}/horses:latest", "gcr.io/{PROJECT_ID}/horses:latest"),
        ("gcr.io/p/horses", "gcr.io/p/horses:latest"),
        ("gcr.io/p/horses", "gcr.io/p/horses@sha256:abc"),
        ("gcr.io/*/horses*", "gcr.io/p/horses:v2"),
        ("localhost:5000/horses", "localhost:5000/horses:v2"),
        ("*", "anything:at-all"),
    ],
)
def test_an_image_is_found_by_its_address_or_a_pattern(pattern: str, image: str) -> None:
    assert ImageEntry(pattern).matches(image)


@pytest.mark.parametrize(
    ("pattern", "image"),
    [("gcr.io/p/horses:v1", "gcr.io/p/horses:v2"), ("gcr.io/p/horse", "gcr.io/p/horses")],
)
def test_another_image_is_not_meant(pattern: str, image: str) -> None:
    assert not ImageEntry(pattern).matches(image)


def test_the_first_entry_that_fits_counts() -> None:
    table = [ImageEntry("a:1"), ImageEntry("a*", command=("first",)), ImageEntry("*")]

    assert look_up("a:2", table) is table[1]
    assert look_up("a:2", table[:1]) is None


def test_an_entry_is_a_folder_or_a_command(context: Path) -> None:
    assert image_entry("a", str(context)) == ImageEntry("a", context)
    assert image_entry("a", "python 'my file.py'").command == ("python", "my file.py")
    with pytest.raises(SpecError, match="no folder, and no command either"):
        image_entry("a", str(context / "not-there"))


def test_files_are_laid_out_as_in_the_image(context: Path, tmp_path: Path) -> None:
    recipe = Recipe(
        context,
        PurePosixPath("/srv/work"),
        copies=[
            Copied(("trainer",), PurePosixPath("/trainer"), into=False),
            Copied(("*.py",), PurePosixPath("/srv"), into=True),
            Copied(("train.py",), PurePosixPath("/run.py"), into=False),
            Copied((".",), PurePosixPath("/all"), into=True),
        ],
    )
    root = tmp_path / "root"

    directory = lay_out(recipe, root)

    assert directory == root / "srv" / "work"
    assert directory.is_dir()
    files = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
    trainer = ["all/train.py", "all/trainer/task.py", "run.py", "srv/train.py", "trainer/task.py"]
    assert files == trainer


def test_what_a_program_writes_beside_its_code_stays_with_the_trial(
    context: Path, tmp_path: Path
) -> None:
    recipe = Recipe(context, copies=[Copied((".",), PurePosixPath("/app"), into=True)])
    root = tmp_path / "root"
    lay_out(recipe, root)

    (root / "app" / "trainer" / "model.txt").write_text("made")

    assert not (context / "trainer" / "model.txt").exists()


def test_a_folder_of_very_many_files_is_a_link_until_more_is_copied_into_it(
    context: Path, tmp_path: Path
) -> None:
    data = context / "data"
    data.mkdir()
    for number in range(300):
        (data / f"{number}.png").touch()
    whole = Copied((".",), PurePosixPath("/app"), into=True)
    more = Copied(("train.py",), PurePosixPath("/app/data/more/train.py"), into=False)

    lay_out(Recipe(context, copies=[whole]), tmp_path / "one")
    lay_out(Recipe(context, copies=[whole, more]), tmp_path / "two")

    assert (tmp_path / "one" / "app" / "data").is_symlink()
    assert (tmp_path / "two" / "app" / "data" / "more" / "train.py").exists()
    assert (tmp_path / "two" / "app" / "data" / "7.png").exists()
    assert not (data / "more").exists()


def test_curves_of_earlier_runs_are_not_copied(context: Path, tmp_path: Path) -> None:
    (context / "logs").mkdir()
    (context / "logs" / "events.out.tfevents.1.host").touch()
    recipe = Recipe(context, copies=[Copied((".",), PurePosixPath("/app"), into=True)])

    lay_out(recipe, tmp_path / "root")

    assert not list(tmp_path.glob("root/app/logs/*"))


def test_a_file_that_is_not_there_is_named(context: Path) -> None:
    recipe = Recipe(context, copies=[Copied(("data.csv",), PurePosixPath("/"), into=True)])

    with pytest.raises(SpecError, match=r"copies data\.csv, but there is no such file"):
        check_copies(recipe)


@pytest.mark.parametrize("source", ["../secret", "/../secret", "a/../../secret"])
def test_nothing_outside_of_the_folder_is_copied(source: str, context: Path) -> None:
    (context.parent / "secret").touch()
    recipe = Recipe(context, copies=[Copied((source,), PurePosixPath("/"), into=True)])

    with pytest.raises(SpecError, match="no such file"):
        check_copies(recipe)


def test_paths_of_the_image_are_found_below_its_root(context: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "app").mkdir(parents=True)
    (root / "app" / "train.py").touch()

    assert replaced_paths("/app/train.py", root) == f"{root}/app/train.py"
    assert replaced_paths("--code=/app/train.py", root) == f"--code={root}/app/train.py"
    assert replaced_paths("/app:/lib:/usr/lib", root) == f"{root}/app:/lib:/usr/lib"
    assert replaced_paths("cd /app && ls", root) == f"cd {root}/app && ls"
    assert replaced_paths("/bin/sh", root) == "/bin/sh"
    assert replaced_paths("/:/usr/lib", root) == f"{root}:/usr/lib"
    assert replaced_paths("print(a, '/', b / c)", root) == "print(a, '/', b / c)"
