"""The mark that every process of a trial carries, however it was forked."""

__all__ = ["MARK"]

MARK = "TUNESMITH_TRIAL_DIR"
"""An environment variable; its value is the trial's working directory."""
