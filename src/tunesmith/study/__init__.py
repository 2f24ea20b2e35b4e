"""The live study: ask, report, finish."""

from tunesmith.study.advisor import refuse_endless
from tunesmith.study.checks import check_metrics, check_step
from tunesmith.study.choice import Choices
from tunesmith.study.live import Observer
from tunesmith.study.opening import StoppingLike
from tunesmith.study.study import Study
from tunesmith.study.worker import is_dead

__all__ = [
    "Choices",
    "Observer",
    "StoppingLike",
    "Study",
    "check_metrics",
    "check_step",
    "is_dead",
    "refuse_endless",
]
