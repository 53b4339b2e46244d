"""The tables of the store (docs/feedback.md).

Keys are UUIDs, times are UTC. What orders judgements is their `number`, which the database counts up, never a
clock. The rules that nothing may break are constraints: a slot of an item is held once (`item_id, slot`), an
item comes to a rater once (`item_id, rater_id`), a rater holds one item of a campaign at a time, a revision
and a click (idempotency key) are written once, and an item has no more takers than it wants (`free >= 0`).
"""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from feedback_ui.columns import (
    Action,
    AssignmentStatus,
    Base,
    CampaignStatus,
    Number,
    Role,
    Standing,
    TokenKind,
)


class Rater(Base):
    """Who judges or manages; exports say `pseudonym`. A `guest` (by open link) sees their campaigns alone."""

    __tablename__ = "rater"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    pseudonym: Mapped[str] = mapped_column(String(40), unique=True)
    role: Mapped[Role]
    guest: Mapped[bool] = mapped_column(default=False)
    password_hash: Mapped[str | None] = mapped_column(String(400))
    created: Mapped[datetime]
    disabled: Mapped[datetime | None]
    erased: Mapped[datetime | None]


class Token(Base):
    """A session, an invitation or an open link, by its SHA-256; the token itself is with its owner.

    An open link (`join`) is of a campaign, the others of a rater; `places` people may still come by it.
    """

    __tablename__ = "token"
    __table_args__ = (
        CheckConstraint("(kind = 'join') = (rater_id IS NULL)", name="rater"),
        CheckConstraint("(kind = 'join') = (campaign_id IS NOT NULL)", name="campaign"),
        CheckConstraint("kind = 'join' OR expires IS NOT NULL", name="expires"),
        CheckConstraint("places >= 0", name="places"),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    rater_id: Mapped[UUID | None] = mapped_column(ForeignKey("rater.id"), index=True)
    campaign_id: Mapped[UUID | None] = mapped_column(ForeignKey("campaign.id"))
    kind: Mapped[TokenKind]
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created: Mapped[datetime]
    expires: Mapped[datetime | None]
    places: Mapped[int | None]
    ended: Mapped[datetime | None]


class Campaign(Base):
    """What is asked of the raters, and of how many each time.

    `form` is a `feedback_ui.form.Form`. A share `overlap` of the items goes to `raters_per_item` raters, the
    rest to one. `gold_share` of what a rater is given are items whose answer is known.

    `qualify_items` such items come first, of which a share `pass_mark` must be right. `pause_gold` wrong ones
    among the last few pause a rater (0: never). Nobody gives more than `rater_share` of all judgements.
    """

    __tablename__ = "campaign"
    __table_args__ = (
        CheckConstraint("raters_per_item >= 1", name="raters"),
        CheckConstraint("overlap >= 0 AND overlap <= 1", name="overlap"),
        CheckConstraint("gold_share >= 0 AND gold_share < 1", name="gold_share"),
        CheckConstraint("qualify_items >= 0", name="qualify_items"),
        CheckConstraint("pass_mark > 0 AND pass_mark <= 1", name="pass_mark"),
        CheckConstraint("rater_share > 0 AND rater_share <= 1", name="rater_share"),
        CheckConstraint("pause_gold >= 0", name="pause_gold"),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    question: Mapped[str] = mapped_column(Text)
    form: Mapped[dict[str, Any]]
    language: Mapped[str] = mapped_column(String(16))
    raters_per_item: Mapped[int]
    overlap: Mapped[float]
    gold_share: Mapped[float]
    lease_s: Mapped[int]
    qualify_items: Mapped[int]
    pass_mark: Mapped[float]
    rater_share: Mapped[float]
    pause_gold: Mapped[int]
    status: Mapped[CampaignStatus]
    created: Mapped[datetime]


class Guideline(Base):
    """One version of a campaign's guidelines; a version is never changed."""

    __tablename__ = "guideline"
    __table_args__ = (UniqueConstraint("campaign_id", "version"),)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaign.id"))
    version: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime]


class PromptRow(Base):
    """A prompt, text or conversation, with its other columns. Each stands here once, by its hash."""

    __tablename__ = "prompt"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    key: Mapped[str] = mapped_column(String(64), index=True)
    content: Mapped[Any] = mapped_column(JSON())
    fields: Mapped[dict[str, Any]]


class Response(Base):
    """An answer and where it came from."""

    __tablename__ = "response"
    __table_args__ = (UniqueConstraint("prompt_id", "sha256"),)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    prompt_id: Mapped[UUID] = mapped_column(ForeignKey("prompt.id"))
    sha256: Mapped[str] = mapped_column(String(64))
    text: Mapped[str] = mapped_column(Text)
    model: Mapped[str | None] = mapped_column(Text)
    run: Mapped[str | None] = mapped_column(Text)
    sampling: Mapped[dict[str, Any]]
    seed: Mapped[int | None] = mapped_column(BigInteger)


class Item(Base):
    """A prompt with the answers to judge. `wanted` raters, `free` of them not yet found.

    Both are NULL for an item with a gold key, which every rater may be given.
    """

    __tablename__ = "item"
    __table_args__ = (
        UniqueConstraint("campaign_id", "sha256"),
        CheckConstraint("free >= 0 AND free <= wanted", name="free"),
        Index(  # of the items that still look for raters alone: a claim reads its first rows
            "ix_item_open",
            "campaign_id",
            "place",
            sqlite_where=sql("free > 0"),
            postgresql_where=sql("free > 0"),
        ),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaign.id"))
    prompt_id: Mapped[UUID] = mapped_column(ForeignKey("prompt.id"), index=True)
    sha256: Mapped[str] = mapped_column(String(64))
    place: Mapped[int]
    wanted: Mapped[int | None]
    free: Mapped[int | None]
    created: Mapped[datetime]


class Candidate(Base):
    """One of the answers of an item."""

    __tablename__ = "candidate"
    __table_args__ = (UniqueConstraint("item_id", "position"),)
    item_id: Mapped[UUID] = mapped_column(ForeignKey("item.id"), primary_key=True)
    response_id: Mapped[UUID] = mapped_column(ForeignKey("response.id"), primary_key=True)
    position: Mapped[int]


class GoldKey(Base):
    """What is known to be right of an item; read for the manager's figures alone.

    `expected` is `{"better": response id}`; `{"label": true}` or `{"score": [low, high]}` for single answers.
    """

    __tablename__ = "gold_key"
    item_id: Mapped[UUID] = mapped_column(ForeignKey("item.id"), primary_key=True)
    expected: Mapped[dict[str, Any]]


class Assignment(Base):
    """An item given to a rater: in which order it was shown, until when it is theirs, what they had typed.

    `slot` is one of the item's `wanted` places; NULL while the rater has none (`released`, `skipped`), for an
    item with a gold key, and for a manager's adjudication. `revision` is that of the judgement that counts.
    """

    __tablename__ = "assignment"
    __table_args__ = (
        UniqueConstraint("item_id", "slot"),
        UniqueConstraint("item_id", "rater_id"),
        Index("ix_assignment_lease", "campaign_id", "status", "lease_until"),
        Index(
            "uq_assignment_one_held",
            "campaign_id",
            "rater_id",
            unique=True,
            sqlite_where=sql("status = 'held'"),
            postgresql_where=sql("status = 'held'"),
        ),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaign.id"))
    item_id: Mapped[UUID] = mapped_column(ForeignKey("item.id"))
    rater_id: Mapped[UUID] = mapped_column(ForeignKey("rater.id"), index=True)
    slot: Mapped[int | None]
    status: Mapped[AssignmentStatus]
    adjudicates: Mapped[bool]
    shown: Mapped[list[str]]
    guideline_version: Mapped[int]
    given: Mapped[datetime]
    lease_until: Mapped[datetime]
    draft: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    revision: Mapped[int]


class Participation(Base):
    """How a rater stands in a campaign. Who has no row may judge, where the campaign asks for no test.

    `gold_since` is the number of the judgement after which gold items count for a pause. `worker` is the id
    by which a crowd platform knows the person, who shows it `completion_code` when the work is done.
    """

    __tablename__ = "participation"
    __table_args__ = (UniqueConstraint("campaign_id", "worker"),)
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaign.id"), primary_key=True)
    rater_id: Mapped[UUID] = mapped_column(ForeignKey("rater.id"), primary_key=True, index=True)
    standing: Mapped[Standing]
    gold_since: Mapped[int] = mapped_column(BigInteger)
    worker: Mapped[str | None] = mapped_column(String(200))
    completion_code: Mapped[str | None] = mapped_column(String(16), unique=True)
    joined: Mapped[datetime]


class Judgement(Base):
    """One revision of what a rater said of an item, with left and right resolved to response ids.

    Rows are added and never changed; the database itself refuses an UPDATE.
    """

    __tablename__ = "judgement"
    __table_args__ = (
        UniqueConstraint("assignment_id", "revision"),
        UniqueConstraint("assignment_id", "idempotency_key"),
        {"sqlite_autoincrement": True},
    )
    number: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=True)
    id: Mapped[UUID] = mapped_column(unique=True, default=uuid4)
    assignment_id: Mapped[UUID] = mapped_column(ForeignKey("assignment.id"))
    revision: Mapped[int]
    idempotency_key: Mapped[str] = mapped_column(String(100))
    action: Mapped[Action]
    content: Mapped[dict[str, Any]]
    guideline_version: Mapped[int]
    active_s: Mapped[float | None]
    created: Mapped[datetime]


class Audit(Base):
    """Who did what to the store, judging itself excepted."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_subject", "action", "subject"), {"sqlite_autoincrement": True})
    number: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=True)
    at: Mapped[datetime]
    actor_id: Mapped[UUID | None] = mapped_column(ForeignKey("rater.id"))
    action: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(200))
    detail: Mapped[dict[str, Any]]


class Export(Base):
    """A snapshot that was taken; `sha256` is over its files."""

    __tablename__ = "export"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaign.id"), index=True)
    created: Mapped[datetime]
    sha256: Mapped[str] = mapped_column(String(64))
    folder: Mapped[str] = mapped_column(Text)
    judgements: Mapped[int]
    last_number: Mapped[int | None] = mapped_column(BigInteger)
