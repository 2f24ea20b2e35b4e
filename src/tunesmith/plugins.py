"""Finds the parts that play a role: searchers, storages, metric sources, built in or installed."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from inspect import signature
from typing import cast

from tunesmith.errors import NotFoundError, Problem, SpecError

__all__ = ["load_plugin", "make_part", "plugin_names"]


@cache
def _parts(role: str) -> dict[str, EntryPoint]:
    return {part.name: part for part in entry_points(group=f"tunesmith.{role}")}


def plugin_names(role: str) -> list[str]:
    """Return the names of all parts that play ``role`` (``"searchers"``, …), sorted."""
    return sorted(_parts(role))


def load_plugin(role: str, name: str) -> object:
    """Return what the entry point ``name`` of ``role`` points at.

    Raises:
        NotFoundError: there is none; the message lists those there are.
    """
    part = _parts(role).get(name)
    if part is None:
        known = ", ".join(plugin_names(role)) or "none"
        msg = f"There is no {name!r} among the installed {role.replace('_', ' ')}: {known}."
        raise NotFoundError(msg)
    found: object = part.load()
    return found


def make_part(
    role: str, noun: str, name: str, settings: Mapping[str, object], *, also: str = ""
) -> object:
    """Return what the factory ``name`` of ``role`` makes of settings.

    Args:
        role: The role.
        noun: What such a part is called, for messages.
        name: The part.
        settings: Its arguments.
        also: Another role whose parts are named in the same place, for messages.

    Raises:
        SpecError: no part of that name is installed, it has no such setting, or the setting's value makes no sense.
    """
    if name not in plugin_names(role):
        names = sorted([*plugin_names(role), *(plugin_names(also) if also else ())])
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"
        raise SpecError([Problem("E120", f"no {noun} {name!r} is installed", hint=hint)])
    factory = cast("Callable[..., object]", load_plugin(role, name))
    try:
        signature(factory).bind(**settings)
    except TypeError:
        known = ", ".join(signature(factory).parameters) or "none"
        given = ", ".join(settings) or "none"
        message = f"{noun.capitalize()} {name!r} has these settings: {known}; given: {given}."
        raise SpecError([Problem("E120", message)]) from None
    return factory(**settings)
