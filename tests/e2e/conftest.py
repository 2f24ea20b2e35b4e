import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Result = subprocess.CompletedProcess[str]


class CommandLine:
    """Runs ``tunesmith`` as a process in a folder of its own."""

    def __init__(self, folder: Path, bytecode: Path) -> None:
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TUNESMITH", "GITHUB"))}
        self.environment = {**kept, "COLUMNS": "100", "PYTHONUNBUFFERED": "1"}
        # Where Python is told to keep no compiled code, each start would take a second.
        if self.environment.pop("PYTHONDONTWRITEBYTECODE", ""):
            self.environment["PYTHONPYCACHEPREFIX"] = str(bytecode)
        self._started: list[subprocess.Popen[str]] = []

    def __call__(self, *words: str, status: int | None = 0, folder: Path | None = None) -> Result:
        """Run a command to its end; it must exit with ``status``, unless that is None."""
        ran = subprocess.run(
            [sys.executable, "-m", "tunesmith", *words],
            cwd=folder or self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert status in (None, ran.returncode), (words, ran.returncode, ran.stdout, ran.stderr)
        return ran

    def json(self, *words: str) -> Any:
        """Return the document that a command prints."""
        return json.loads(self(*words, "--json").stdout)

    def trials(self, study: str = "@") -> list[dict[str, Any]]:
        """Return a study's trials as ``trials --json`` gives them."""
        trials = self.json("trials", study)["trials"]
        assert isinstance(trials, list)
        return trials

    def start(self, *words: str, **settings: Any) -> subprocess.Popen[str]:
        """Start a command; it is killed after the test."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | settings
        process = subprocess.Popen(
            [sys.executable, "-m", "tunesmith", *words],
            cwd=self.folder,
            env=self.environment,
            stdin=pipes.pop("stdin", subprocess.DEVNULL),
            text=True,
            **pipes,
        )
        self._started.append(process)
        return process

    def write(self, name: str, text: str) -> Path:
        """Write a file into the folder."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def close(self) -> None:
        """Kill what was started."""
        for process in self._started:
            process.kill()
            process.communicate()


@pytest.fixture(scope="session")
def command_line(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], CommandLine]:
    """Makes a command line that lives as long as its caller wants."""
    bytecode = tmp_path_factory.mktemp("bytecode")
    return lambda folder: CommandLine(folder, bytecode)


@pytest.fixture
def cli(tmp_path: Path, command_line: Callable[[Path], CommandLine]) -> Iterator[CommandLine]:
    line = command_line(tmp_path)
    yield line
    line.close()


@pytest.fixture
def tune_file(cli: CommandLine) -> Callable[..., Path]:
    """Writes a tune.yaml of the study ``s`` for a shell script that finds its values as flags."""

    def write(script: str = "echo y=$TUNESMITH_TRIAL", **fields: object) -> Path:
        cli.write("train.sh", script + "\n")
        lines = {"study": "s", "minimize": "y", "max_trials": 4, "seed": 1, **fields}
        head = [f"{key}: {json.dumps(value)}" for key, value in lines.items()]
        parameters = "parameters:\n  x: {type: double, min: 0, max: 1}\n  opt: [adam, sgd]"
        return cli.write("tune.yaml", "\n".join([*head, parameters, "command: sh train.sh", ""]))

    return write
