"""A part that a text names, such as a searcher or a stopping rule: its name, and its settings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import cast

from tunesmith.errors import SpecError
from tunesmith.model import Setting
from tunesmith.plugins import load_plugin
from tunesmith.specs.faults import Faults, Span, did_you_mean
from tunesmith.specs.fields import Fields, kind_of, text_of
from tunesmith.specs.located import Node, Scalar, Table

__all__ = ["NamedPart", "check_name", "check_settings", "read_part"]


@dataclass(frozen=True, slots=True)
class NamedPart:
    """What a text says of one part.

    Attributes:
        name: Its name.
        at: Where the name stands.
        settings: Its settings.
        settings_at: Where each setting's name stands.
    """

    name: str
    at: Span
    settings: Mapping[str, Setting] = field(default_factory=dict)
    settings_at: Mapping[str, Span] = field(default_factory=dict)


def read_part(node: Node, owner: str, faults: Faults) -> NamedPart | None:
    """Return the part that a name, or a mapping with a name and settings, describes.

    None, and a fault, without a name.
    """
    if not isinstance(node, Table):
        name = text_of(node, owner, faults)
        return None if name is None else NamedPart(name, node.at)
    inner = Fields(node, faults, owner=owner)
    inner.require("name")
    name = inner.text("name")
    settings: dict[str, Setting] = {}
    for key, entry in node.entries.items():
        value = entry.node.value if isinstance(entry.node, Scalar) else None
        if key == "name":
            continue
        if value is None:
            message = f"{owner}: {key} must be a single value, not {kind_of(entry.node)}"
            faults.add("E101", message, entry.node.at)
        else:
            settings[key] = value
    places = {key: node.entries[key].key_at for key in settings}
    return None if name is None else NamedPart(name, inner.at("name"), settings, places)


def check_name(part: NamedPart, noun: str, known: Sequence[str], faults: Faults) -> bool:
    """Whether such a part is installed; if not, that is a fault."""
    if part.name in known:
        return True
    message = f"there is no {noun} {part.name!r}; installed are {', '.join(known) or 'none'}"
    faults.add("E120", message, part.at, hint=did_you_mean(part.name, known))
    return False


def check_settings(
    part: NamedPart, role: str, make: Callable[[Mapping[str, Setting]], object], faults: Faults
) -> None:
    """Take note of settings that the part refuses, at the first without which it would not.

    Args:
        part: The part; it is installed.
        role: The role it plays.
        make: Makes it with settings; raises `SpecError` where they make no sense.
        faults: Takes the faults.
    """
    error = _refusal(make, part.settings)
    if error is None:
        return
    rest = ({k: v for k, v in part.settings.items() if k != key} for key in part.settings)
    culprits = (
        key for key, without in zip(part.settings, rest, strict=True) if not _refusal(make, without)
    )
    culprit = next(culprits, "")
    at = part.settings_at[culprit] if culprit else part.at
    for problem in error.problems:
        hint = problem.hint or _other_setting(culprit, role, part.name)
        faults.add("E120", problem.message, at, hint=hint)


def _other_setting(given: str, role: str, name: str) -> str:
    """Return the hint that another setting may be meant; ``""`` where the part has the given one."""
    known = signature(cast("Callable[..., object]", load_plugin(role, name))).parameters
    return "" if not given or given in known else did_you_mean(given, known)


def _refusal(
    make: Callable[[Mapping[str, Setting]], object], settings: Mapping[str, Setting]
) -> SpecError | None:
    try:
        make(settings)
    except SpecError as error:
        return error
    return None
