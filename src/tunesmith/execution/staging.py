"""Makes stages of a job's pools.

Everything that can go wrong for all trials alike is found here, once, before the first of them: an
image that is not here, a package that can't be installed, an address that leads nowhere.
"""

import importlib.util
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tunesmith.errors import Problem, SpecError
from tunesmith.execution.dockerfile import read_dockerfile
from tunesmith.execution.engine import Engine, EngineName, find_engine
from tunesmith.execution.images import ImageEntry, check_copies, look_up
from tunesmith.execution.packages import Environments
from tunesmith.execution.scripts import missing_script
from tunesmith.execution.stages import PYTHON, InContainer, Local, Site, Stage
from tunesmith.model.job import Job, Package, Pool

__all__ = ["make_stages"]


def make_stages(job: Job, site: Site) -> Mapping[int, Stage]:
    """Return a stage for each pool that has replicas, by its position.

    Raises:
        SpecError: images, packages or addresses of the job are not to be had; all of them.
        StorageError: a folder of the site can't be written.
    """
    engines = _Engines(site.engine)
    stages: dict[int, Stage] = {}
    problems: dict[Problem, None] = {}  # pools that are alike have the same ones
    try:
        if job.output:
            site.buckets.path(job.output)
    except SpecError as error:
        problems |= dict.fromkeys(error.problems)
    for position, pool in enumerate(job.pools):
        if not pool.replicas:
            continue
        try:
            stages[position] = _stage(pool, site, engines)
        except SpecError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise SpecError(list(problems))
    return stages


class _Engines:
    """The container engine, looked for when it is first needed."""

    def __init__(self, wanted: EngineName) -> None:
        self._wanted = wanted
        self._found: tuple[Engine | None, str] | None = None

    def find(self) -> tuple[Engine | None, str]:
        """Return it, or None and why there is none."""
        if self._found is None:
            self._found = find_engine(self._wanted)
        return self._found


def _stage(pool: Pool, site: Site, engines: _Engines) -> Stage:
    environments = Environments(site.environments)
    if pool.package is not None:
        return _of_module(pool.package, site, environments)
    if not pool.image:
        if not pool.command:
            message = "The job says what to tune and not what to run."
            raise SpecError([Problem("E121", message)])
        if not site.folders:
            return Local(pool.command, site.python)
        return _checked(Local(pool.command, site.python, site.folders[0]))
    if (entry := look_up(pool.image, site.images)) is not None:
        return _in_place(pool, entry, site.python, environments)
    try:
        return _in_container(pool, site, engines)
    except _NoImageError as error:
        if not pool.command or not site.folders:
            raise
        # What the image would add may be here already.
        remark = f"in place of the image {pool.image}"
        stage = Local(pool.command, site.python, site.folders[0], remark=remark)
        return _checked(stage, f"{error.problems[0].message} Its own command can't be run either: ")


class _NoImageError(SpecError):
    """An image is not to be had."""


def _in_container(pool: Pool, site: Site, engines: _Engines) -> Stage:
    engine, why = engines.find()
    if engine is None:
        message = (
            f"The image {pool.image} can't be run: {why}, and nothing is said to run in its place. Name a"
            f" folder with its Dockerfile, or a command, for this image: --image {pool.image}=FOLDER"
        )
        raise _NoImageError([Problem("E121", message)])
    try:
        image = engine.image(pool.image)
    except SpecError as error:
        raise _NoImageError(error.problems) from error
    words = pool.command or image.entrypoint or ()
    if not pool.command and not pool.args:
        words += image.arguments
    if not words and not pool.args:
        message = f"The image {pool.image} names no program, and the job no command."
        raise SpecError([Problem("E121", message)])
    _refuse_shell(words, f"the image {pool.image}")
    return InContainer(engine, image, tuple(words), site.buckets.root, site.network)


def _of_module(package: Package, site: Site, environments: Environments) -> Stage:
    """Return the stage of a module: of its packages, or else where its source is."""
    files = [site.buckets.path(uri) for uri in package.uris]
    source = next((f for f in site.folders if _holds(f, package.module)), None)
    missing = [file for file in files if not file.is_file()]
    if files and not (missing and source):
        python = str(environments.with_packages(files))
        return Local((python, "-m", package.module), python)
    if source is None and site.folders:
        name = package.module.partition(".")[0]
        if importlib.util.find_spec(name) is None:
            places = ", ".join(map(str, site.folders))
            message = f"The module {package.module!r} is neither in {places} nor installed."
            raise SpecError([Problem("E121", message)])
    remark = f"in place of {package.uris[files.index(missing[0])]}" if missing else ""
    return Local((site.python, "-m", package.module), site.python, source, remark=remark)


def _holds(folder: Path, module: str) -> bool:
    """Whether the source of a module that can be run is below a folder."""
    here = folder.joinpath(*module.split("."))
    return here.with_suffix(".py").is_file() or (here / "__main__.py").is_file()


def _checked(stage: Local, before: str = "") -> Stage:
    """Return the stage; raise `SpecError` if its program is not to be found."""
    word, folder = stage.words[0], stage.folder or Path.cwd()
    path = stage.around()["PATH"]
    there = shutil.which(str(folder / word)) if "/" in word else shutil.which(word, path=path)
    if there is None and not PYTHON.fullmatch(word):
        message = f"{before}The command {word!r} can't be found or may not be executed."
        raise SpecError([Problem("E121", message)])
    if (missing := missing_script(stage.words, folder)) is not None:
        raise SpecError([Problem("E121", before + missing.message, hint=missing.hint)])
    return stage


def _in_place(pool: Pool, entry: ImageEntry, python: str, environments: Environments) -> Stage:
    """Return the stage of a pool whose image is in the table."""
    remark = f"in place of the image {pool.image}"
    if entry.command:
        return Local(entry.command, python, folder=entry.folder, remark=remark)
    assert entry.folder is not None
    if not (entry.folder / "Dockerfile").exists():
        if not pool.command:
            message = (
                f"{entry.folder}, which stands in for the image {pool.image}, has no Dockerfile. Write"
                " one with its ENTRYPOINT, or name a command."
            )
            raise SpecError([Problem("E121", message)])
        return Local(pool.command, python, folder=entry.folder, remark=remark)
    recipe = read_dockerfile(entry.folder)
    check_copies(recipe)
    if entry.install and recipe.installs:
        python = str(environments.with_requirements(entry.folder, recipe.installs))
    if pool.command:
        return Local(pool.command, python, recipe=recipe, remark=remark)
    words = recipe.entrypoint + (() if pool.args else recipe.arguments)
    if not words:
        message = f"{entry.folder / 'Dockerfile'} has no ENTRYPOINT and no CMD to be run."
        raise SpecError([Problem("E121", message)])
    _refuse_shell(words, str(entry.folder / "Dockerfile"))
    return Local(words, python, recipe=recipe, remark=remark)


def _refuse_shell(words: Sequence[str], where: str) -> None:
    """Raise `SpecError` if a shell runs the program and drops what stands behind its line."""
    if tuple(words[:2]) == ("/bin/sh", "-c") and len(words) == 3 and "$" not in words[2]:
        message = (
            f"The ENTRYPOINT or CMD of {where} is written without brackets, so a shell runs it and the"
            " trial's values do not reach the program. Write it as a list, such as"
            ' ENTRYPOINT ["python", "-m", "trainer.task"].'
        )
        raise SpecError([Problem("E121", message)])
