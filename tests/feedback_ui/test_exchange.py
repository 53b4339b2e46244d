"""Exports of Argilla and Label Studio as rows of ours: the shapes that these tools write."""

from typing import Any

import pytest

from feedback_ui.errors import InvalidFeedback
from feedback_ui.exchange import Layout, converted, tool_of
from feedback_ui.exchange.layout import place_of
from feedback_ui.form import Form, Scale
from feedback_ui.rows import RowProblem

COMPARE = Form(kind="compare")


def convert(row: Any, form: Form = COMPARE, **options: Any) -> list[Any]:
    return [found for _, found in converted([("f:1", row)], form, **options)]


def given(row: Any, form: Form = COMPARE, **options: Any) -> list[dict[str, Any]]:
    (found,) = convert(row, form, **options)
    return [one["given"] for one in found["judgements"]]


def argilla_2(responses: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A record of `dataset.records.to_json`."""
    usual = {"prompt": "Why?", "response_1": "A", "response_2": "B"}
    return {
        "id": "0",
        "fields": fields or usual,
        "metadata": {"family": "sums"},
        "suggestions": {"preference": {"value": "response_1", "score": None, "agent": "m"}},
        "responses": responses,
        "vectors": {},
        "_server_id": "9f4b",
    }


def argilla_1(*responses: dict[str, Any]) -> dict[str, Any]:
    """A record of the server's API, and of `FeedbackDataset`."""
    fields = {"instruction": "Why?", "response-1": "A", "response-2": "B"}
    return {"fields": fields, "metadata": {}, "external_id": None, "responses": list(responses)}


def by(user: str, status: str = "submitted", **values: Any) -> dict[str, Any]:
    said = {question.replace("_", "-"): {"value": value} for question, value in values.items()}
    return {"user_id": user, "status": status, "values": said, "inserted_at": "2024-03-01T10:00:00"}


def label_studio(*annotations: dict[str, Any], **data: Any) -> dict[str, Any]:
    usual = {"prompt": "Why?", "answer1": "A", "answer2": "B", "family": "sums"}
    return {"id": 7, "data": data or usual, "annotations": list(annotations), "predictions": []}


def annotation(*results: tuple[str, str, dict[str, Any]], by: Any = 3, **more: Any) -> dict[str, Any]:
    told = [
        {"id": "x", "from_name": name, "to_name": "a", "type": kind, "value": value}
        for name, kind, value in results
    ]
    usual = {"created_at": "2021-03-09T22:16:08.728353Z", "lead_time": 4.288, "was_cancelled": False}
    return {"id": 1, "completed_by": by, "result": told} | usual | more


LEFT = ("pw", "pairwise", {"selected": "left"})
RIGHT = ("pw", "pairwise", {"selected": "right"})


def test_a_record_of_argilla_2() -> None:
    row = argilla_2(
        {
            "preference": [
                {"value": "response_2", "user_id": "u1"},
                {"value": "response_1", "user_id": "u2"},
                {"value": "tie", "user_id": "u3"},
            ],
            "comment": [{"value": "shorter", "user_id": "u1"}],
        }
    )
    assert tool_of(row) == "argilla"
    (found,) = convert(row)
    assert (found["prompt"], found["responses"], found["fields"]) == ("Why?", ["A", "B"], {"family": "sums"})
    assert found["judgements"] == [
        {"rater": "u1", "given": {"strength": 2, "reason": "shorter"}},
        {"rater": "u2", "given": {"strength": -2}},
        {"rater": "u3", "given": {"strength": 0}},
    ]


def test_a_record_of_argilla_1_with_what_does_not_count() -> None:
    ranks = [{"value": "response-2", "rank": 1}, {"value": "response-1", "rank": 2}]
    even = [{"value": "response-1", "rank": 1}, {"value": "response-2", "rank": 1}]
    row = argilla_1(
        by("u1", ranking=ranks),
        by("u2", "draft", ranking=ranks[:1]),
        by("u3", ranking=even),
        by("u4", "discarded"),
    )
    unused: list[str] = []
    (found,) = convert(row, unused=unused)
    assert [(one["rater"], one["given"]) for one in found["judgements"]] == [
        ("u1", {"strength": 2}),
        ("u3", {"strength": 0}),
    ]
    assert found["judgements"][0]["created"] == "2024-03-01T10:00:00"
    assert unused == ["f:1", "f:1"]


def test_rankings_with_ranks_and_as_names_in_order() -> None:
    form = Form(kind="rank")
    fields = {"prompt": "p", "reply-1": "A", "reply-2": "B", "reply-3": "C"}
    ranks = [{"value": f"reply-{n}", "rank": rank} for n, rank in ((1, 2), (2, 1), (3, 2))]
    (first,) = given(argilla_2({"q": [{"value": ranks, "user_id": "u"}]}, **fields), form)
    assert first == {"ranking": [[1], [0, 2]]}
    names = ["reply-3", "reply-1", "reply-2"]
    (second,) = given(argilla_2({"q": [{"value": names, "user_id": "u"}]}, **fields), form)
    assert second == {"ranking": [[2], [0], [1]]}
    problem, row = convert(argilla_2({"q": [{"value": names[:2], "user_id": "u"}]}, **fields), form)
    assert "nothing that u said fits this campaign; answered: q" in problem.reason
    assert row["judgements"] == []


def test_a_chat_as_the_prompt_and_a_single_answer_with_a_rating_or_a_label() -> None:
    chat = [{"role": "user", "content": "你好"}]
    fields = {"chat": chat, "response": "你好！"}
    score = Form(kind="score", scales=(Scale(name="quality"),))
    (found,) = convert(argilla_2({"quality": [{"value": 4, "user_id": "u"}]}, **fields), score)
    assert (found["prompt"], found["responses"]) == (chat, ["你好！"])
    assert found["judgements"][0]["given"] == {"score": 4}
    labels = [{"value": value, "user_id": value} for value in ("yes", "NO", "thumbs_up")]
    thumbs = given(argilla_2({"ok": labels}, **fields), Form(kind="thumb"))
    assert thumbs == [{"thumb": True}, {"thumb": False}, {"thumb": True}]


def test_ratings_find_their_answer_and_scale() -> None:
    form = Form(kind="rate", scales=(Scale(name="helpful"), Scale(name="honest")))
    names = ("helpful-1", "helpful-2", "honest-1", "honest-2")
    responses = {name: [{"value": at + 1, "user_id": "u"}] for at, name in enumerate(names)}
    assert given(argilla_2(responses), form) == [
        {"ratings": {0: {"helpful": 1, "honest": 3}, 1: {"helpful": 2, "honest": 4}}}
    ]
    one = Form(kind="rate", scales=(Scale(name="quality"),))
    rated = {f"rating response_{n}": [{"value": n, "user_id": "u"}] for n in (1, 2)}
    assert given(argilla_2(rated), one) == [{"ratings": {0: {"quality": 1}, 1: {"quality": 2}}}]


def test_what_a_person_wrote_is_a_demonstration() -> None:
    row = argilla_2({"answer": [{"value": "So.", "user_id": "u"}]}, prompt="Why?", context="c")
    (found,) = convert(row, Form(kind="write"))
    assert (found["responses"], found["fields"]) == ([], {"context": "c", "family": "sums"})
    assert found["judgements"][0]["given"] == {"demonstration": "So."}


def test_a_task_of_label_studio() -> None:
    why = ("why", "textarea", {"text": ["shorter"]})
    row = label_studio(
        annotation(RIGHT, why),
        annotation(LEFT, by={"id": 4, "email": "a@b.c"}),
        annotation(LEFT, was_cancelled=True),
    )
    assert tool_of(row) == "label-studio"
    unused: list[str] = []
    (found,) = convert(row, unused=unused)
    assert (found["prompt"], found["responses"], found["fields"]) == ("Why?", ["A", "B"], {"family": "sums"})
    assert found["judgements"] == [
        {
            "rater": "3",
            "given": {"strength": 2, "reason": "shorter"},
            "created": "2021-03-09T22:16:08.728353Z",
            "active_s": 4.288,
        },
        {
            "rater": "4",
            "given": {"strength": -2},
            "created": "2021-03-09T22:16:08.728353Z",
            "active_s": 4.288,
        },
    ]
    assert unused == ["f:1"]


@pytest.mark.parametrize("told", [[{"selected": "right"}], {"selected": "right"}, "right", "answer2", "B"])
def test_a_row_of_label_studios_json_min(told: Any) -> None:
    row = {
        "prompt": "Why?",
        "answer1": "A",
        "answer2": "B",
        "pw": told,
        "id": 7,
        "annotator": 3,
        "annotation_id": 11,
        "created_at": "2021-03-09T22:16:08.728353Z",
        "updated_at": "2021-03-10T22:16:08.728353Z",
        "lead_time": 99_999_999,
    }
    assert tool_of(row) == "label-studio"
    (found,) = convert(row)
    assert (found["prompt"], found["responses"], found["fields"]) == ("Why?", ["A", "B"], {})
    assert found["judgements"][0] | {"created": None} == {
        "rater": "3",
        "given": {"strength": 2},
        "created": None,
    }


def test_choices_and_ratings_of_label_studio() -> None:
    both = annotation(("best", "choices", {"choices": ["Both bad"]}))
    assert given(label_studio(both)) == [{"both_bad": True}]
    rating = annotation(("quality", "rating", {"rating": 3}))
    score = Form(kind="score", scales=(Scale(name="quality"),))
    assert given(label_studio(rating, prompt="p", text="A"), score) == [{"score": 3}]


def test_names_that_are_told_go_before_names_that_are_usual() -> None:
    fields = {"title": "t", "left_text": "A", "right_text": "B", "prompt": "not this"}
    layout = Layout(prompt="title", answers=("left_text", "right_text"), question="q2", reason="q3")
    responses = {
        "q1": [{"value": "left_text", "user_id": "u"}],
        "q2": [{"value": "right_text", "user_id": "u"}],
        "q3": [{"value": "so", "user_id": "u"}],
    }
    (found,) = convert(argilla_2(responses, **fields), layout=layout)
    assert (found["prompt"], found["responses"]) == ("t", ["A", "B"])
    assert found["judgements"][0]["given"] == {"strength": 2, "reason": "so"}


@pytest.mark.parametrize(
    ("row", "options", "said"),
    [
        (argilla_2({}, title="t", a="A"), {}, "no field is a prompt by its name; name one of title, a by"),
        (argilla_2({}), {"layout": Layout(prompt="title")}, "has no field 'title'; its fields are prompt"),
        (argilla_2({}), {"layout": Layout(answers=("x",))}, "has no field 'x'"),
        (argilla_2({}, prompt="p", a1="A", a2="B", b1="C", b2="D"), {}, "several groups of fields"),
        ({"prompt": "p", "responses": ["A", "B"]}, {"tool": "argilla"}, "is not of argilla; its columns are"),
        (argilla_2({}), {"tool": "label-studio"}, "is not of label-studio"),
        ([1], {"tool": "argilla"}, "not an object"),
        (argilla_2({}) | {"responses": "x"}, {}, "neither an object of questions nor a list"),
        (argilla_2({"q": [{"user_id": "u"}]}), {}, "a response to 'q' has no value"),
        (argilla_1({"status": "submitted", "user_id": "u"}), {}, "a submitted response has no values"),
        (label_studio({"result": None}), {}, "an annotation has no list `result`"),
    ],
)
def test_what_cannot_be_used_is_said(row: Any, options: Any, said: str) -> None:
    (problem,) = convert(row, **options)
    assert isinstance(problem, RowProblem)
    assert said in problem.reason


def test_an_annotation_that_cannot_be_used_leaves_the_row_and_the_others() -> None:
    responses = {
        "preference": [{"value": "response_2", "user_id": "u1"}, {"value": "perhaps", "user_id": "u2"}],
    }
    problem, row = convert(argilla_2(responses))
    assert str(problem).startswith("f:1: nothing that u2 said fits this campaign; answered: preference")
    assert [one["rater"] for one in row["judgements"]] == ["u1"]
    doubtful = {"q1": [{"value": "A", "user_id": "u"}], "q2": [{"value": "B", "user_id": "u"}]}
    problem, _ = convert(argilla_2(doubtful))
    assert "several readings (q1, q2); name one by --question" in problem.reason
    layout = Layout(question="missing")
    problem, _ = convert(argilla_2(doubtful), layout=layout)
    assert "u did not answer 'missing'" in problem.reason


def test_rows_of_ours_pass_as_they_are() -> None:
    bad = RowProblem("f:1", InvalidFeedback("bad"))
    for row in ({"prompt": "p", "fields": {"a": 1}, "responses": ["A", "B"]}, [1], bad):
        assert convert(row) == [row]


@pytest.mark.parametrize(
    ("said", "names", "place"),
    [
        ("response-2", ["response-1", "response-2"], 1),
        ("Response 2", ["response_1", "response_2"], 1),
        ("2", ["a1", "a2"], 1),
        ("B", ["text1", "text2"], 1),
        ("left", ["text1", "text2"], 0),
        ("answer_0", ["answer_0", "answer_1"], 0),
        ("1", ["answer_0", "answer_1"], 1),
        ("option c", ["x", "y", "z"], 2),
        ("3", ["text1", "text2"], None),
        ("I like answer 2", ["answer1", "answer2"], None),
        ("perhaps", ["text1", "text2"], None),
    ],
)
def test_which_answer_a_word_means(said: str, names: list[str], place: int | None) -> None:
    assert place_of(said, names) == place


def test_the_layout_of_the_demo_fields_of_both_tools() -> None:
    layout = Layout()
    fields = {"Instruction": "p", "response_b": "B", "response_a": "A", "source": "s"}
    assert layout.prompt_in(fields) == "Instruction"
    assert layout.answers_in(fields, "Instruction") == ["response_a", "response_b"]
    with pytest.raises(InvalidFeedback, match="no field is a prompt"):
        layout.prompt_in({"text1": "A", "text2": "B"})
