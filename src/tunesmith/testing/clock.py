"""A clock that a test turns."""

__all__ = ["Clock"]


class Clock:
    """Shows ``now``, in seconds since the epoch, until somebody sets it."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time."""
        return self.now
