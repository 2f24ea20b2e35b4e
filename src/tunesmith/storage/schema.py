"""The tables. Trials are rows and so are measurements, so any SQL tool shows what a study did.

Only types and statements that SQLite, PostgreSQL and MySQL share are used: JSON is text, times are
seconds since the epoch, and a number that is not finite (no database agrees on those) stands as
NULL beside its name.

MySQL compares texts without regard to case, accents and trailing blanks, and cuts ``TEXT`` at
64 KiB, unless told otherwise; what `on_mysql` and `LongText` say about that is for it alone.
"""

from collections.abc import Mapping
from typing import Any

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
    UniqueConstraint,
)
from sqlalchemy.dialects.mysql import LONGTEXT

__all__ = [
    "HEAD",
    "LongText",
    "answer",
    "artifact",
    "job",
    "measurement",
    "metadata",
    "on_mysql",
    "study",
    "token",
    "trial",
    "version",
]

HEAD = "0004"
"""The newest migration; a test holds it against the migrations and these tables."""

on_mysql: Mapping[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_0900_bin",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
}
LongText = Text().with_variant(LONGTEXT(), "mysql", "mariadb")

metadata = MetaData()

study = Table(
    "study",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("spec", LongText, nullable=False),
    Column("state", String(12), nullable=False),
    Column("reason", LongText, nullable=False),
    Column("max_trials", Integer),
    Column("parallel_trials", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created", Double, nullable=False),
    Column("used", Double, nullable=False),
    Column("command", LongText, nullable=False),
    Column("project", String(100), nullable=False, server_default="default"),
    UniqueConstraint("project", "name", name="study_by_name"),
    **on_mysql,
)

trial = Table(
    "trial",
    metadata,
    Column("study_id", ForeignKey("study.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("params", LongText, nullable=False),
    Column("origin", String(40), nullable=False),
    Column("state", String(12), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("faults", Integer, nullable=False),
    Column("worker", String(200), nullable=False),
    Column("lease_until", Double),
    Column("stop_requested", LongText, nullable=False),
    Column("metrics", LongText, nullable=False),
    Column("step", BigInteger),
    Column("loss", Double),  # the first objective, smaller is better; NULL unless the trial counts
    Column("reason", LongText, nullable=False),
    Column("queued", Double, nullable=False),
    Column("started", Double),
    Column("finished", Double),
    Column("revision", Integer, nullable=False),
    Column("violation", Double),  # by how much constraints are broken; NULL where the loss is
    Column("searcher", String(200)),  # who suggested it, where the algorithm chooses
    Column("explanation", LongText),  # the rest of why
    Column("budget", BigInteger),
    Column("parent", Integer),
    Column("pause_requested", LongText),
    Index("trial_by_state", "study_id", "state", "number"),
    Index("trial_by_rank", "study_id", "violation", "loss"),
    Index("trial_by_searcher", "study_id", "searcher", "number"),
    Index("trial_by_revision", "study_id", "revision"),
    **on_mysql,
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
    **on_mysql,
)

artifact = Table(  # a trial's files; what is in them is kept elsewhere, by its hash
    "artifact",
    metadata,
    Column("study_id", ForeignKey("study.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("path", String(500), primary_key=True),  # within the trial's folder, with slashes
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),  # which attempt made it
    Column("stored", Double, nullable=False),
    Index("artifact_by_sha256", "sha256"),  # which contents are still wanted
    **on_mysql,
)

answer = Table(  # what a change answered, for those who ask again because they did not hear it
    "answer",
    metadata,
    Column("key", String(220), primary_key=True),
    Column("verb", String(40), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("fingerprint", String(64), nullable=False),
    Column("answer", LongText, nullable=False),
    Column("at", Double, nullable=False),
    Index("answer_by_age", "at"),
    **on_mysql,
)

token = Table(
    "token",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("role", String(12), nullable=False),
    Column("project", String(100), nullable=False),
    Column("digest", String(64), nullable=False),  # SHA-256 of the secret
    Column("parent", String(32), nullable=False),  # the token of which it is a session
    Column("created", Double, nullable=False),
    Column("expires", Double),
    Column("used", Double),
    Column("revoked", Double),
    **on_mysql,
)

job = Table(  # what a server was handed to run
    "job",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("project", String(100), nullable=False),
    Column("study", String(200), nullable=False),  # by name: the job may make it
    Column(
        "file", String(500), nullable=False
    ),  # the one that describes the study, in the source folder
    Column("code", String(64), nullable=False),  # SHA-256 of the packed source folder
    Column("code_size", BigInteger, nullable=False),
    Column("state", String(20), nullable=False),
    Column("submitted", Double, nullable=False),
    Column("started", Double),
    Column("finished", Double),
    Column("exit_status", Integer),
    Column("reason", LongText, nullable=False),
    Column("stop_requested", LongText, nullable=False),
    Column("owner", String(200), nullable=False),  # which server runs it
    Column("lease_until", Double),  # until when others leave it to that server
    Column("starts", Integer, nullable=False),  # how often it was started
    Column("token", String(64), nullable=False),  # with what id it asks the server
    Column("submitter", String(64), nullable=False),  # the id of the token it came with
    Index("job_by_project", "project", "submitted"),
    Index("job_by_state", "state", "submitted"),
    **on_mysql,
)

version = Table(
    "tunesmith_version",  # not Alembic's own name: MLflow, Optuna and others may share the database
    MetaData(),
    Column("version_num", String(32), primary_key=True, nullable=False),
    **on_mysql,
)
