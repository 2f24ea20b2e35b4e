"""Finds the parts that play a role: searchers, storages, metric sources, built in or installed."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from tunesmith.errors import NotFoundError

__all__ = ["load_plugin", "plugin_names"]


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
