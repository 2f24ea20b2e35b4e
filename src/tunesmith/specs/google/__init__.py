"""Google's documents become values and values Google's documents: Cloud ML Engine, Vertex AI, Vizier.

documents                                               which document it is, from a file or a request
training_input, hyperparameters                         a job of Cloud ML Engine
tuning_job, custom_job, study_spec, metrics, vertex_*   a job of Vertex AI, a study of Vizier
study_config                                            a study of the older optimizer API
message, times, enums, plain, findings                  how fields are read
ranges, parameters, algorithms                          what the fields of a search mean
jobs, local, tune                                       what a document comes to
conversion, *_writing                                   the way back
"""

from tunesmith.specs.google.conversion import Converted, Target, convert
from tunesmith.specs.google.documents import Document, parse_google, read_google, read_request
from tunesmith.specs.google.findings import Lost, violations
from tunesmith.specs.google.jobs import Continuation, Form, GoogleJob, study_name
from tunesmith.specs.google.local import check_runs, with_command
from tunesmith.specs.google.tune import SingleJob, searched_spec, single_job, tune_file

__all__ = [
    "Continuation",
    "Converted",
    "Document",
    "Form",
    "GoogleJob",
    "Lost",
    "SingleJob",
    "Target",
    "check_runs",
    "convert",
    "parse_google",
    "read_google",
    "read_request",
    "searched_spec",
    "single_job",
    "study_name",
    "tune_file",
    "violations",
    "with_command",
]
