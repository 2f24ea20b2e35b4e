"""Trials that are paused, resumed and copied; measurements in the order in which they came."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns; no study that is there stops trials early."""
    op.add_column("trial", sa.Column("budget", sa.BigInteger))
    op.add_column("trial", sa.Column("parent", sa.Integer))
    op.add_column("trial", sa.Column("pause_requested", sa.Text))
    op.add_column(
        "measurement", sa.Column("revision", sa.Integer, nullable=False, server_default="0")
    )
    op.create_index("measurement_by_revision", "measurement", ["study_id", "revision"])

    study = sa.table("study", sa.column("id", sa.Integer), sa.column("spec", sa.Text))
    connection = op.get_bind()
    none = {"target": None, "time_s": None, "no_improvement": None, "expected_gain": None}
    for row in connection.execute(sa.select(study)).all():
        spec = json.loads(row.spec) | {"stopping": [], "max_steps": None, "ending": none}
        text = json.dumps(spec, ensure_ascii=False, separators=(",", ":"))
        connection.execute(sa.update(study).where(study.c.id == row.id).values(spec=text))
