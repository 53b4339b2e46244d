"""What the tables share: types of columns that SQLite and PostgreSQL hold alike, and the words of states."""

from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, MetaData, String, TypeDecorator, Uuid
from sqlalchemy.orm import DeclarativeBase

Role = Literal["rater", "manager"]
TokenKind = Literal["session", "invitation", "join"]
CampaignStatus = Literal["open", "paused", "closed"]
AssignmentStatus = Literal["held", "released", "done", "skipped"]
Action = Literal["judge", "skip", "withdraw"]
Standing = Literal["qualifying", "active", "failed", "paused"]

Number = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only what it calls INTEGER


class Utc(TypeDecorator[datetime]):
    """A time with its zone; SQLite, which knows none, is given UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone cannot be stored: {value}")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """What the tables share."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own way
        UUID: Uuid(),
        datetime: Utc(),
        dict[str, Any]: JSON(),
        list[str]: JSON(),
        Role: String(16),
        TokenKind: String(16),
        CampaignStatus: String(16),
        AssignmentStatus: String(16),
        Action: String(16),
        Standing: String(16),
    }
