"""Rows of a file into items of a campaign; what is there already is known again and not added twice."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from feedback_ui.database import Database
from feedback_ui.exchange import Layout, Tool, converted
from feedback_ui.reading import parse_rows, read_source
from feedback_ui.rows import Answer, ItemDraft, RowProblem
from feedback_ui.schema import Campaign, Candidate, GoldKey, Item, PromptRow, Response
from feedback_ui.service.access import Actor, campaign_named, note, require_manager
from feedback_ui.service.adoption import adopt, checked_judgements
from feedback_ui.service.campaigns import form_of

_BATCH = 200  # items a transaction: short enough that raters hardly wait behind an import


@dataclass
class Imported:
    """What an import came to: items added, items that were there already, rows that cannot be used.

    `judgements` were added with them; `unused` are drafts of the other tool, or were discarded there.
    """

    items: int = 0
    known: int = 0
    judgements: int = 0
    unused: int = 0
    problems: list[RowProblem] = field(default_factory=list)


def import_file(
    db: Database,
    actor: Actor,
    campaign: UUID | str,
    path: Path,
    *,
    tool: Tool = "auto",
    layout: Layout | None = None,
) -> Imported:
    """Import a file (JSON lines, one JSON list, a table), or the folder of a samples run.

    Args:
        tool: whose export it is; seen from its rows where it is `auto`.
        layout: names of another tool's fields and questions, where they are not found by themselves.

    Raises:
        InvalidFeedback: it cannot be read.
    """
    return import_rows(db, actor, campaign, read_source(path), tool=tool, layout=layout)


def import_rows(
    db: Database,
    actor: Actor,
    campaign: UUID | str,
    rows: Iterable[tuple[str, Any]],
    *,
    tool: Tool = "auto",
    layout: Layout | None = None,
) -> Imported:
    """Import rows, each with its place. Stopped half-way, it can be run again: nothing is added twice."""
    require_manager(actor)
    found = db.read(lambda session: campaign_named(session, campaign))
    form, result = form_of(found), Imported()
    drafts: list[ItemDraft] = []
    unused: list[str] = []
    for parsed in parse_rows(converted(rows, form, tool=tool, layout=layout, unused=unused), form.kind):
        if isinstance(parsed, RowProblem):
            result.problems.append(parsed)
        else:
            draft, problems = checked_judgements(parsed, form)
            result.problems += problems
            drafts.append(draft)
    for batch in _batches(drafts):
        added, said = db.write(lambda session, batch=batch: _add_batch(session, db, found.id, batch))
        result.items += added
        result.known += len(batch) - added
        result.judgements += said
    result.unused = len(unused)

    def log(session: Session) -> None:
        detail = {"items": result.items, "known": result.known, "judgements": result.judgements}
        detail["problems"] = len(result.problems)
        note(session, db, actor, "import", str(found.id), **detail)

    db.write(log)
    return result


def _add_batch(
    session: Session, db: Database, campaign_id: UUID, drafts: Sequence[ItemDraft]
) -> tuple[int, int]:
    """How many items, and judgements of these and of those that were there, are new."""
    items = add_items(session, db, campaign_id, drafts)
    session.flush()
    return len(items), adopt(session, db, campaign_id, drafts)


def add_items(
    session: Session,
    db: Database,
    campaign_id: UUID,
    drafts: Sequence[ItemDraft],
    *,
    wanted: int | None = None,
) -> list[UUID]:
    """Add those that the campaign lacks; their ids. `wanted` raters each, else as the campaign plans."""
    campaign = session.get_one(Campaign, campaign_id, with_for_update=True)  # two imports take turns
    by_sha = {draft.sha256: draft for draft in drafts}
    there = set(
        session.scalars(select(Item.sha256).where(Item.campaign_id == campaign_id, Item.sha256.in_(by_sha)))
    )
    fresh = {sha: draft for sha, draft in by_sha.items() if sha not in there}
    prompts = _prompt_ids(session, list(fresh.values()))
    responses = _response_ids(session, prompts, list(fresh.values()))
    last = session.scalar(select(func.max(Item.place)).where(Item.campaign_id == campaign_id))
    place = 0 if last is None else last + 1
    items: list[dict[str, Any]] = []
    candidates: list[dict[str, Any]] = []
    keys: list[dict[str, Any]] = []
    for offset, (sha, draft) in enumerate(fresh.items()):
        prompt_id, item_id = prompts[draft.prompt_sha256], uuid4()
        raters = None if draft.gold is not None else wanted or _raters(campaign, sha)
        items.append(
            {
                "id": item_id,
                "campaign_id": campaign_id,
                "prompt_id": prompt_id,
                "sha256": sha,
                "place": place + offset,
                "wanted": raters,
                "free": raters,
                "created": db.now(),
            }
        )
        ids = [responses[prompt_id, answer.sha256] for answer in draft.answers]
        candidates += [{"item_id": item_id, "response_id": own, "position": at} for at, own in enumerate(ids)]
        if draft.gold is not None:
            keys.append({"item_id": item_id, "expected": _expected(draft.gold, ids)})
    for table, rows in ((Item, items), (Candidate, candidates), (GoldKey, keys)):
        if rows:
            session.execute(insert(table), rows)
    return [row["id"] for row in items]


def _raters(campaign: Campaign, item_sha256: str) -> int:
    """Of a share `overlap` of the items, told by their hash, `raters_per_item`; of the rest one."""
    share = int(item_sha256[:12], 16) / 16**12
    return campaign.raters_per_item if share < campaign.overlap else 1


def _expected(gold: Any, ids: Sequence[UUID]) -> dict[str, Any]:
    return {"better": str(ids[gold["better"]])} if "better" in gold else dict(gold)


def _prompt_ids(session: Session, drafts: Sequence[ItemDraft]) -> dict[str, UUID]:
    by_sha = {draft.prompt_sha256: draft for draft in drafts}
    query = select(PromptRow.sha256, PromptRow.id).where(PromptRow.sha256.in_(by_sha))
    known = {sha: found for sha, found in session.execute(query)}
    fresh = {sha: uuid4() for sha in by_sha if sha not in known}
    rows = [
        {
            "id": fresh[sha],
            "sha256": sha,
            "key": draft.prompt.key,
            "content": draft.content,
            "fields": dict(draft.prompt.fields),
        }
        for sha, draft in by_sha.items()
        if sha in fresh
    ]
    if rows:
        session.execute(insert(PromptRow), rows)
    return known | fresh


def _response_ids(
    session: Session, prompts: dict[str, UUID], drafts: Sequence[ItemDraft]
) -> dict[tuple[UUID, str], UUID]:
    wanted: dict[tuple[UUID, str], Answer] = {
        (prompts[draft.prompt_sha256], answer.sha256): answer for draft in drafts for answer in draft.answers
    }
    prompt_ids = {prompt_id for prompt_id, _ in wanted}
    query = select(Response.prompt_id, Response.sha256, Response.id).where(Response.prompt_id.in_(prompt_ids))
    known = {(prompt_id, sha): found for prompt_id, sha, found in session.execute(query)}
    fresh = {origin: uuid4() for origin in wanted if origin not in known}
    rows = [
        {
            "id": fresh[prompt_id, sha],
            "prompt_id": prompt_id,
            "sha256": sha,
            "text": answer.text,
            "model": answer.model,
            "run": answer.run,
            "sampling": dict(answer.sampling),
            "seed": answer.seed,
        }
        for (prompt_id, sha), answer in wanted.items()
        if (prompt_id, sha) in fresh
    ]
    if rows:
        session.execute(insert(Response), rows)
    return known | fresh


def _batches(drafts: Sequence[ItemDraft]) -> Iterable[Sequence[ItemDraft]]:
    return (drafts[start : start + _BATCH] for start in range(0, len(drafts), _BATCH))
