"""Installs a job's packages, once, into an environment of their own beside Tunesmith's.

The environment sees all that Tunesmith's own Python has, so that only what is missing is fetched, and
a package that needs nothing more is installed without a network. It is named by what is in it: jobs
with the same packages share one, and whichever tuner comes first makes it.
"""

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import site
import subprocess
import sys
import tarfile
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path
from typing import Literal

from tunesmith.errors import Problem, SpecError, StorageError

__all__ = ["Environments"]

_DONE = "complete"
_LAST_LINES = 12
_LIMIT_S = 3600.0
_LACKS_TOOLS = re.compile(
    r"invalid command 'bdist_wheel'|No module named '?(setuptools|wheel)"
    r"|(requirement|distribution found for) (setuptools|wheel|hatchling|poetry|flit)"
)
_SAFELY: Mapping[str, dict[str, Literal["data"]]] = {
    suffix: {"filter": "data"}
    for suffix in (".gz", ".tgz", ".bz2", ".xz", ".tar")
    if hasattr(tarfile, "data_filter")  # since Python 3.11.4
}


class Environments:
    """The environments below one folder.

    Args:
        folder: Where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def with_packages(self, packages: Sequence[Path]) -> Path:
        """Return the Python of an environment in which these source archives and wheels are installed.

        Raises:
            SpecError: a package is not there, or pip can't install it; with pip's last lines.
            StorageError: the folder can't be written.
        """
        for package in packages:
            if not package.is_file():
                raise SpecError([Problem("E121", f"The package {package} is not there.")])
        contents = [f"{package.name} {_digest(package.read_bytes())}" for package in packages]
        return self._made(contents, lambda python: _install_packages(python, packages))

    def with_requirements(self, folder: Path, installs: Sequence[Sequence[str]]) -> Path:
        """Return the Python of an environment for which ``pip install`` ran with these words.

        Args:
            folder: Where relative paths in them, such as that of a file of requirements, begin.
            installs: The words of each call.

        Raises:
            SpecError: pip can't install them; with its last lines.
            StorageError: the folder can't be written.
        """
        files = [folder / word for words in installs for word in words]
        contents = [" ".join(words) for words in installs]
        contents += [_digest(file.read_bytes()) for file in files if file.is_file()]

        def install(python: Path) -> None:
            for words in installs:
                _refuse_if_failed(_pip(python, words, folder))

        return self._made([str(folder), *contents], install)

    def _made(self, contents: Sequence[str], install: Callable[[Path], None]) -> Path:
        name = _digest("\n".join([sys.version, sys.prefix, *contents]).encode())[:24]
        place = self._folder / name
        python = place / "bin" / "python"
        with _locked(self._folder, name):
            if not (place / _DONE).exists():
                shutil.rmtree(place, ignore_errors=True)  # what a crash left half made
                _make(place)
                install(python)
                (place / _DONE).touch()
        return python


@contextmanager
def _locked(folder: Path, name: str) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        msg = f"Can't write to the folder of environments {folder}: {error.strerror}."
        raise StorageError(msg) from error


def _make(place: Path) -> None:
    """Make an environment in which Tunesmith's own packages are found behind its own.

    ``system_site_packages`` would show those of the Python that Tunesmith's environment was made from.
    """
    venv.create(place, with_pip=False, symlinks=True)
    ours = [*site.getsitepackages(), site.getusersitepackages()]
    # Not the paths alone: what was installed to be edited is found by files in these folders.
    lines = [f"import site; site.addsitedir({path!r})\n" for path in ours if path in sys.path]
    (_packages_of(place) / "tunesmith-own.pth").write_text("".join(lines))


def _packages_of(place: Path) -> Path:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return place / "lib" / version / "site-packages"


def _install_packages(python: Path, packages: Sequence[Path]) -> None:
    # First the packages alone and in any case: a trainer of the same version that Tunesmith's own
    # environment has would count as installed. Then what they need and is not there.
    place = python.parent.parent
    alone = ["--no-deps", "--ignore-installed", *map(str, packages)]
    archives = [package for package in packages if package.suffix != ".whl"]
    # With what is here an archive is built at once, and without a network.
    here = bool(archives) and importlib.util.find_spec("setuptools") is not None
    needed: list[str] = []
    if not here or _pip(python, [*alone, "--no-build-isolation"], place).returncode != 0:
        tried = _pip(python, alone, place)
        if archives and _LACKS_TOOLS.search(tried.stdout):
            needed = _unpack(place, archives)
            wheels = [str(package) for package in packages if package not in archives]
            if wheels:
                _refuse_if_failed(_pip(python, [*alone[:2], *wheels], place))
        else:
            _refuse_if_failed(tried)
    installed = distributions(path=[str(_packages_of(place))])
    needed += [f"{d.name}=={d.version}" for d in installed if d.requires]
    if needed:
        _refuse_if_failed(_pip(python, needed, place))


def _unpack(place: Path, archives: Sequence[Path]) -> list[str]:
    """Use archives as they are, for want of the tools that build them; return what they need.

    That serves for packages that are all Python, as trainers are.
    """
    roots: list[Path] = []
    for archive in archives:
        folder = place / "unpacked" / archive.name
        try:
            shutil.unpack_archive(archive, folder, **_SAFELY.get(archive.suffix, {}))
        except (OSError, ValueError, shutil.ReadError) as error:
            message = f"The package {archive} can't be unpacked: {error}"
            raise SpecError([Problem("E121", message)]) from error
        roots += [inner for inner in folder.iterdir() if inner.is_dir()]
    sources = [root / "src" if (root / "src").is_dir() else root for root in roots]
    lines = "".join(f"{source}\n" for source in sources)
    (_packages_of(place) / "tunesmith-unpacked.pth").write_text(lines)
    listed = [file for root in roots for file in root.glob("**/*.egg-info/requires.txt")]
    texts = [file.read_text().partition("[")[0] for file in listed]
    return [line.strip() for text in texts for line in text.splitlines() if line.strip()]


def _pip(python: Path, words: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run ``pip install`` for an environment: with Tunesmith's own pip, if it has one."""
    own = _packages_of(python.parent.parent) / "pip"
    if importlib.util.find_spec("pip") is None and not own.is_dir():
        made = _call([str(python), "-m", "ensurepip", "--default-pip"], folder)
        if made.returncode != 0:
            return made
    install = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--no-input"]
    return _call([*install, *words], folder)


def _refuse_if_failed(ended: subprocess.CompletedProcess[str]) -> None:
    if ended.returncode != 0:
        lines = [line for line in ended.stdout.splitlines() if line.strip()][-_LAST_LINES:]
        message = "The job's packages can't be installed. pip says:\n" + "\n".join(lines)
        raise SpecError([Problem("E121", message)])


def _call(words: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    # A PYTHONPATH would hide what the environment lacks.
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PIP_TARGET")}
    return subprocess.run(
        words,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=_LIMIT_S,
        check=False,
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
