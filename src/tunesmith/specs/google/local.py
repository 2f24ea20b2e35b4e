"""A job as it is run on this machine: in place of what its file says, or by what that calls for."""

from collections.abc import Sequence
from dataclasses import replace

from tunesmith.errors import Problem, SpecError
from tunesmith.model import Program, Resources
from tunesmith.model.job import Job, Pool
from tunesmith.specs.google.job_writing import IMAGE

__all__ = ["check_runs", "command_of", "job_program", "with_command"]


def with_command(job: Job, words: Sequence[str]) -> Job:
    """Return the job with a command in place of what its primary runs.

    Pools that would run the same as the primary, or nothing, run the command too.

    Args:
        job: The job.
        words: The command; empty to leave the job as it is.
    """

    def given(pool: Pool) -> Pool:
        if not pool.replicas or (_runs(pool) != _runs(job.primary) and _says(pool)):
            return pool
        return replace(
            pool, image="", command=tuple(words[:1]), package=None, args=tuple(words[1:])
        )

    return replace(job, pools=tuple(map(given, job.pools))) if words else job


def check_runs(job: Job) -> None:
    """Raise `SpecError` if a pool has nothing to run; says what to do."""
    if any(pool.image == IMAGE and not (pool.command or pool.package) for pool in job.pools):
        message = (
            f"the file still says {IMAGE} where an image is to be named. Name it, or give the command"
            " behind --, as in: -- python -m trainer.task"
        )
        raise SpecError([Problem("E121", message)])
    if not all(_says(pool) for pool in job.pools if pool.replicas):
        message = (
            "the file does not say what to run. Give the command behind --, as in:"
            " -- python -m trainer.task"
        )
        raise SpecError([Problem("E121", message)])


def job_program(job: Job) -> Program:
    """Return the limits of a job's trials as those of a program, whose command tells jobs apart."""
    pool = job.primary
    words = (*pool.command, *pool.args) if not pool.image else command_of(job)
    program = Program(
        words or (pool.image, *pool.args), resources=Resources(time_limit_s=job.time_limit_s)
    )
    return replace(program, retries=0) if job.restart == "never" else program


def command_of(job: Job) -> tuple[str, ...]:
    """Return the words that start the primary; none where only its image knows them."""
    pool = job.primary
    words: tuple[str, ...] = ()
    if pool.command:
        words = (*pool.command, *pool.args)
    elif pool.package is not None:
        words = ("python3", "-m", pool.package.module, *pool.args)
    # The folder of the job is told to the program, and each trial has one of its own.
    told = words and job.world == "cmle" and job.output
    return (*words, "--job-dir={trial_dir}") if told else words


def _says(pool: Pool) -> bool:
    return bool(pool.command or pool.package or pool.image)


def _runs(pool: Pool) -> tuple[object, ...]:
    return pool.image, pool.command, pool.package
