"""The marks that every process of a trial carries, however it was forked: environment variables."""

__all__ = ["MARK", "OWNER"]

MARK = "TUNESMITH_TRIAL_DIR"
"""The trial's working directory."""

OWNER = "TUNESMITH_WORKER"
"""The name of the tuner that started it: two tuners may run attempts of one trial, one after the other."""
