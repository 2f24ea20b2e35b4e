"""The live study: ask, report, finish."""

from tunesmith.study.study import Observer, Study, check_metrics, check_step

__all__ = ["Observer", "Study", "check_metrics", "check_step"]
