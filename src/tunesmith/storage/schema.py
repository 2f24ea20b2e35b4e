"""The tables. Trials are rows and so are measurements, so any SQL tool shows what a study did.

Only types and statements that SQLite, PostgreSQL and MySQL share are used: JSON is text, times are
seconds since the epoch, and a number that is not finite (no database agrees on those) stands as
NULL beside its name.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

__all__ = ["HEAD", "measurement", "metadata", "study", "trial", "version"]

HEAD = "0003"
"""The newest migration; a test holds it against the migrations and these tables."""

metadata = MetaData()

study = Table(
    "study",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("spec", Text, nullable=False),
    Column("state", String(12), nullable=False),
    Column("reason", Text, nullable=False),
    Column("max_trials", Integer),
    Column("parallel_trials", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created", Double, nullable=False),
    Column("used", Double, nullable=False),
    Column("command", Text, nullable=False),
)

trial = Table(
    "trial",
    metadata,
    Column("study_id", ForeignKey("study.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("params", Text, nullable=False),
    Column("origin", String(40), nullable=False),
    Column("state", String(12), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("faults", Integer, nullable=False),
    Column("worker", String(200), nullable=False),
    Column("lease_until", Double),
    Column("stop_requested", Text, nullable=False),
    Column("metrics", Text, nullable=False),
    Column("step", BigInteger),
    Column("loss", Double),  # the first objective, smaller is better; NULL unless the trial counts
    Column("reason", Text, nullable=False),
    Column("queued", Double, nullable=False),
    Column("started", Double),
    Column("finished", Double),
    Column("revision", Integer, nullable=False),
    Column("violation", Double),  # by how much constraints are broken; NULL where the loss is
    Column("searcher", String(200)),  # who suggested it, where the algorithm chooses
    Column("explanation", Text),  # the rest of why
    Column("budget", BigInteger),
    Column("parent", Integer),
    Column("pause_requested", Text),
    Index("trial_by_state", "study_id", "state", "number"),
    Index("trial_by_rank", "study_id", "violation", "loss"),
    Index("trial_by_searcher", "study_id", "searcher", "number"),
    Index("trial_by_revision", "study_id", "revision"),
)

measurement = Table(
    "measurement",
    metadata,
    Column("study_id", ForeignKey("study.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("metric", String(200), primary_key=True),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("value", Double),
    Column("nonfinite", String(4)),  # nan, inf or -inf where value is NULL
    Column("elapsed_s", Double, nullable=False),
    Column("revision", Integer, nullable=False, server_default="0"),
    Index("measurement_by_revision", "study_id", "revision"),
    sqlite_with_rowid=False,
)

version = Table(
    "tunesmith_version",  # not Alembic's own name: MLflow, Optuna and others may share the database
    MetaData(),
    Column("version_num", String(32), primary_key=True, nullable=False),
)
