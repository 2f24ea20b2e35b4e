import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.errors import SpecError
from tunesmith.execution.engine import Container, Engine, find_engine

Program = Callable[..., Path]

INFO = 'case "$1" in info) echo \'{"Name": "here"}\' ;; esac'


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Puts a shell script on the PATH as a container engine's command-line program."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    for name in ("docker", "podman"):
        (folder / name).write_text("#!/bin/sh\necho nobody answers. >&2; exit 1\n")
        (folder / name).chmod(0o755)

    def write(name: str, script: str) -> Path:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        return folder / name

    return write


def test_the_engine_that_answers_is_used(program: Program) -> None:
    podman = program("podman", INFO)

    engine, _ = find_engine()

    assert engine is not None
    assert engine.name == podman.name


def test_why_there_is_none_is_said_for_each(program: Program) -> None:
    program("podman", 'echo \'{"ServerErrors": ["no socket"]}\'')

    engine, why = find_engine()

    assert engine is None
    wanted = "docker can't be used (nobody answers) and podman can't be used (no socket)"
    assert why == wanted


def test_one_that_is_not_wanted_is_not_looked_for(program: Program) -> None:
    program("docker", INFO)

    assert find_engine("none") == (None, "no container engine is to be used")
    assert find_engine("podman")[0] is None


def test_an_image_is_fetched_when_it_is_not_here(program: Program, tmp_path: Path) -> None:
    config = json.dumps([{"Config": {"Entrypoint": None, "Cmd": ["a"], "Env": ["A=b=c", "D="]}}])
    script = f"""
    case "$1" in
    pull) touch {tmp_path}/fetched ;;
    image) test -e {tmp_path}/fetched && echo '{config}' ;;
    esac"""

    image = Engine(str(program("docker", script))).image("gcr.io/p/i")

    assert (image.entrypoint, image.arguments) == ((), ("a",))
    assert image.environment == {"A": "b=c", "D": ""}


def test_an_image_that_cannot_be_fetched_is_refused(program: Program) -> None:
    engine = Engine(str(program("docker", "echo denied >&2; exit 1")))

    with pytest.raises(SpecError, match="no image a and can't fetch it: denied"):
        engine.image("a")


def test_a_container_is_described_in_full(program: Program) -> None:
    engine = Engine(str(program("docker", "")))
    container = Container(
        "name",
        "image",
        ["train", "--x=1"],
        {"SECRET": "s", "PATH": "/app"},
        [(Path("/b"), "/gcs")],
        "none",
        {"label": "text"},
        100.0,
        (0, 1),
        ("3", "5"),
    )

    words = engine.command(container, {"SECRET": "s", "PATH": "/bin"})

    text = " ".join(words)
    assert "--name name --network none" in text
    assert "--volume /b:/gcs --label label=text" in text
    assert "--memory 104857600b --memory-swap 104857600b --cpuset-cpus 0,1" in text
    assert '--gpus "device=3,5"' in text
    assert words[-8:] == [
        "--env",
        "SECRET",
        "--env",
        "PATH=/app",
        "--entrypoint",
        "train",
        "image",
        "--x=1",
    ]


def test_podman_names_gpus_as_devices(program: Program) -> None:
    engine = Engine(str(program("podman", "")))

    words = engine.command(Container("n", "i", ["a"], {}, [], gpus=("3", "5")), {})

    devices = ["--device", "nvidia.com/gpu=3", "--device", "nvidia.com/gpu=5"]
    assert devices == words[words.index("--device") :][:4]


def test_an_engine_that_broke_down_is_no_end_of_the_tuner(tmp_path: Path) -> None:
    engine = Engine(str(tmp_path / "gone"))

    engine.remove("name")
    engine.remove_labelled("label", "text")

    assert not engine.ran_out_of_memory("name")


@pytest.mark.parametrize(
    ("name", "said", "over"),
    [
        ("docker", "true 137 100", True),
        ("docker", "false 137 100", False),
        ("podman", "false 137 100", True),
        ("podman", "false 137 0", False),
        ("podman", "false 1 100", False),
    ],
)
def test_a_container_that_was_killed_for_its_memory_is_known(
    name: str, said: str, over: bool, program: Program
) -> None:
    engine = Engine(str(program(name, f"echo {said}")))

    assert engine.ran_out_of_memory("name") is over
