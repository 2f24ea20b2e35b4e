"""Every example in the README, the docs and the examples' own pages works as it is written.

A fence says by its language what is done with it:

    python      run; all of a page share their names
    console     each line behind ``$`` is run by a shell; what the page shows must be printed, with
                any numbers; a line ``...`` leaves out what it likes
    yaml, toml  checked if it is a whole tune file or declares entry points
    sh          not run: installs something or runs what other tests run
    text, json  not run

A comment before a fence changes that: ``<!-- file: NAME -->`` writes it to a file, and
``<!-- exits: 2 -->`` says how its last command ends.
"""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tunesmith.specs import parse_study

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")],
    key=lambda page: page.as_posix(),
)

_FENCE = re.compile(
    r"^(?:<!-- (?P<key>file|exits): (?P<value>\S+) -->\n)?"
    r"(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

_LANGUAGES = {"python", "console", "yaml", "toml", "sh", "text", "json"}
_NOT_RUN = re.compile(r"(make|pip|git clone|cd|uv|export|source|python3? -m venv|\.venv/bin/)\b|#")
_SLOW = {  # many commands, each a process of its own
    "README.md",
    "docs/architecture.md",
    "docs/how-to/choose-an-algorithm.md",
    "docs/how-to/look-at-results.md",
    "docs/how-to/stop-early.md",
    "docs/how-to/stop-resume-crash.md",
    "examples/digits/README.md",
}

# A training script as short as one can be; most pages tune it.
TRAIN = """\
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.01)
parser.add_argument("--units", type=int, default=64)
parser.add_argument("--optimizer", choices=["adam", "sgd"], default="adam")
parser.add_argument("--momentum", type=float, default=0.0)
parser.add_argument("--epochs", type=int, default=3)
args = parser.parse_args()
for epoch in range(1, args.epochs + 1):
    accuracy = 1 - abs(args.lr - 0.05) - 1 / (epoch * args.units)
    print(f"epoch {epoch}: accuracy={accuracy:.4f} loss={1 - accuracy:.4f}")
"""


@dataclass
class _Desk:
    """Where one page's examples are tried."""

    folder: Path
    names: dict[str, object] = field(default_factory=lambda: {"__name__": "example"})

    def shell(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a line of shell in the folder; what it prints on both streams is in ``stdout``."""
        environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(self.folder),
            "COLUMNS": "100",
            "NO_COLOR": "1",
        }
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Desk:
    """Return an empty folder with ``train.py``, which is also the working directory."""
    monkeypatch.delenv("TUNESMITH_STORAGE", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(TRAIN, encoding="utf-8")
    return _Desk(tmp_path)


def _named(page: Path) -> object:
    name = page.relative_to(ROOT).as_posix()
    return pytest.param(page, id=name, marks=[pytest.mark.slow] if name in _SLOW else [])


@pytest.mark.parametrize("page", [_named(page) for page in PAGES])
def test_every_example_of_a_page_works(page: Path, desk: _Desk) -> None:
    _lay_out(page, desk)

    for example in _examples(page):
        _try(example, desk)


def test_every_relative_link_leads_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in PAGES
        for link in _links(page)
        if not _leads_somewhere(page, link)
    ]

    assert not broken


def _leads_somewhere(page: Path, link: str) -> bool:
    if re.match(r"[a-z]+://|mailto:", link):
        return True
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not anchor or anchor in _anchors(target))


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached = _reachable([ROOT / "README.md"])

    assert {page.relative_to(ROOT).as_posix() for page in PAGES if page not in reached} == set()


def _reachable(start: Iterable[Path]) -> set[Path]:
    reached: set[Path] = set()
    waiting = list(start)
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        targets = ((page.parent / link.partition("#")[0]).resolve() for link in _links(page))
        waiting += [target for target in targets if target.suffix == ".md" and target.exists()]
    return reached


def test_no_page_names_a_place_on_the_machine_it_was_written_on() -> None:
    named = [
        f"{page.relative_to(ROOT)}: {line}"
        for page in [*PAGES, ROOT / "docs" / "images" / "run.svg"]
        for line in page.read_text(encoding="utf-8").splitlines()
        if re.search(r"(?<![\w.])/(?:home|root|work|tmp/\w)", line)
    ]

    assert not named


# Inside: what a page holds


@dataclass(frozen=True)
class _Example:
    """One fence of a page."""

    page: Path
    line: int
    language: str
    text: str
    file: str = ""
    exits: int = 0


def _examples(page: Path) -> Iterator[_Example]:
    """Yield a page's fences in their order."""
    whole = page.read_text(encoding="utf-8")
    for fence in _FENCE.finditer(whole):
        line = whole.count("\n", 0, fence.start("language")) + 1
        indent = len(fence["indent"])
        text = "".join(each[indent:] for each in fence["text"].splitlines(keepends=True))
        value = fence["value"]
        yield _Example(
            page,
            line,
            fence["language"],
            text,
            file=value if fence["key"] == "file" else "",
            exits=int(value) if fence["key"] == "exits" else 0,
        )


def _links(page: Path) -> Iterator[str]:
    """Yield where a page's links lead."""
    yield from _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))


def _anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings make."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return {_anchor(heading) for heading in _HEADING.findall(text)}


def _anchor(heading: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", heading.lower().replace("`", ""))
    return kept.strip().replace(" ", "-")


# Inside: trying an example


def _lay_out(page: Path, desk: _Desk) -> None:
    """Put what stands beside an example's page on the desk."""
    if page.is_relative_to(ROOT / "examples"):
        for file in page.parent.iterdir():
            if file.is_file():
                (desk.folder / file.name).write_bytes(file.read_bytes())


def _try(example: _Example, desk: _Desk) -> None:
    where = f"{example.page.name}:{example.line}"
    assert example.language in _LANGUAGES, f"{where}: a fence of {example.language!r} is not tried"
    if example.file:
        _write(example, desk)
    elif example.language == "python":
        exec(compile(example.text, where, "exec"), desk.names)
    elif example.language == "console":
        _run(example, desk, where)
    elif example.language == "yaml" and re.search(r"^parameters:", example.text, re.MULTILINE):
        parse_study(example.text, desk.folder / "tune.yaml")
    elif example.language == "toml":
        tomllib.loads(example.text)
    elif example.language == "sh":
        unknown = [line for line in example.text.splitlines() if line and not _NOT_RUN.match(line)]
        assert not unknown, f"{where}: commands of Tunesmith belong in a console fence: {unknown}"


def _write(example: _Example, desk: _Desk) -> None:
    (desk.folder / example.file).write_text(example.text, encoding="utf-8")
    if example.language == "yaml":
        parse_study(example.text, desk.folder / example.file)
    if example.language == "toml":
        _install(tomllib.loads(example.text)["project"], desk.folder)


def _install(project: dict[str, object], folder: Path) -> None:
    """Do what pip would: leave the entry points where Python looks for them."""
    stem = str(project["name"]).replace("-", "_")
    installed = folder / f"{stem}-{project['version']}.dist-info"
    installed.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (installed / "METADATA").write_text(head, encoding="utf-8")
    groups = project["entry-points"]
    assert isinstance(groups, dict)
    lines = [
        line
        for group, parts in groups.items()
        for line in [f"[{group}]", *(f"{name} = {place}" for name, place in parts.items())]
    ]
    (installed / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _run(example: _Example, desk: _Desk, where: str) -> None:
    """Run each command, and see that it prints what the page shows."""
    commands = _commands(example.text)
    assert commands, f"{where}: a console fence needs a line that begins with $"
    for index, (command, shown) in enumerate(commands):
        ended = desk.shell(command)
        wanted = example.exits if index + 1 == len(commands) else 0
        told = f"{where}: {command}\n{ended.stdout}"
        assert ended.returncode == wanted, told
        printed = {_loose(line) for line in ended.stdout.splitlines()}
        missing = [line for line in shown if line != "..." and _loose(line) not in printed]
        assert not missing, f"{told}\nwas not printed: {missing}"


def _commands(text: str) -> list[tuple[str, list[str]]]:
    """Return each command with the lines that the page shows beneath it."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.startswith("> ") and found and not found[-1][1]:
            found[-1] = (f"{found[-1][0]}\n{line[2:]}", [])
        elif line.strip() and found:
            found[-1][1].append(line)
    return found


def _loose(line: str) -> str:
    """Return a line without what may differ: numbers, folders, the width of columns."""
    line = re.sub(r"(?:~|/[\w.-]+)+/(?=[\w.])", "/", line)
    line = re.sub(r"[-+]?\d+(?:[.:]\d+)*(?:e[-+]?\d+)?", "0", line)
    line = re.sub(r"\b0[smhd]\b|\b0m0s\b", "0s", line)
    return " ".join(line.split())
