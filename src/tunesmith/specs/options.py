"""The options that a training script declares, found by reading the script and never running it.

Knows ``argparse``, ``click`` and ``absl``. The calls that declare an option are told by their
names; their arguments are understood where they are literals or constants of the module.
"""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Constants",
    "DeclaredOption",
    "Kind",
    "Literals",
    "called_name",
    "constants_of",
    "declared_options",
    "literal",
]

Literals = bool | int | float | str
Constants = Mapping[str, object]
Kind = Literal["int", "float", "text", "switch", "several", "untyped", "unknown"]

_TYPES: Mapping[str, Kind] = {
    "int": "int",
    "INT": "int",
    "IntRange": "int",
    "float": "float",
    "FLOAT": "float",
    "FloatRange": "float",
    "str": "text",
    "STRING": "text",
    "Path": "text",
    "bool": "switch",
    "BOOL": "switch",
}
_ABSL: Mapping[str, Kind] = {
    "DEFINE_float": "float",
    "DEFINE_integer": "int",
    "DEFINE_enum": "text",
    "DEFINE_string": "text",
    "DEFINE_bool": "switch",
    "DEFINE_boolean": "switch",
}
_NUMBER_KINDS: Mapping[type, Kind] = {bool: "switch", int: "int", float: "float", str: "text"}


@dataclass(frozen=True, slots=True)
class DeclaredOption:
    """An option as its script declares it.

    Attributes:
        name: As it is given on the command line, without the dashes.
        line: Where it is declared.
        kind: What the program makes of its text; ``"untyped"`` if it stays a text by oversight.
        default: Its default, where that is a literal.
        choices: All values it may have; empty if the script does not say.
        low: The smallest value it may have, where the script says so; likewise ``high``.
        high: The largest.
        long: Whether it can be given as ``--name=value``.
    """

    name: str
    line: int
    kind: Kind
    default: Literals | None = None
    choices: tuple[Literals, ...] = ()
    low: float | None = None
    high: float | None = None
    long: bool = True


def declared_options(tree: ast.Module, constants: Constants) -> list[DeclaredOption]:
    """Return the options that the script declares, in reading order, each name once."""
    found: dict[str, DeclaredOption] = {}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        option = _option(call, constants)
        if option is not None:
            found.setdefault(option.name, option)
    return list(found.values())


def constants_of(tree: ast.Module) -> Constants:
    """Return the module's names that are bound once, to a literal."""
    bound: dict[str, list[object]] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            value = literal(statement.value, {})
            bound.setdefault(statement.targets[0].id, []).append(value)
    return {name: values[0] for name, values in bound.items() if len(values) == 1}


def literal(node: ast.expr | None, constants: Constants) -> object:
    """Return the value of a literal or of a constant's name; None for anything else."""
    if isinstance(node, ast.Name):
        return constants.get(node.id)
    try:
        return None if node is None else ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def called_name(call: ast.Call) -> str:
    """Return the last part of the name that is called: ``add_argument``; ``""`` if it has none."""
    return _last_name(call.func)


def _option(call: ast.Call, constants: Constants) -> DeclaredOption | None:
    name = called_name(call)
    if name == "add_argument":
        return _argparse(call, constants)
    if name == "option":
        return _click(call, constants)
    if name in _ABSL:
        return _absl(call, _ABSL[name], constants)
    return None


def _argparse(call: ast.Call, constants: Constants) -> DeclaredOption | None:
    flags = _texts(call.args, constants)
    keywords = _keywords(call)
    if not flags:
        return None
    default = _plain(literal(keywords.get("default"), constants))
    if "action" in keywords and literal(keywords["action"], constants) != "store":
        kind: Kind = "switch"
    elif "nargs" in keywords and literal(keywords["nargs"], constants) != "?":
        kind = "several"
    elif "type" in keywords:
        kind = _kind(keywords["type"], default)
    else:
        kind = "untyped"
    choices = _choices(keywords.get("choices"), constants)
    return _named(flags, call, kind, default, choices)


def _click(call: ast.Call, constants: Constants) -> DeclaredOption | None:
    flags = [flag for flag in _texts(call.args, constants) if flag.startswith("-")]
    keywords = _keywords(call)
    if not flags:
        return None
    default = _plain(literal(keywords.get("default"), constants))
    if "is_flag" in keywords or "count" in keywords or any("/" in flag for flag in flags):
        return _named(flags, call, "switch", default, ())
    if "multiple" in keywords or "nargs" in keywords:
        return _named(flags, call, "several", default, ())
    kind: Kind = "text" if default is None else _NUMBER_KINDS[type(default)]
    choices: tuple[Literals, ...] = ()
    low = high = None
    wanted = keywords.get("type")
    if isinstance(wanted, ast.Call):
        name = called_name(wanted)
        inner = _keywords(wanted)
        if name == "Choice":
            kind, choices = "text", _choices(wanted.args[0] if wanted.args else None, constants)
        elif name in ("IntRange", "FloatRange"):
            kind = _TYPES[name]
            ends = [*wanted.args, *[None] * 2]
            low = _bound(inner.get("min", ends[0]), constants)
            high = _bound(inner.get("max", ends[1]), constants)
        else:
            kind = "unknown"
    elif wanted is not None:
        kind = _kind(wanted, default)
    return _named(flags, call, kind, default, choices, low=low, high=high)


def _absl(call: ast.Call, kind: Kind, constants: Constants) -> DeclaredOption | None:
    keywords = _keywords(call)
    parts: dict[str, ast.expr] = dict(zip(("name", "default", "third"), call.args, strict=False))
    parts.update(keywords)
    name = literal(parts.get("name"), constants)
    if not isinstance(name, str):
        return None
    default = _plain(literal(parts.get("default"), constants))
    choices = parts.get("enum_values", parts.get("third"))
    known = _choices(choices, constants) if called_name(call) == "DEFINE_enum" else ()
    low = _bound(keywords.get("lower_bound"), constants)
    high = _bound(keywords.get("upper_bound"), constants)
    return _named([f"--{name}"], call, kind, default, known, low=low, high=high)


def _named(
    flags: Sequence[str],
    call: ast.Call,
    kind: Kind,
    default: Literals | None,
    choices: tuple[Literals, ...],
    *,
    low: float | None = None,
    high: float | None = None,
) -> DeclaredOption:
    long = next((flag for flag in flags if flag.startswith("--")), "")
    name = (long or flags[0]).lstrip("-").partition("/")[0]
    return DeclaredOption(name, call.lineno, kind, default, choices, low, high, bool(long))


def _kind(node: ast.expr, default: Literals | None) -> Kind:
    known = _TYPES.get(_last_name(node))
    if known is None and default is not None:
        return _NUMBER_KINDS[type(default)]
    return known or "unknown"


def _choices(node: ast.expr | None, constants: Constants) -> tuple[Literals, ...]:
    found = literal(node, constants)
    if not isinstance(found, list | tuple | set):
        return ()
    values = sorted(found, key=str) if isinstance(found, set) else found
    plain = [value for value in map(_plain, values) if value is not None]
    return tuple(plain) if len(plain) == len(values) else ()


def _bound(node: ast.expr | None, constants: Constants) -> float | None:
    value = literal(node, constants)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _plain(value: object) -> Literals | None:
    return value if isinstance(value, bool | int | float | str) else None


def _texts(nodes: Sequence[ast.expr], constants: Constants) -> list[str]:
    values = (literal(node, constants) for node in nodes)
    return [value for value in values if isinstance(value, str)]


def _keywords(call: ast.Call) -> dict[str, ast.expr]:
    return {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg is not None}


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
