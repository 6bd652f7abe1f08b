"""Our own tables, in the schema `registry` beside MLflow's in `public`.

No foreign key ever points into MLflow's tables: their migrations must stay free to rebuild them.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB, UUID

SCHEMA = "registry"

metadata = sa.MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    },
)


def _time(name: str, *, optional: bool = False, default: bool = False) -> sa.Column[object]:
    return sa.Column(
        name, sa.DateTime(timezone=True), nullable=optional, server_default=sa.func.now() if default else None
    )


workspaces = sa.Table(
    "workspaces",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    _time("created_at", default=True),
)

environments = sa.Table(
    "environments",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("stages", ARRAY(sa.Text), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    _time("created_at", default=True),
    sa.Column("freeze_reason", sa.Text),  # null: not frozen
    sa.Column("freeze_by", sa.Text),
    _time("freeze_at", optional=True),
    _time("freeze_until", optional=True),
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("id", UUID(as_uuid=False), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("hash", BYTEA, nullable=False, unique=True),
    sa.Column("scopes", ARRAY(sa.Text), nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    _time("created_at", default=True),
    _time("expires_at", optional=True),
    _time("revoked_at", optional=True),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    _time("at"),
    *(
        sa.Column(name, sa.Text, nullable=False)
        for name in ("action", "actor_id", "actor", "workspace", "environment", "model", "subject")
    ),
    # Not JSONB, which writes numbers its own way: what is read must be what was hashed.
    sa.Column("before", sa.JSON(none_as_null=True)),
    sa.Column("after", sa.JSON(none_as_null=True)),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Index("audit_at_idx", "at"),
    sa.Index("audit_environment_seq_idx", "environment", "seq"),
    sa.Index("audit_model_seq_idx", "model", "seq"),
)

imports = sa.Table(
    "imports",
    metadata,
    sa.Column("id", UUID(as_uuid=False), primary_key=True),
    sa.Column("workspace", sa.ForeignKey(workspaces.c.name), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("received_key", sa.Text, nullable=False),  # `key`, before the archive's digest was known
    sa.Column("idempotency_key", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("options", JSONB, nullable=False),
    sa.Column("source", JSONB, nullable=False, server_default="{}"),
    sa.Column("archive_digest", sa.Text, nullable=False),
    sa.Column("archive_size", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    _time("created_at", default=True),
    _time("started_at", optional=True),
    _time("finished_at", optional=True),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("progress", JSONB, nullable=False, server_default="{}"),
    sa.Column("report", JSONB),
    sa.Column("problem", JSONB),
    # Set in the state `same`: the archive proved to be that of this other import, which answers for both.
    sa.Column("same_as", sa.ForeignKey("registry.imports.id")),
    sa.CheckConstraint(
        "state IN ('received', 'running', 'done', 'failed', 'refused', 'cancelled', 'same')", name="state"
    ),
    sa.CheckConstraint("(state = 'same') = (same_as IS NOT NULL)", name="same_as"),
    sa.Column("created_by_id", sa.Text, nullable=False, server_default=""),
    sa.Column("request_id", sa.Text, nullable=False, server_default=""),
    # The same archive with the same options is one import, as long as it was not turned away.
    sa.Index(
        "imports_key_live_key", "key", unique=True, postgresql_where=sa.text("state IN ('received','running','done')")
    ),
    sa.Index(
        "imports_idempotency_key",
        "workspace",
        "idempotency_key",
        unique=True,
        postgresql_where=sa.text("idempotency_key IS NOT NULL AND state IN ('received','running','done')"),
    ),
    sa.Index(
        "imports_received_key_idx", "received_key", postgresql_where=sa.text("state IN ('received','running','done')")
    ),
    sa.Index("imports_workspace_created_at_idx", "workspace", "created_at"),
)

uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("id", UUID(as_uuid=False), primary_key=True),
    sa.Column("workspace", sa.ForeignKey(workspaces.c.name), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("part_size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("multipart", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    _time("created_at", default=True),
    _time("expires_at"),
    sa.CheckConstraint("state IN ('open', 'completed', 'ending')", name="state"),
    # Who announces the same archive again goes on with the upload that is there.
    sa.Index(
        "uploads_open_key",
        "workspace",
        "sha256",
        "size",
        unique=True,
        postgresql_where=sa.text("state = 'open' AND sha256 <> ''"),
    ),
    sa.Index("uploads_unfinished_idx", "expires_at", postgresql_where=sa.text("state <> 'completed'")),
)

experiments = sa.Table(
    "experiments",
    metadata,
    sa.Column("workspace", sa.ForeignKey(workspaces.c.name), primary_key=True),
    sa.Column("original_id", sa.Text, primary_key=True),
    sa.Column("original_name", sa.Text, primary_key=True),
    sa.Column("experiment_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("named", sa.Boolean, nullable=False),  # false: a made-up name, until an export names it
    sa.Column("import_id", sa.ForeignKey(imports.c.id), nullable=False),
    sa.Column("lineage", JSONB, nullable=False, server_default="{}"),
    sa.Index("experiments_experiment_id_idx", "experiment_id"),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("workspace", sa.ForeignKey(workspaces.c.name), primary_key=True),
    sa.Column("original_run_id", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, nullable=False, unique=True),
    sa.Column("lineage", JSONB, nullable=False),
    sa.Column("import_id", sa.ForeignKey(imports.c.id), nullable=False),
)

logged_models = sa.Table(
    "logged_models",
    metadata,
    sa.Column("workspace", sa.ForeignKey(workspaces.c.name), primary_key=True),
    sa.Column("original_model_id", sa.Text, primary_key=True),
    sa.Column("model_id", sa.Text, nullable=False, unique=True),
    sa.Column("import_id", sa.ForeignKey(imports.c.id), nullable=False),
    sa.Column("lineage", JSONB, nullable=False, server_default="{}"),
)

traces = sa.Table(
    "traces",
    metadata,
    sa.Column("workspace", sa.ForeignKey(workspaces.c.name), primary_key=True),
    sa.Column("original_trace_id", sa.Text, primary_key=True),
    sa.Column("trace_id", sa.Text, nullable=False, unique=True),
    sa.Column("lineage", JSONB, nullable=False),
    sa.Column("import_id", sa.ForeignKey(imports.c.id), nullable=False),
)

evaluation_datasets = sa.Table(
    "evaluation_datasets",
    metadata,
    sa.Column("workspace", sa.ForeignKey(workspaces.c.name), primary_key=True),
    sa.Column("original_dataset_id", sa.Text, primary_key=True),
    sa.Column("dataset_id", sa.Text, nullable=False, unique=True),
    sa.Column("lineage", JSONB, nullable=False),
    sa.Column("import_id", sa.ForeignKey(imports.c.id), nullable=False),
)

# A prompt is a registered model to MLflow; here it is none, so that nothing can put it into a stage or hand it out.
prompts = sa.Table(
    "prompts",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("workspace", sa.ForeignKey(workspaces.c.name), nullable=False),
    _time("created_at", default=True),
)

prompt_versions = sa.Table(
    "prompt_versions",
    metadata,
    sa.Column("name", sa.ForeignKey(prompts.c.name), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("original_name", sa.Text, nullable=False),
    sa.Column("original_version", sa.Integer, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("lineage", JSONB, nullable=False),
    sa.Column("import_id", sa.ForeignKey(imports.c.id), nullable=False),
)

manifests = sa.Table(
    "manifests",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("files", JSONB, nullable=False),
    _time("created_at", default=True),
    _time("verified_at", optional=True),  # when the stored bytes were last looked at
)

models = sa.Table(
    "models",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("workspace", sa.ForeignKey(workspaces.c.name)),  # null: the registry's own
    sa.Column("lineage", JSONB, nullable=False, server_default="{}"),
    _time("created_at", default=True),
    sa.Column("deleted_by", sa.Text),  # null: not deleted; the name is free again, its numbers are not
    _time("deleted_at", optional=True),
)

versions = sa.Table(
    "versions",
    metadata,
    sa.Column("model", sa.ForeignKey(models.c.name, onupdate="CASCADE"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("flavors", JSONB, nullable=False),
    sa.Column("signature", JSONB),
    sa.Column("lineage", JSONB, nullable=False),
    sa.Column("workspace", sa.Text, nullable=False),
    sa.Column("original_model", sa.Text, nullable=False),
    sa.Column("original_version", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    _time("created_at", default=True),
    sa.Column("withdrawn_reason", sa.Text),  # null: not withdrawn
    sa.Column("withdrawn_by", sa.Text),
    _time("withdrawn_at", optional=True),
    sa.Column("deleted_by", sa.Text),  # null: not deleted
    _time("deleted_at", optional=True),
    # A version has its manifest as long as it is not deleted; then both go their own ways.
    sa.Column(
        "live_digest",
        sa.ForeignKey(manifests.c.digest),
        sa.Computed("CASE WHEN deleted_at IS NULL THEN digest END", persisted=True),
    ),
    sa.Index("versions_digest_idx", "digest"),
    sa.Index("versions_live_digest_idx", "live_digest"),
    sa.Index("versions_run_id_idx", "run_id"),
    sa.Index("versions_original_idx", "workspace", "original_model"),
)

transitions = sa.Table(
    "transitions",
    metadata,
    sa.Column("environment", sa.Text, primary_key=True),
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("stage", sa.Text, primary_key=True),
    sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer),
    sa.Column("digest", sa.Text),
    sa.Column("previous_version", sa.Integer),
    sa.Column("previous_digest", sa.Text),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("promotion_id", UUID(as_uuid=False)),
    sa.Column("restores", sa.BigInteger),
    sa.Column("over_freeze", sa.Boolean, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("actor_id", sa.Text, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    _time("at"),
    sa.CheckConstraint("kind IN ('promotion', 'rollback', 'withdrawal', 'import', 'emptied')", name="kind"),
    sa.CheckConstraint("(version IS NULL) = (digest IS NULL)", name="digest"),
    sa.Index("transitions_model_version_idx", "model", "version"),
    sa.Index("transitions_at_idx", "at"),
)

assignments = sa.Table(
    "assignments",
    metadata,
    sa.Column("environment", sa.ForeignKey(environments.c.name), primary_key=True),
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("stage", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("assigned_by", sa.Text, nullable=False),
    _time("assigned_at"),
    sa.Column("comment", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(["model", "version"], [versions.c.model, versions.c.version]),
    # What is current is a change that was recorded.
    sa.ForeignKeyConstraint(
        ["environment", "model", "stage", "revision"],
        [transitions.c.environment, transitions.c.model, transitions.c.stage, transitions.c.revision],
        name="assignments_transition_fkey",
    ),
    sa.Index("assignments_model_version_idx", "model", "version"),
)

policies = sa.Table(
    "policies",
    metadata,
    sa.Column("environment", sa.ForeignKey(environments.c.name, ondelete="CASCADE"), primary_key=True),
    sa.Column("model", sa.Text, primary_key=True),  # empty: the environment's own
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("document", JSONB),  # null: from here on the model has none of its own
    sa.Column("by", sa.Text, nullable=False),
    _time("at"),
)
