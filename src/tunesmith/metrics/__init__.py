"""Reads what a running trial wrote: report calls, hypertune files, TensorBoard events, prints."""

from tunesmith.metrics.base import MetricRequest, MetricSource, Reading, Remarks
from tunesmith.metrics.collect import Batch, Collector
from tunesmith.metrics.hypertune import HypertuneFile
from tunesmith.metrics.pattern import check_pattern
from tunesmith.metrics.report import ReportFile
from tunesmith.metrics.stdout import StandardOutput
from tunesmith.metrics.tensorboard import EventFiles

__all__ = [
    "Batch",
    "Collector",
    "EventFiles",
    "HypertuneFile",
    "MetricRequest",
    "MetricSource",
    "Reading",
    "Remarks",
    "ReportFile",
    "StandardOutput",
    "check_pattern",
]
