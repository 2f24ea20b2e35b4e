"""What the routes' paths, queries and bodies may hold."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import Field

from tunesmith.storage.wire import Number

__all__ = ["Metrics", "Reason", "StudyName", "TrialNumber", "Values", "WholeNumber"]

StudyName = Annotated[str, Path(min_length=1, max_length=100, description="The study's name.")]
TrialNumber = Annotated[int, Path(ge=1, le=2**31 - 1, description="The trial's number.")]
WholeNumber = Annotated[int, Query(ge=0, le=2**31 - 1)]
Reason = Annotated[str, Field(max_length=10_000)]
Metrics = Annotated[
    dict[str, Number],
    Field(max_length=1000, description='One number per metric; "nan", "inf" and "-inf" by name.'),
]
Values = Annotated[
    dict[str, bool | int | float | str],
    Field(max_length=1000, description="A value for each parameter that matters."),
]
