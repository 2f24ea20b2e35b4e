# ruff: noqa: INP001 - a program, not a package
"""Writes docs/reference/ from the docstrings and the command line's help.

python docs/reference.py            write the pages
python docs/reference.py --check    only say whether they are up to date
"""

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType

import click

import tunesmith
from tunesmith import errors, execution, metrics, model, search, stopping, storage
from tunesmith.cli.app import application

FOLDER = Path(__file__).parent / "reference"
WRITTEN = (
    "<!-- Written by docs/reference.py from the docstrings: change those, then `make docs`. -->"
)
WIDTH = 92

_SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises):$")
_ITEM = re.compile(r"^(\*{0,2}[\w.]+):\s+(.*)$")


def main() -> int:
    """Write or check the pages."""
    check = "--check" in sys.argv[1:]
    text = pages()
    stale = [path for path in text if not _is(path, text[path])]
    if check:
        for path in stale:
            print(f"{path} is out of date. Run: make docs", file=sys.stderr)
        return 1 if stale else 0
    FOLDER.mkdir(exist_ok=True)
    for path in stale:
        path.write_text(text[path], encoding="utf-8")
        print(f"wrote {path.name}")
    return 0


def pages() -> dict[Path, str]:
    """Return the text of every page."""
    return {
        FOLDER / "python.md": _page("Python", _public(tunesmith, tunesmith.__all__)),
        FOLDER / "errors.md": _errors(),
        FOLDER / "values.md": _page(
            "Values", _public(model, [n for n in model.__all__ if n not in tunesmith.__all__])
        ),
        FOLDER / "roles.md": _page("Roles of plug-ins", _roles()),
        FOLDER / "command-line.md": _command_line(),
    }


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def _page(title: str, parts: Iterable[str]) -> str:
    return "\n\n".join([f"# {title}", WRITTEN, *parts]) + "\n"


# From docstrings


def _public(package: ModuleType, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        found = getattr(package, name)
        if inspect.isclass(found) or inspect.isfunction(found):
            yield from _described(found)


def _roles() -> Iterator[str]:
    for package, names in (
        (search, ("Searcher", "SearcherFactory")),
        (stopping, ("StoppingRule", "Verdict")),
        (stopping, ("Schedule", "Begin", "Resume", "Halt", "Plan", "Bracket", "Rung")),
        (metrics, ("MetricSource", "MetricRequest", "Reading", "Remarks")),
        (storage, ("Storage", "Claim", "Changes")),
        (execution, ("Executor", "Outcome", "Ended", "Reported")),
    ):
        yield from _public(package, names)


def _errors() -> str:
    tree = (errors.__doc__ or "").strip()
    parts = [f"```text\n{tree}\n```"]
    for name in errors.__all__:
        parts += list(_described(getattr(errors, name)))
    return _page("Errors", parts)


def _described(thing: type | Callable[..., object]) -> Iterator[str]:
    """Yield the Markdown of a class with its public members, or of a function."""
    node = _source(thing)
    if isinstance(node, ast.FunctionDef):
        yield f"## {node.name}"
        yield from _function(node)
        return
    yield f"## {node.name}"
    yield f"```text\n{_class_line(node)}\n```"
    yield _markdown(ast.get_docstring(node) or "")
    seen: set[str] = set()
    for member in node.body:
        if isinstance(member, ast.FunctionDef) and _is_shown(member) and member.name not in seen:
            seen.add(member.name)
            if member.name != "__init__":
                yield f"### {node.name}.{member.name}"
            yield from _function(member)


def _class_line(node: ast.ClassDef) -> str:
    """Return the class with its base classes, or its fields if it is a dataclass, or its members."""
    fields = [n for n in node.body if isinstance(n, ast.AnnAssign)]
    if any("dataclass" in ast.unparse(d) for d in node.decorator_list):
        shown = [f for f in map(_field, fields) if f]
        line = f"class {node.name}({', '.join(shown)})"
        inside = "".join(f"    {field},\n" for field in shown)
        return line if len(line) <= WIDTH else f"class {node.name}(\n{inside})"
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    members = [ast.unparse(n) for n in node.body if isinstance(n, ast.Assign) and "Enum" in bases]
    line = f"class {node.name}{f'({bases})' if bases else ''}"
    return "\n    ".join([line, *members])


def _field(node: ast.AnnAssign) -> str:
    """Return a field of a dataclass as an argument; ``""`` for one that is none."""
    name = f"{ast.unparse(node.target)}: {ast.unparse(node.annotation)}"
    if node.value is None:
        return name
    if not (isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "field"):
        return f"{name} = {ast.unparse(node.value)}"
    given = {k.arg: ast.unparse(k.value) for k in node.value.keywords}
    if given.get("init") == "False" or ast.unparse(node.target).startswith("_"):
        return ""
    return f"{name} = {given['default']}" if "default" in given else f"{name} = ..."


def _function(node: ast.FunctionDef) -> Iterator[str]:
    if any(ast.unparse(d) == "property" for d in node.decorator_list):
        yield f"```text\n{node.name}: {ast.unparse(node.returns) if node.returns else ''}\n```"
    else:
        yield f"```text\n{_signature(node)}\n```"
    if documented := ast.get_docstring(node):
        yield _markdown(documented)


def _is_shown(node: ast.FunctionDef) -> bool:
    decorators = [ast.unparse(d) for d in node.decorator_list]
    if node.name == "__init__":
        return len(node.args.args + node.args.kwonlyargs) > 1
    return not node.name.startswith("_") and "overload" not in decorators


def _signature(node: ast.FunctionDef) -> str:
    """Return ``name(arguments) -> result``, an argument a line where it would be too long."""
    arguments = [a for a in _arguments(node.args) if a not in ("self", "cls")]
    if arguments and arguments[0] == "/":
        del arguments[0]
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    name = node.name if node.name not in ("__init__", "__call__") else "..."
    line = f"{name}({', '.join(arguments)}){result}"
    if len(line) <= WIDTH:
        return line
    inside = "".join(f"    {argument},\n" for argument in arguments)
    return f"{name}(\n{inside}){result}"


def _arguments(given: ast.arguments) -> Iterator[str]:
    positional = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    for index, (argument, default) in enumerate(zip(positional, defaults, strict=True)):
        yield _argument(argument, default)
        if index + 1 == len(given.posonlyargs):
            yield "/"
    if given.vararg:
        yield f"*{_argument(given.vararg, None)}"
    elif given.kwonlyargs:
        yield "*"
    for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        yield _argument(argument, default)
    if given.kwarg:
        yield f"**{_argument(given.kwarg, None)}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    kind = f": {ast.unparse(argument.annotation)}" if argument.annotation else ""
    value = f"{' = ' if kind else '='}{ast.unparse(default)}" if default is not None else ""
    return f"{argument.arg}{kind}{value}"


def _source(thing: type | Callable[..., object]) -> ast.ClassDef | ast.FunctionDef:
    """Return the definition as it stands in its file: texts that no version of Python alters."""
    tree = ast.parse(Path(inspect.getfile(thing)).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == thing.__name__:
            return node
    raise LookupError(thing.__name__)


def _markdown(docstring: str) -> str:
    """Return a docstring of the Google form as Markdown."""
    lines: list[str] = []
    section = False
    for line in docstring.splitlines():
        text = re.sub(r"``(.+?)``", r"`\1`", line.strip())
        item = _ITEM.match(text)
        if match := _SECTION.match(text):
            section = True
            lines += [f"**{match[1]}**", ""]
        elif section and item and line.startswith("    ") and not line.startswith("     "):
            lines.append(f"- `{item[1]}`: {item[2]}")
        elif section and line.startswith("     ") and lines and lines[-1].startswith(("- ", "  ")):
            lines.append(f"  {text}")
        elif not section and line.startswith("    ") and text:
            lines.append(f"    {text}")
        else:
            section = section and bool(not text or line.startswith("    "))
            lines.append(text)
    return "\n".join(lines)


# From the command line


def _command_line() -> str:
    context = _context(application, "tunesmith", None)
    parts = [_help(context)]
    for name in application.list_commands(context):
        command = application.get_command(context, name)
        assert command is not None
        parts += [f"## tunesmith {name}", _help(_context(command, name, context))]
    return _page("Command line", parts)


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    return click.Context(command, info_name=name, parent=parent, **settings)


def _help(context: click.Context) -> str:
    return f"```text\n{context.get_help().rstrip()}\n```"


if __name__ == "__main__":
    sys.exit(main())
