import importlib.util
import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tunesmith.errors import SpecError
from tunesmith.execution import packages as module
from tunesmith.execution.packages import Environments

SETUP = """\
from setuptools import find_packages, setup
setup(name="trainer", version="0.1", packages=find_packages())
"""


BACKEND = """\
import zipfile
def build_wheel(folder, settings=None, metadata=None):
    name = "trainer-0.1-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as file:
        info = "trainer-0.1.dist-info/"
        file.writestr("built.py", "X = 1")
        file.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: trainer\\nVersion: 0.1\\n")
        file.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        file.writestr(info + "RECORD", "")
    return name
"""


def source_archive(folder: Path, **files: str) -> Path:
    """Make ``trainer-0.1.tar.gz``, as ``python setup.py sdist`` does."""
    path = folder / "trainer-0.1.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in {"setup.py": SETUP, "trainer/__init__.py": "", **files}.items():
            entry = tarfile.TarInfo(f"trainer-0.1/{name}")
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return path


def wheel(folder: Path, name: str, code: str, version: str = "1.0", needs: str = "") -> Path:
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}/__init__.py", code)
        file.writestr(f"{info}/METADATA", metadata + (f"Requires-Dist: {needs}\n" if needs else ""))
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")
    return path


def says(python: Path, code: str) -> str:
    ran = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True, cwd=python.parent
    )
    return ran.stdout.strip()


def test_source_archives_and_wheels_are_installed_beside_what_tunesmith_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    trainer = source_archive(
        tmp_path, **{"trainer/task.py": "import numpy, helper; print(helper.X)"}
    )
    helper = wheel(tmp_path, "helper", "X = 'it runs'", needs="numpy>=1")

    python = Environments(tmp_path / "environments").with_packages([trainer, helper])

    assert says(python, "import trainer.task") == "it runs"
    assert says(python, "import tunesmith, sys; print(sys.prefix)") == str(python.parent.parent)


def test_an_archive_is_built_by_the_tools_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    project = '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'
    trainer = source_archive(tmp_path, **{"pyproject.toml": project, "own.py": BACKEND})

    python = Environments(tmp_path / "environments").with_packages([trainer])

    assert says(python, "import built; print(built.X)") == "1"


def test_a_package_is_used_though_tunesmith_has_one_of_the_same_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    import numpy as np

    package = wheel(tmp_path, "numpy", "KIND = 'the job its own'", version=np.__version__)

    python = Environments(tmp_path / "environments").with_packages([package])

    assert says(python, "import numpy; print(numpy.KIND)") == "the job its own"


def test_packages_are_installed_once_and_anew_when_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    calls: list[Sequence[str]] = []
    call = module._call

    def counted(words: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
        calls.append(words)
        return call(words, folder)

    monkeypatch.setattr(module, "_call", counted)
    environments = Environments(tmp_path / "environments")
    package = wheel(tmp_path, "helper", "X = 1")
    first = environments.with_packages([package])
    count = len(calls)

    again = environments.with_packages([package])

    assert (again, len(calls)) == (first, count)

    changed = environments.with_packages([wheel(tmp_path, "helper", "X = 2")])
    assert says(changed, "import helper; print(helper.X)") == "2"


def test_a_package_that_cannot_be_installed_is_refused_with_pips_last_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    package = wheel(tmp_path, "helper", "", needs="no-such-package-anywhere")
    environments = Environments(tmp_path / "environments")

    with pytest.raises(SpecError, match=r"pip says:\n(.*\n)*.*no-such-package-anywhere"):
        environments.with_packages([package])

    assert not list(tmp_path.glob("environments/*/complete"))


def test_requirements_of_a_dockerfile_are_installed_from_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    package = wheel(tmp_path, "helper", "X = 1")
    (tmp_path / "requirements.txt").write_text(f"./{package.name}\n")

    python = Environments(tmp_path / "environments").with_requirements(
        tmp_path, [("-r", "requirements.txt", "numpy")]
    )

    assert says(python, "import helper, numpy; print(helper.X)") == "1"


@pytest.mark.slow
def test_an_environment_is_made_where_tunesmith_has_no_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    find = importlib.util.find_spec
    hidden = ("pip", "setuptools")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in hidden else find(name)
    )

    python = Environments(tmp_path / "e").with_packages([wheel(tmp_path, "helper", "X = 1")])

    assert says(python, "import helper; print(helper.X)") == "1"
    assert sys.executable != str(python)
