"""Where trials run: commands in process groups, functions in worker processes."""

from tunesmith.execution.argv import command_line, value_texts
from tunesmith.execution.base import Ended, Executor, Outcome, Reported
from tunesmith.execution.child import Nursery
from tunesmith.execution.command import CommandExecutor
from tunesmith.execution.function import FunctionExecutor, pack_function
from tunesmith.execution.inside import infeasible, report
from tunesmith.execution.live import LiveTrial
from tunesmith.execution.mark import MARK
from tunesmith.execution.mirror import mirrored
from tunesmith.execution.slots import Slots, visible_gpus
from tunesmith.execution.tree import kill_marked
from tunesmith.execution.workdir import earlier_directory, study_directory, trial_directory

__all__ = [
    "MARK",
    "CommandExecutor",
    "Ended",
    "Executor",
    "FunctionExecutor",
    "LiveTrial",
    "Nursery",
    "Outcome",
    "Reported",
    "Slots",
    "command_line",
    "earlier_directory",
    "infeasible",
    "kill_marked",
    "mirrored",
    "pack_function",
    "report",
    "study_directory",
    "trial_directory",
    "value_texts",
    "visible_gpus",
]
