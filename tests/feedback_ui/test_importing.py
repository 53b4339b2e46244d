"""Import: which rows become items, what is said of the others, and that nothing is added twice."""

import gzip
import json
from typing import Any

import pytest
from people import COMPARE, campaign, pairs, rater
from sqlalchemy import select

from feedback_ui.database import Database
from feedback_ui.errors import InvalidFeedback
from feedback_ui.form import Scale, parse_form
from feedback_ui.reading import parse_rows
from feedback_ui.rows import RowProblem
from feedback_ui.schema import Item, PromptRow, Response
from feedback_ui.service.access import OPERATOR
from feedback_ui.service.claims import next_task
from feedback_ui.service.importing import import_file, import_rows

USER = [{"role": "user", "content": "你好"}]


def drafts(kind: Any, *rows: Any) -> list[Any]:
    return list(parse_rows([(f"f:{n}", row) for n, row in enumerate(rows, start=1)], kind))


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "p", "responses": ["A", {"text": "B", "model": "m", "seed": 3}]},
        {"prompt": "p", "chosen": "A", "rejected": "B"},
        {
            "prompt": [{"role": "user", "content": "p"}],
            "chosen": [{"role": "assistant", "content": "A"}],
            "rejected": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "B"}],
        },
    ],
)
def test_pairs(row: dict[str, Any]) -> None:
    (draft,) = drafts("compare", row)
    assert draft.prompt.text == "p"
    assert [answer.text for answer in draft.answers] == ["A", "B"]


def test_single_answers_of_a_samples_run_become_pairs_of_different_models() -> None:
    rows = [
        {
            "prompt": USER,
            "key": "k",
            "response": f"{run} {n}",
            "seed": n,
            "tokens": 3,
            "finish": "eos",
            "fields": {"family": "greeting"},
            "policy": {"run": run, "fingerprint": "f"},
            "sampling": {"temperature": 1.0},
        }
        for run in ("ppo-1", "sft-1")
        for n in range(2)
    ]
    first, second = drafts("compare", *rows)
    assert [answer.text for answer in first.answers] == ["ppo-1 0", "sft-1 0"]
    assert [answer.text for answer in second.answers] == ["ppo-1 1", "sft-1 1"]
    assert [(one.run, one.seed, one.sampling) for one in first.answers] == [
        ("ppo-1", 0, {"temperature": 1.0}),
        ("sft-1", 0, {"temperature": 1.0}),
    ]
    assert dict(first.prompt.fields) == {"family": "greeting"}


def test_what_is_left_over_of_single_answers_is_said() -> None:
    found = drafts("compare", *({"prompt": "p", "response": text} for text in ("A", "B", "A", "C")))
    assert [answer.text for answer in found[0].answers] == ["A", "B"]
    assert str(found[1]) == "f:4: no other answer to this prompt is left to put beside it"


def test_single_answers_are_items_where_one_is_shown_and_ranked_together_where_six_are() -> None:
    rows = [{"prompt": "p", "completion": f"answer {n}"} for n in range(7)]
    assert len(drafts("thumb", *rows)) == 7
    six, rest = drafts("rank", *rows)
    assert len(six.answers) == 6
    assert isinstance(rest, RowProblem)


@pytest.mark.parametrize(
    ("kind", "row", "said"),
    [
        ("compare", [1], "not an object"),
        ("compare", {"responses": ["A", "B"]}, "has no prompt; its columns are responses"),
        ("compare", {"prompt": " ", "responses": ["A", "B"]}, "prompt is empty"),
        ("compare", {"prompt": "p", "responses": "A"}, "responses is not a list"),
        ("compare", {"prompt": "p", "responses": ["A"]}, "has 1 answers; a campaign of kind compare shows 2"),
        ("rank", {"prompt": "p", "responses": list("ABCDEFG")}, "has 7 answers; .* shows 2 to 6"),
        ("compare", {"prompt": "p", "responses": ["A", "A"]}, "two answers that are equal"),
        ("compare", {"prompt": "p", "responses": ["A", ""]}, r"responses\[1\] is empty"),
        ("compare", {"prompt": "p", "responses": ["A", {"model": "m"}]}, r"responses\[1\] has text and may"),
        ("compare", {"prompt": "p", "responses": ["A", {"text": "B", "seed": 2**64}]}, "64 bits"),
        (
            "compare",
            {"prompt": [*USER, {"role": "assistant", "content": "x"}], "responses": ["A", "B"]},
            "ends",
        ),
        (
            "compare",
            {"prompt": [{"role": "bot", "content": "x"}], "responses": ["A", "B"]},
            "neither text nor",
        ),
        ("compare", {"prompt": "p\x00", "responses": ["A", "B"]}, "NUL"),
        (
            "compare",
            {"prompt": "p", "responses": ["A", "B"], "gold": {"better": 2}},
            "does not fit kind compare",
        ),
        ("thumb", {"prompt": "p", "responses": ["A"], "gold": {"label": 1}}, "does not fit kind thumb"),
        ("score", {"prompt": "p", "responses": ["A"], "gold": {"score": [5, 4]}}, "does not fit kind score"),
    ],
)
def test_what_cannot_be_used_is_said(kind: Any, row: Any, said: str) -> None:
    (problem,) = drafts(kind, row)
    assert isinstance(problem, RowProblem)
    assert problem.place == "f:1"
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(problem.reason)


def test_a_file_is_read_by_line_and_the_good_ones_are_taken(db: Database, tmp_path) -> None:
    path = tmp_path / "pairs.jsonl"
    good = [json.dumps(row, ensure_ascii=False).encode() for _, row in pairs(2)]
    path.write_bytes(b"\xef\xbb\xbf" + good[0] + b"\n\n{broken\n\xff\xfe\n" + good[1] + b"\n[]\n")
    name = campaign(db, rows=[])
    found = import_file(db, OPERATOR, name, path)
    assert found.items == 2
    assert [problem.place for problem in found.problems] == [
        "pairs.jsonl:3",
        "pairs.jsonl:4",
        "pairs.jsonl:6",
    ]
    assert "is not JSON" in found.problems[0].reason
    assert "not valid UTF-8" in found.problems[1].reason
    packed = tmp_path / "pairs.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    again = import_file(db, OPERATOR, name, packed)
    assert (again.items, again.known) == (0, 2)


def test_a_missing_or_damaged_file_is_said(db: Database, tmp_path) -> None:
    name = campaign(db, rows=[])
    with pytest.raises(InvalidFeedback, match=r"nothing\.jsonl cannot be read: No such file"):
        import_file(db, OPERATOR, name, tmp_path / "nothing.jsonl")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n' * 1000)[:20])
    with pytest.raises(InvalidFeedback, match="cannot be read"):
        import_file(db, OPERATOR, name, tmp_path / "cut.jsonl.gz")


def test_nothing_is_added_twice_also_with_the_answers_exchanged(db: Database) -> None:
    name = campaign(db, 3)
    turned = [(place, {**row, "responses": row["responses"][::-1]}) for place, row in pairs(4)]
    found = import_rows(db, OPERATOR, name, [*turned, *turned])
    assert (found.items, found.known) == (1, 7)
    stored = db.read(
        lambda s: [len(s.scalars(select(table.id)).all()) for table in (Item, PromptRow, Response)]
    )
    assert stored == [4, 4, 8]


def test_more_rows_than_one_transaction_takes_keep_their_order(db: Database) -> None:
    campaign(db, 450)
    places = db.read(
        lambda s: s.execute(
            select(Item.place, PromptRow.content)
            .join(PromptRow, PromptRow.id == Item.prompt_id)
            .order_by(Item.place)
        ).all()
    )
    assert [tuple(row) for row in places] == [(n, f"问题 {n}?") for n in range(450)]


def test_what_a_rater_is_shown_is_what_was_imported(db: Database) -> None:
    texts = ["<script>alert(1)</script>", "vector<int> $x^2$ \u202e\u200b <think>"]
    rows = [("f:1", {"prompt": [{"role": "user", "content": texts[1]}], "responses": texts})]
    task = next_task(db, rater(db, "a"), campaign(db, rows=rows, form=COMPARE))
    assert sorted(task.answers) == sorted(texts)
    assert task.prompt == [{"role": "user", "content": texts[1]}]


def test_forms_that_make_no_sense_are_refused() -> None:
    for values, said in (
        ({"kind": "score"}, "exactly one scale"),
        ({"kind": "rate"}, "at least one scale"),
        ({"kind": "compare", "flags": ("rude",)}, "flags rude are unknown"),
        ({"kind": "write", "edit": True}, "shows no answer"),
        ({"kind": "rate", "scales": (Scale(name="a"), Scale(name="a"))}, "one name"),
        ({"kind": "guess"}, "^kind: "),
    ):
        with pytest.raises(InvalidFeedback, match=said):
            parse_form(values)
    with pytest.raises(InvalidFeedback, match="a: low=5 is not below high=5"):
        Scale(name="a", low=5, high=5)
