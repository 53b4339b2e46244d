"""The store as it began."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Of an advisory lock of PostgreSQL: who numbers judgements shares it, who cuts a snapshot has it alone.
CUT_LOCK = 0x63757400

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, and have the database refuse to change a judgement."""
    _people()
    _texts()
    _items()
    _judging()
    _records()
    _append_only()
    _numbered_in_turn()


def _people() -> None:
    """Raters, campaigns with their guidelines, who comes in and who takes part."""
    op.create_table(
        "rater",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("pseudonym", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("guest", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.String(length=400), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled", sa.DateTime(timezone=True), nullable=True),
        sa.Column("erased", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_rater"),
        sa.UniqueConstraint("name", name="uq_rater_name"),
        sa.UniqueConstraint("pseudonym", name="uq_rater_pseudonym"),
    )
    op.create_table(
        "campaign",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("form", sa.JSON(), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column("raters_per_item", sa.Integer(), nullable=False),
        sa.Column("overlap", sa.Double(), nullable=False),
        sa.Column("gold_share", sa.Double(), nullable=False),
        sa.Column("lease_s", sa.Integer(), nullable=False),
        sa.Column("qualify_items", sa.Integer(), nullable=False),
        sa.Column("pass_mark", sa.Double(), nullable=False),
        sa.Column("rater_share", sa.Double(), nullable=False),
        sa.Column("pause_gold", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("gold_share >= 0 AND gold_share < 1", name=op.f("ck_campaign_gold_share")),
        sa.CheckConstraint("overlap >= 0 AND overlap <= 1", name=op.f("ck_campaign_overlap")),
        sa.CheckConstraint("pass_mark > 0 AND pass_mark <= 1", name=op.f("ck_campaign_pass_mark")),
        sa.CheckConstraint("pause_gold >= 0", name=op.f("ck_campaign_pause_gold")),
        sa.CheckConstraint("qualify_items >= 0", name=op.f("ck_campaign_qualify_items")),
        sa.CheckConstraint("rater_share > 0 AND rater_share <= 1", name=op.f("ck_campaign_rater_share")),
        sa.CheckConstraint("raters_per_item >= 1", name=op.f("ck_campaign_raters")),
        sa.PrimaryKeyConstraint("id", name="pk_campaign"),
        sa.UniqueConstraint("name", name="uq_campaign_name"),
    )
    op.create_table(
        "guideline",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name="fk_guideline_campaign_id"),
        sa.PrimaryKeyConstraint("id", name="pk_guideline"),
        sa.UniqueConstraint("campaign_id", "version", name="uq_guideline_campaign_id_version"),
    )
    op.create_table(
        "token",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("rater_id", sa.Uuid(), nullable=True),
        sa.Column("campaign_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=True),
        sa.Column("places", sa.Integer(), nullable=True),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("places >= 0", name=op.f("ck_token_places")),
        sa.CheckConstraint("(kind = 'join') = (campaign_id IS NOT NULL)", name=op.f("ck_token_campaign")),
        sa.CheckConstraint("(kind = 'join') = (rater_id IS NULL)", name=op.f("ck_token_rater")),
        sa.CheckConstraint("kind = 'join' OR expires IS NOT NULL", name=op.f("ck_token_expires")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name="fk_token_campaign_id"),
        sa.ForeignKeyConstraint(["rater_id"], ["rater.id"], name="fk_token_rater_id"),
        sa.PrimaryKeyConstraint("id", name="pk_token"),
        sa.UniqueConstraint("sha256", name="uq_token_sha256"),
    )
    op.create_index("ix_token_rater_id", "token", ["rater_id"])
    op.create_table(
        "participation",
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("rater_id", sa.Uuid(), nullable=False),
        sa.Column("standing", sa.String(length=16), nullable=False),
        sa.Column("gold_since", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.String(length=200), nullable=True),
        sa.Column("completion_code", sa.String(length=16), nullable=True),
        sa.Column("joined", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name="fk_participation_campaign_id"),
        sa.ForeignKeyConstraint(["rater_id"], ["rater.id"], name="fk_participation_rater_id"),
        sa.PrimaryKeyConstraint("campaign_id", "rater_id", name="pk_participation"),
        sa.UniqueConstraint("campaign_id", "worker", name="uq_participation_campaign_id_worker"),
        sa.UniqueConstraint("completion_code", name="uq_participation_completion_code"),
    )
    op.create_index("ix_participation_rater_id", "participation", ["rater_id"])


def _texts() -> None:
    """Prompts and answers."""
    op.create_table(
        "prompt",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_prompt"),
        sa.UniqueConstraint("sha256", name="uq_prompt_sha256"),
    )
    op.create_index("ix_prompt_key", "prompt", ["key"])
    op.create_table(
        "response",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("prompt_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("run", sa.Text(), nullable=True),
        sa.Column("sampling", sa.JSON(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompt.id"], name="fk_response_prompt_id"),
        sa.PrimaryKeyConstraint("id", name="pk_response"),
        sa.UniqueConstraint("prompt_id", "sha256", name="uq_response_prompt_id_sha256"),
    )


def _items() -> None:
    """What is judged: prompts with answers side by side, and what is known to be right."""
    op.create_table(
        "item",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("prompt_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=True),
        sa.Column("free", sa.Integer(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("free >= 0 AND free <= wanted", name=op.f("ck_item_free")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name="fk_item_campaign_id"),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompt.id"], name="fk_item_prompt_id"),
        sa.PrimaryKeyConstraint("id", name="pk_item"),
        sa.UniqueConstraint("campaign_id", "sha256", name="uq_item_campaign_id_sha256"),
    )
    op.create_index("ix_item_open", "item", ["campaign_id", "place"], **_where("free > 0"))
    op.create_index("ix_item_prompt_id", "item", ["prompt_id"])
    op.create_table(
        "candidate",
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("response_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_candidate_item_id"),
        sa.ForeignKeyConstraint(["response_id"], ["response.id"], name="fk_candidate_response_id"),
        sa.PrimaryKeyConstraint("item_id", "response_id", name="pk_candidate"),
        sa.UniqueConstraint("item_id", "position", name="uq_candidate_item_id_position"),
    )
    op.create_table(
        "gold_key",
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("expected", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_gold_key_item_id"),
        sa.PrimaryKeyConstraint("item_id", name="pk_gold_key"),
    )


def _judging() -> None:
    """Who was given what, and said what."""
    op.create_table(
        "assignment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("rater_id", sa.Uuid(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("adjudicates", sa.Boolean(), nullable=False),
        sa.Column("shown", sa.JSON(), nullable=False),
        sa.Column("guideline_version", sa.Integer(), nullable=False),
        sa.Column("given", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("draft", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name="fk_assignment_campaign_id"),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_assignment_item_id"),
        sa.ForeignKeyConstraint(["rater_id"], ["rater.id"], name="fk_assignment_rater_id"),
        sa.PrimaryKeyConstraint("id", name="pk_assignment"),
        sa.UniqueConstraint("item_id", "rater_id", name="uq_assignment_item_id_rater_id"),
        sa.UniqueConstraint("item_id", "slot", name="uq_assignment_item_id_slot"),
    )
    op.create_index("ix_assignment_lease", "assignment", ["campaign_id", "status", "lease_until"])
    op.create_index("ix_assignment_rater_id", "assignment", ["rater_id"])
    held = _where("status = 'held'")
    op.create_index("uq_assignment_one_held", "assignment", ["campaign_id", "rater_id"], unique=True, **held)
    op.create_table(
        "judgement",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("assignment_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("guideline_version", sa.Integer(), nullable=False),
        sa.Column("active_s", sa.Double(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["assignment_id"], ["assignment.id"], name="fk_judgement_assignment_id"),
        sa.PrimaryKeyConstraint("number", name="pk_judgement"),
        sa.UniqueConstraint(
            "assignment_id", "idempotency_key", name="uq_judgement_assignment_id_idempotency_key"
        ),
        sa.UniqueConstraint("assignment_id", "revision", name="uq_judgement_assignment_id_revision"),
        sa.UniqueConstraint("id", name="uq_judgement_id"),
        sqlite_autoincrement=True,
    )


def _records() -> None:
    """What was done to the store, and taken of it."""
    op.create_table(
        "audit",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["rater.id"], name="fk_audit_actor_id"),
        sa.PrimaryKeyConstraint("number", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_subject", "audit", ["action", "subject"])
    op.create_table(
        "export",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("judgements", sa.Integer(), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name="fk_export_campaign_id"),
        sa.PrimaryKeyConstraint("id", name="pk_export"),
    )
    op.create_index("ix_export_campaign_id", "export", ["campaign_id"])


def _where(condition: str) -> dict[str, Any]:
    """The condition of a partial index, on both databases."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _append_only() -> None:
    """Have the database refuse to change a judgement."""
    trigger = "CREATE TRIGGER judgement_is_append_only BEFORE UPDATE ON judgement"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"{trigger} BEGIN SELECT RAISE(ABORT, 'judgements are append-only'); END")
        return
    op.execute(
        "CREATE FUNCTION judgement_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'judgements are append-only'; END $$"
    )
    op.execute(f"{trigger} FOR EACH ROW EXECUTE FUNCTION judgement_is_append_only()")


def _numbered_in_turn() -> None:
    """Have PostgreSQL take the lock before it counts up; SQLite has one writer at a time by itself."""
    if op.get_bind().dialect.name == "sqlite":
        return
    op.execute(
        "CREATE FUNCTION judgement_takes_its_turn() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN PERFORM pg_advisory_xact_lock_shared({CUT_LOCK}); RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER judgement_takes_its_turn BEFORE INSERT ON judgement "
        "FOR EACH STATEMENT EXECUTE FUNCTION judgement_takes_its_turn()"
    )
