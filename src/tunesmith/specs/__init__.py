"""Texts become values and values texts: the native file, the command line, a script's options."""

from tunesmith.specs.init import init_yaml
from tunesmith.specs.inline import (
    parse_assignment,
    parse_parameter,
    parse_parameters,
    parse_prior,
    parse_setting,
)
from tunesmith.specs.native import TuneFile, parse_study, read_study
from tunesmith.specs.quantities import (
    format_duration,
    format_memory,
    parse_duration,
    parse_memory,
)
from tunesmith.specs.render import render_problem, render_problems
from tunesmith.specs.script import ScannedOption, ScannedScript, scan_script
from tunesmith.specs.stopping import check_stopping, parse_stopping
from tunesmith.specs.write import parameter_yaml, study_yaml

__all__ = [
    "ScannedOption",
    "ScannedScript",
    "TuneFile",
    "check_stopping",
    "format_duration",
    "format_memory",
    "init_yaml",
    "parameter_yaml",
    "parse_assignment",
    "parse_duration",
    "parse_memory",
    "parse_parameter",
    "parse_parameters",
    "parse_prior",
    "parse_setting",
    "parse_stopping",
    "parse_study",
    "read_study",
    "render_problem",
    "render_problems",
    "scan_script",
    "study_yaml",
]
