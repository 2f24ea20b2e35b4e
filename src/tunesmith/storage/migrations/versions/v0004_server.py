"""Projects, and what a server keeps: tokens, answers, trials' files, jobs.

Until now there were tables on SQLite only. From here on they may be on MySQL, which ends the
transaction with every change of a table: so each step first looks whether an upgrade that broke off
has done it.
"""

import sqlalchemy as sa
from alembic import op

from tunesmith.storage.schema import LongText, on_mysql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Put the studies that are there into the default project; make the server's tables."""
    inspector = sa.inspect(op.get_bind())
    columns = {column["name"] for column in inspector.get_columns("study")}
    unique = {c["name"]: c["column_names"] for c in inspector.get_unique_constraints("study")}
    unnamed = {"uq": "uq_%(table_name)s_%(column_0_name)s"}  # what SQLite calls None
    with op.batch_alter_table("study", naming_convention=unnamed) as study:
        if "project" not in columns:
            study.add_column(
                sa.Column("project", sa.String(100), nullable=False, server_default="default")
            )
        if "study_by_name" not in unique:
            study.create_unique_constraint("study_by_name", ["project", "name"])
        for name, of in unique.items():
            if of == ["name"]:
                study.drop_constraint(name or "uq_study_name", type_="unique")
    for name, make in (
        ("artifact", _make_artifact),
        ("answer", _make_answer),
        ("token", _make_token),
        ("job", _make_job),
    ):
        if not inspector.has_table(name):
            make()


def _make_artifact() -> None:
    op.create_table(
        "artifact",
        sa.Column("study_id", sa.Integer, sa.ForeignKey("study.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("path", sa.String(500), primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("stored", sa.Double, nullable=False),
        sa.Index("artifact_by_sha256", "sha256"),
        **on_mysql,
    )


def _make_answer() -> None:
    op.create_table(
        "answer",
        sa.Column("key", sa.String(220), primary_key=True),
        sa.Column("verb", sa.String(40), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("answer", LongText, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Index("answer_by_age", "at"),
        **on_mysql,
    )


def _make_token() -> None:
    op.create_table(
        "token",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("role", sa.String(12), nullable=False),
        sa.Column("project", sa.String(100), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("parent", sa.String(32), nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("expires", sa.Double),
        sa.Column("used", sa.Double),
        sa.Column("revoked", sa.Double),
        **on_mysql,
    )


def _make_job() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("project", sa.String(100), nullable=False),
        sa.Column("study", sa.String(200), nullable=False),
        sa.Column("file", sa.String(500), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("code_size", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("submitted", sa.Double, nullable=False),
        sa.Column("started", sa.Double),
        sa.Column("finished", sa.Double),
        sa.Column("exit_status", sa.Integer),
        sa.Column("reason", LongText, nullable=False),
        sa.Column("stop_requested", LongText, nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("lease_until", sa.Double),
        sa.Column("starts", sa.Integer, nullable=False),
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("submitter", sa.String(64), nullable=False),
        sa.Index("job_by_project", "project", "submitted"),
        sa.Index("job_by_state", "state", "submitted"),
        **on_mysql,
    )
