from pathlib import Path, PurePosixPath

import pytest

from tunesmith.errors import SpecError
from tunesmith.execution.dockerfile import Copied, Recipe, read_dockerfile

SEED = """\
FROM gcr.io/deeplearning-platform-release/tf2-gpu.2-7

WORKDIR /

# Installs hypertune library
RUN pip install cloudml-hypertune

# Copies the trainer code to the docker image.
COPY trainer /trainer

# Sets up the entry point to invoke the trainer.
ENTRYPOINT ["python", "-m", "trainer.task"]
"""


def read(folder: Path, *lines: str) -> Recipe:
    (folder / "Dockerfile").write_text("\n".join(lines))
    return read_dockerfile(folder)


def test_a_guides_dockerfile_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, SEED) == Recipe(
        tmp_path,
        PurePosixPath("/"),
        {},
        [Copied(("trainer",), PurePosixPath("/trainer"), into=False)],
        ("python", "-m", "trainer.task"),
        (),
        installs=[("cloudml-hypertune",)],
    )


def test_folders_follow_each_other_and_variables_are_filled_in(tmp_path: Path) -> None:
    recipe = read(
        tmp_path,
        "FROM python:3.11",
        "ARG NAME=app",
        'ENV HOME_OF="/srv/$NAME" KIND=${MISSING:-plain}',
        "ENV OLD some words",
        "workdir ${HOME_OF}",
        "WORKDIR sub",
        "COPY --chown=me:me a.py b.py ./",
        'CMD ["python", "a.py"]',
    )

    assert recipe.directory == PurePosixPath("/srv/app/sub")
    assert recipe.environment == {"HOME_OF": "/srv/app", "KIND": "plain", "OLD": "some words"}
    assert recipe.copies == [Copied(("a.py", "b.py"), PurePosixPath("/srv/app/sub"), into=True)]
    assert recipe.arguments == ("python", "a.py")


def test_lines_go_on_and_comments_between_them_do_not_count(tmp_path: Path) -> None:
    recipe = read(
        tmp_path,
        "FROM a",
        "RUN apt-get update && \\",
        "    # what it needs",
        "    python3 -m pip install -r requirements.txt && \\",
        "    pip3 install 'a>=1' b",
        'ENTRYPOINT ["python", \\',
        '  "train.py"]',
    )

    assert recipe.installs == [("-r", "requirements.txt"), ("a>=1", "b")]
    assert recipe.entrypoint == ("python", "train.py")


def test_only_the_last_stage_counts(tmp_path: Path) -> None:
    recipe = read(tmp_path, "FROM a AS b", "ENV X=1", 'CMD ["b"]', "FROM c", 'CMD ["d"]')

    assert recipe.environment == {}
    assert recipe.arguments == ("d",)


def test_a_program_without_brackets_is_run_by_a_shell(tmp_path: Path) -> None:
    recipe = read(tmp_path, "FROM a", "ENTRYPOINT python train.py")

    assert recipe.entrypoint == ("/bin/sh", "-c", "python train.py")


def test_an_entrypoint_drops_the_arguments_before_it(tmp_path: Path) -> None:
    recipe = read(tmp_path, "FROM a", 'CMD ["--x"]', 'ENTRYPOINT ["train"]')

    assert recipe.arguments == ()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("COPY --from=build /a /b", "copies from another stage or image"),
        ("ADD https://example.org/a.tar /b", "copies what is no file of its folder"),
        ("COPY a", "says not what is copied where"),
        ("ENV A='b", "No closing quotation in ENV"),
    ],
)
def test_what_needs_a_real_image_is_refused_with_its_line(
    line: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        read(tmp_path, "FROM a", "", line)

    assert caught.value.problems[0].line == 3


def test_a_dockerfile_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="Dockerfile can't be read"):
        read_dockerfile(tmp_path)
