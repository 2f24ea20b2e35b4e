"""Why trials were suggested, and how far they break constraints."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns; the studies that are there have no constraints, so no trial breaks one."""
    op.add_column("trial", sa.Column("violation", sa.Double))
    op.add_column("trial", sa.Column("searcher", sa.String(200)))
    op.add_column("trial", sa.Column("explanation", sa.Text))
    op.execute("UPDATE trial SET violation = 0.0 WHERE loss IS NOT NULL")
    op.drop_index("trial_by_loss", "trial")
    op.create_index("trial_by_rank", "trial", ["study_id", "violation", "loss"])
    op.create_index("trial_by_searcher", "trial", ["study_id", "searcher", "number"])

    study = sa.table("study", sa.column("id", sa.Integer), sa.column("spec", sa.Text))
    connection = op.get_bind()
    for row in connection.execute(sa.select(study)).all():
        spec = json.loads(row.spec) | {"constraints": [], "warm_start": []}
        text = json.dumps(spec, ensure_ascii=False, separators=(",", ":"))
        connection.execute(sa.update(study).where(study.c.id == row.id).values(spec=text))
