"""Reads of a Dockerfile what is needed to run its program without building an image.

That is WORKDIR, ENV, ARG, COPY, ENTRYPOINT and CMD of its last stage, and which packages its RUN lines
install by pip. What else RUN does, and what its base image holds, is taken to be on this machine.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tunesmith.errors import Problem, SpecError

__all__ = ["Copied", "Recipe", "read_dockerfile"]

_VARIABLE = re.compile(r"\\\$|\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})")
_PIP = re.compile(
    r"(?:(?:\S*/)?python[\d.]*\s+-m\s+)?(?:\S*/)?pip[\d.]*\s+install\s+(.+)", re.DOTALL
)
_SHELL = ("/bin/sh", "-c")
_ROOT = PurePosixPath("/")


@dataclass(frozen=True, slots=True)
class Copied:
    """A COPY line.

    Attributes:
        sources: Paths below the Dockerfile's folder, perhaps with wildcards.
        target: Where they go, from the image's root.
        into: Whether the target is a folder even for a single file.
    """

    sources: tuple[str, ...]
    target: PurePosixPath
    into: bool


@dataclass(slots=True)
class Recipe:
    """What a Dockerfile says of its program.

    Attributes:
        folder: The Dockerfile's own.
        directory: Where the program runs.
        environment: Its variables.
        copies: What is copied, in order.
        entrypoint: The words that always run; empty for none.
        arguments: CMD: words behind them unless others are given.
        installs: What is installed by pip: the words behind ``pip install``, line by line.
    """

    folder: Path
    directory: PurePosixPath = _ROOT
    environment: dict[str, str] = field(default_factory=dict)
    copies: list[Copied] = field(default_factory=list)
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    installs: list[tuple[str, ...]] = field(default_factory=list)


def read_dockerfile(folder: Path) -> Recipe:
    """Read ``folder/Dockerfile``.

    Raises:
        SpecError: it can't be read, or does what has no meaning outside of an image.
    """
    path = folder / "Dockerfile"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError([Problem("E121", f"{path} can't be read: {error}")]) from error
    reader = _Reader(path, Recipe(folder))
    for line, keyword, rest in _instructions(text):
        try:
            reader.take(line, keyword, rest)
        except ValueError as error:  # of shlex: a quotation without an end
            if isinstance(error, SpecError):
                raise
            message = f"{path} can't be read: {error} in {keyword}"
            raise SpecError([Problem("E121", message, str(path), line, 1)]) from error
    return reader.recipe


class _Reader:
    """Follows a Dockerfile from top to bottom."""

    def __init__(self, path: Path, recipe: Recipe) -> None:
        self.recipe = recipe
        self._path = path
        self._args: dict[str, str] = {}

    def take(self, line: int, keyword: str, rest: str) -> None:
        """Take one instruction; those not named here say nothing about the program."""
        match keyword:
            case "FROM":  # a stage of its own: of those before it, nothing is kept
                self.recipe = Recipe(self.recipe.folder)
            case "ARG":
                name, _, text = rest.partition("=")
                self._args[name.strip()] = self._fill(_unquoted(text))
            case "ENV":
                self.recipe.environment |= self._pairs(rest)
            case "WORKDIR":
                self.recipe.directory /= self._fill(_unquoted(rest))
            case "COPY" | "ADD":
                self._copy(line, rest)
            case "ENTRYPOINT":
                self.recipe.entrypoint = self._words(rest)
                self.recipe.arguments = ()  # as Docker has it: a CMD before it is dropped
            case "CMD":
                self.recipe.arguments = self._words(rest)
            case "RUN":
                self._run(rest)

    def _fill(self, text: str) -> str:
        known: Mapping[str, str] = {**self._args, **self.recipe.environment}

        def value(match: re.Match[str]) -> str:
            if match[0] == r"\$":
                return "$"
            text = known.get(match[1] or match[2], "")
            if match[3] == "-":
                return text or match[4]
            return text if match[3] is None else match[4] if text else ""

        return _VARIABLE.sub(value, text)

    def _pairs(self, rest: str) -> dict[str, str]:
        if not re.match(r"\w+=", rest):  # the older form, of one variable
            name, _, text = rest.partition(" ")
            return {name: self._fill(text.strip())}
        pairs = (word.partition("=") for word in shlex.split(rest))
        return {name: self._fill(text) for name, _, text in pairs}

    def _copy(self, line: int, rest: str) -> None:
        flags: list[str] = []
        while rest.startswith("--"):
            flag, _, rest = rest.partition(" ")
            flags.append(flag)
            rest = rest.lstrip()
        if any(flag.startswith("--from") for flag in flags):
            self._refuse(line, "copies from another stage or image")
        listed = _listed(rest)
        words = [self._fill(word) for word in (shlex.split(rest) if listed is None else listed)]
        if len(words) < 2:
            self._refuse(line, "says not what is copied where")
        *sources, target = words
        if any("://" in source or source.startswith("<<") for source in sources):
            self._refuse(line, "copies what is no file of its folder")
        self.recipe.copies.append(
            Copied(
                tuple(sources),
                self.recipe.directory / target,
                into=len(sources) > 1 or target.endswith(("/", ".")),
            )
        )

    @staticmethod
    def _words(rest: str) -> tuple[str, ...]:
        listed = _listed(rest)
        return (*_SHELL, rest) if listed is None else tuple(listed)

    def _run(self, rest: str) -> None:
        listed = _listed(rest)
        text = rest if listed is None else shlex.join(listed)
        for command in re.split(r"&&|;|\|\|", text):
            if (match := _PIP.fullmatch(command.strip())) is not None:
                self.recipe.installs.append(tuple(self._fill(w) for w in shlex.split(match[1])))

    def _refuse(self, line: int, what: str) -> None:
        message = (
            f"{self._path} {what}, which needs an image to be built. Say instead which command runs"
            " the program on this machine."
        )
        raise SpecError([Problem("E121", message, str(self._path), line, 1)])


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield each instruction: the line it begins in, its keyword, and the rest in one line."""
    escape = "\\"
    if (match := re.match(r"\s*#\s*escape\s*=\s*(\S)", text)) is not None:
        escape = match[1]
    begun, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#") or (not line.strip() and not parts):
            continue
        begun = begun if parts else number
        stripped = line.rstrip()
        goes_on = stripped.endswith(escape)
        parts.append(stripped[:-1].strip() if goes_on else stripped.strip())
        if not goes_on:
            keyword, _, rest = " ".join(parts).strip().partition(" ")
            yield begun, keyword.upper(), rest.strip()
            parts = []


def _listed(text: str) -> Sequence[str] | None:
    """Return the words of ``["a", "b"]``; None if the text is not of that form."""
    if not text.startswith("["):
        return None
    try:
        words = json.loads(text)
    except ValueError:
        return None
    return words if isinstance(words, list) and all(isinstance(w, str) for w in words) else None


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
