"""Rows of a file as rows of ours, whatever tool wrote them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal, cast

from feedback_ui.errors import InvalidFeedback, listed
from feedback_ui.exchange import argilla, label_studio
from feedback_ui.exchange.layout import Layout, models_of
from feedback_ui.form import Form
from feedback_ui.rows import RowProblem

Tool = Literal["auto", "rows", "argilla", "label-studio"]
TOOLS: tuple[Tool, ...] = ("auto", "rows", "argilla", "label-studio")

_MODULES = {"argilla": argilla, "label-studio": label_studio}


def converted(
    rows: Iterable[tuple[str, Any]],
    form: Form,
    *,
    tool: Tool = "auto",
    layout: Layout | None = None,
    unused: list[str] | None = None,
) -> Iterator[tuple[str, Any]]:
    """Each row, or a `RowProblem`, with its place; those of another tool as ours, with `judgements`.

    An annotation that cannot be used is a problem of its own, and leaves the row with the others.

    Args:
        unused: is given the place of each annotation that is a draft, or was discarded or cancelled.
    """
    unused = unused if unused is not None else []
    layout = layout or Layout()
    for place, row in rows:
        name = tool_of(row) if tool == "auto" else tool
        if isinstance(row, RowProblem):
            yield place, row
            continue
        try:
            if name == "rows":
                yield place, _laid_out(row, form, layout)
                continue
            yield from _converted(place, row, name, form, layout, unused)
        except InvalidFeedback as error:
            yield place, RowProblem(place, error)


def tool_of(row: Any) -> Tool:
    """Whose a row is, by its columns; `rows` is ours."""
    if isinstance(row, Mapping):
        held = cast("Mapping[str, Any]", row)
        if label_studio.is_task(held):
            return "label-studio"
        if argilla.is_record(held):
            return "argilla"
    return "rows"


# Columns that say where the answers are, as rows.py reads them.
_ANSWERS = {"responses", "chosen", "rejected", "response", "completion"}


def _laid_out(row: Any, form: Form, layout: Layout) -> Any:
    """A row of a plain table with an answer in each of several columns, as `response_a` and `response_b`, as
    rows.py reads it; any other as it is."""
    if not isinstance(row, Mapping) or form.kind == "write":
        return row
    held = cast("Mapping[str, Any]", row)
    if _ANSWERS & set(held) and layout.answers is None:
        return row
    try:
        prompt = layout.prompt_in(held)
        answers = layout.answers_in(held, prompt)
    except InvalidFeedback:
        if layout.prompt or layout.answers:
            raise
        return row  # rows.py says what it lacks
    if not answers:
        return row
    rest = {name: value for name, value in held.items() if name not in {prompt, *answers}}
    if len(answers) == 1:
        return {**rest, "prompt": held[prompt], "response": held[answers[0]]}
    models = models_of(held, answers)
    responses = [{"text": held[name], "model": model} for name, model in zip(answers, models, strict=True)]
    return {**rest, "prompt": held[prompt], "responses": responses}


def _converted(
    place: str, row: Any, name: Tool, form: Form, layout: Layout, unused: list[str]
) -> Iterator[tuple[str, Any]]:
    if not isinstance(row, Mapping):
        raise InvalidFeedback("is not an object with named columns")
    held = cast("Mapping[str, Any]", row)
    module = _MODULES[name]
    known = module.is_task(held) if name == "label-studio" else module.is_record(held)
    if not known:
        raise InvalidFeedback(
            "is not of {name}; its columns are {columns}",
            name=name,
            columns=listed(held),
        )
    fields = module.fields_of(held)
    prompt = layout.prompt_in(fields)
    answers = layout.answers_in(fields, prompt) if form.kind != "write" else []
    annotations, count = module.annotations_of(held)
    unused += [place] * count
    own = {prompt, *answers}
    judgements: list[dict[str, Any]] = []
    for one in annotations:
        annotation = replace(one, values={key: said for key, said in one.values.items() if key not in own})
        try:
            judgements.append(annotation.judgement(form, answers, layout))
        except InvalidFeedback as error:
            kept = InvalidFeedback("{error}; the item is taken without this annotation", error=error)
            yield place, RowProblem(place, kept)
    said = {name for one in annotations for name in one.values}
    rest = {key: value for key, value in fields.items() if key not in own | said}
    yield (
        place,
        {
            "prompt": fields[prompt],
            "responses": [fields[answer] for answer in answers],
            "fields": {**rest, **module.others_of(held)},
            "judgements": judgements,
        },
    )
