"""From the feedback page to a reward model: what raters click in a store is what `stage=rm` learns from."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stage_runs import run_stage

from feedback_ui.database import Database, open_database
from feedback_ui.form import Form, Scale
from feedback_ui.service.access import OPERATOR, Actor
from feedback_ui.service.accounts import add_rater
from feedback_ui.service.campaigns import create_campaign
from feedback_ui.service.claims import next_task
from feedback_ui.service.importing import import_rows
from feedback_ui.service.judgements import submit
from feedback_ui.service.snapshot import SnapshotManifest, snapshot
from feedback_ui.service.tasks import Task
from rlhf.data.feedback import open_snapshot
from rlhf.data.formats import to_preferences
from rlhf.data.sources import read_rows
from rlhf.demo import world
from rlhf.records import Preference

SMALL = {
    "stage__batch_size": 8,
    "stage__max_steps": 4,
    "stage__eval_every": 4,
    "stage__learning_rate": 0.003,
    "stage__validation_share": 0.0,
    "stage__judge_share": 0.0,
    "data__test_fraction": 0.2,
}


@pytest.fixture(scope="module")
def pairs() -> list[Preference]:
    return world.preferences(60, 0)


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Any:
    found = open_database(str(tmp_path_factory.mktemp("store") / "feedback.db"))
    yield found
    found.close()


def judged(
    db: Database,
    form: Form,
    rows: list[dict[str, Any]],
    said: Callable[[Task], dict[str, Any]],
    folder: Path,
) -> SnapshotManifest:
    """A campaign in which one rater says of every item what `said` makes of it; its snapshot."""
    name = form.kind
    create_campaign(db, OPERATOR, name, form)
    found = import_rows(db, OPERATOR, name, [(f"rows:{n}", row) for n, row in enumerate(rows)])
    assert not found.problems
    account = add_rater(db, OPERATOR, f"rater of {name}")
    actor = Actor(account.id, account.role, account.name)
    while (task := next_task(db, actor, name)) is not None:
        submit(db, actor, task.assignment_id, said(task), key="k")
    return snapshot(db, name, folder, as_parquet=True, as_datasets=True)


def messages(pair: Preference) -> list[dict[str, str]]:
    assert not isinstance(pair.prompt.content, str)
    return [{"role": turn.role, "content": turn.content} for turn in pair.prompt.content]


def singles(pairs: list[Preference]) -> list[dict[str, Any]]:
    return [
        {"prompt": messages(pair), "response": answer} | dict(pair.prompt.fields)
        for pair in pairs
        for answer in (pair.chosen, pair.rejected)
    ]


def train(tmp_path: Path, tiny_model: Path, folder: Path, objective: str) -> dict[str, Any]:
    options = {"inputs__policy": str(tiny_model), "data__feedback": str(folder)}
    made = run_stage("rm", tmp_path, SMALL | options | {"stage__objective": objective})
    manifest = json.loads((made / "manifest.json").read_text())
    manifest["data"] = json.loads((made / "data.json").read_text())
    return manifest


def test_pairs(tmp_path: Path, tiny_model: Path, db: Database, pairs: list[Preference]) -> None:
    better = {(str(messages(pair)), pair.chosen, pair.rejected) for pair in pairs}
    rows = [
        {"prompt": messages(pair), "responses": [pair.rejected, pair.chosen]} | dict(pair.prompt.fields)
        for pair in pairs
    ]

    def prefer(task: Task) -> dict[str, Any]:
        return {"strength": -3 if (str(task.prompt), *task.answers) in better else 3}

    taken = judged(db, Form(kind="compare"), rows, prefer, tmp_path / "taken")
    opened = open_snapshot(tmp_path / "taken")
    read = to_preferences(read_rows(str(opened.file("preferences"))))
    assert not read.problems
    told = {(one.prompt.key, one.chosen, one.rejected) for one in read.records}
    assert told == {(pair.prompt.key, pair.chosen, pair.rejected) for pair in pairs}
    assert {one.prompt.fields["family"] for one in read.records} == {p.prompt.fields["family"] for p in pairs}
    manifest = train(tmp_path, tiny_model, tmp_path / "taken", "pairwise")
    assert manifest["resolved"]["feedback"]["sha256"] == taken.sha256
    assert manifest["data"]["preferences"]["kept"] + manifest["data"]["preferences"]["left_out"] == 60


@pytest.mark.parametrize(
    ("form", "objective", "good", "bad", "known"),
    [
        (Form(kind="thumb"), "binary", {"thumb": True}, {"thumb": False}, "thumbs_up"),
        (
            Form(kind="score", scales=(Scale(name="quality", low=0, high=10),)),
            "regression",
            {"score": 8},
            {"score": 3},
            "score_mean",
        ),
    ],
)
def test_single_answers(
    tmp_path: Path,
    tiny_model: Path,
    db: Database,
    pairs: list[Preference],
    form: Form,
    objective: str,
    good: dict[str, Any],
    bad: dict[str, Any],
    known: str,
) -> None:
    better = {(str(messages(pair)), pair.chosen) for pair in pairs}
    rows = singles(pairs)
    taken = judged(
        db,
        form,
        rows,
        lambda task: good if (str(task.prompt), *task.answers) in better else bad,
        tmp_path / "taken",
    )
    assert taken.counts["scores"] == taken.counts["judgements"] == len({json.dumps(row) for row in rows})
    manifest = train(tmp_path, tiny_model, tmp_path / "taken", objective)
    assert manifest["resolved"]["feedback"]["sha256"] == taken.sha256
    found = manifest["data"]["scores"]
    assert found["kept"] + found["left_out"] == taken.counts["scores"]
    share = {"thumbs_up": 0.5, "score_mean": 5.5}[known]  # of each pair one answer is good
    assert manifest["resolved"][known] == pytest.approx(share, abs=0.5 if known == "score_mean" else 0.1)
