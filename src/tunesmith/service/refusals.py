"""Why the server does not take bytes that a client sends: too many, not these, not here."""

from tunesmith.errors import TunesmithError

__all__ = ["BusyError", "OffsetError", "PathError", "TooLargeError", "WrongContentError"]


class TooLargeError(TunesmithError):
    """More than the server takes of one thing, or of one project."""


class WrongContentError(TunesmithError):
    """The bytes are not those that were announced."""


class PathError(TunesmithError):
    """A name of a file that could lead out of its place."""


class BusyError(TunesmithError):
    """Another client is sending the same now."""


class OffsetError(TunesmithError):
    """The bytes do not follow on those that are there.

    Attributes:
        wanted: Where the next ones have to begin.
    """

    def __init__(self, message: str, wanted: int) -> None:
        self.wanted = wanted
        super().__init__(message)
