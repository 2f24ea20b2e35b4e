"""Ends hopeless trials early and promotes good ones: stopping rules, and schedules that own the budget."""

from tunesmith.stopping.base import (
    Begin,
    Halt,
    Move,
    Resume,
    Schedule,
    StoppingRule,
    make_rules,
    make_schedule,
    resting,
)
from tunesmith.stopping.plan import Bracket, Plan, Rung
from tunesmith.stopping.verdict import GO_ON, Verdict, judge

__all__ = [
    "GO_ON",
    "Begin",
    "Bracket",
    "Halt",
    "Move",
    "Plan",
    "Resume",
    "Rung",
    "Schedule",
    "StoppingRule",
    "Verdict",
    "judge",
    "make_rules",
    "make_schedule",
    "resting",
]
