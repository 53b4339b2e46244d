"""Datasets of the embedded world: fixed by the seed, of the stated mixture, labelled as people do."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from itertools import islice
from random import Random
from statistics import mean
from typing import Any

import pytest

from rlhf.demo.corpus import pages
from rlhf.demo.courtesy import FLATTERING
from rlhf.demo.families import HELD_OUT_FAMILY, HELD_OUT_FORMS, SHARES
from rlhf.demo.gold import gold
from rlhf.demo.personas import PERSONAS
from rlhf.demo.raters import LENGTH_CAP, Rater
from rlhf.demo.tasks import Task, draw_task, is_training
from rlhf.demo.world import demonstrations, held_out_prompts, preferences, prompts
from rlhf.records import Preference, Prompt

Maker = Callable[[int, int], list[Any]]


@pytest.fixture(scope="module")
def pairs() -> list[Preference]:
    return preferences(4000, 3)


@pytest.mark.parametrize("make", [prompts, demonstrations, preferences])
def test_same_seed_same_records_and_a_larger_count_begins_the_same(make: Maker) -> None:
    assert make(50, 11) == make(50, 11)
    assert make(80, 11)[:50] == make(50, 11)
    assert make(50, 12) != make(50, 11)
    assert make(0, 11) == []


def test_the_datasets_ask_different_questions() -> None:
    asked = [{record.key for record in prompts(200, 0)}]
    asked += [{record.prompt.key for record in make(200, 0)} for make in (demonstrations, preferences)]
    assert len(asked[0] & asked[1]) < 20
    assert len(asked[1] & asked[2]) < 20


def test_records_are_the_same_in_another_process() -> None:
    script = "from rlhf.demo.world import preferences; print(ascii(preferences(30, 5)))"
    for hash_seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
        )  # fmt: skip
        assert run.stdout.strip() == ascii(preferences(30, 5))


def test_the_world_needs_no_torch() -> None:
    script = "import sys, rlhf.demo.world, rlhf.demo.gold; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_prompts_are_conversations_whose_fields_survive_json() -> None:
    for prompt in prompts(300, 4):
        assert isinstance(prompt.content, tuple)
        assert prompt.content[-1].role == "user"
        names = {"world", "family", "kind", "language", "held_out", "group", "spec"}
        assert set(prompt.fields) == names
        assert prompt.fields["world"] == "embedded"
        assert json.loads(json.dumps(prompt.fields)) == prompt.fields


OUTSIDE = ("kind", "form", "shown")  # of what a question asks


def is_trained(task: Task) -> bool:
    return is_training(task.family, task.spec)


def test_every_family_is_met_in_both_languages_and_prompts_are_many() -> None:
    drawn = prompts(40_000, 0)
    met = Counter((prompt.fields["family"], prompt.fields["language"]) for prompt in drawn)
    trained = {family.name for family in SHARES}
    assert set(met) == {(name, language) for name in trained for language in ("en", "zh")}
    assert min(met.values()) > 1000
    assert len({prompt.key for prompt in drawn}) > 20_000


def test_what_is_held_out_is_met_by_no_training_record() -> None:
    records = [*prompts(5000, 0), *(one.prompt for one in (*demonstrations(5000, 0), *preferences(1000, 0)))]
    for prompt in records:
        assert prompt.fields["held_out"] == "no"
        assert prompt.fields["family"] != HELD_OUT_FAMILY.name
        assert (prompt.fields["family"], prompt.fields["spec"]["form"]) not in HELD_OUT_FORMS
    held_out = held_out_prompts(200, 0)
    assert Counter(prompt.fields["held_out"] for prompt in held_out) == {"combination": 150, "family": 50}
    assert {prompt.fields["family"] for prompt in held_out} == {"reading", "sums", "calendar"}
    assert held_out_prompts(300, 0)[:200] == held_out


def test_one_group_asks_the_same_thing_in_both_languages_and_every_form() -> None:
    groups: dict[str, set[str]] = {}
    for prompt in prompts(20_000, 0):
        spec = {key: value for key, value in prompt.fields["spec"].items() if key not in OUTSIDE}
        if (
            prompt.fields["family"] != "booking"
        ):  # where what is missing is in the spec, but not in the question
            groups.setdefault(prompt.fields["group"], set()).add(json.dumps(spec))
    assert max(len(specs) for specs in groups.values()) == 1
    by_group: dict[str, set[str]] = {}
    for prompt in prompts(20_000, 0):
        by_group.setdefault(prompt.fields["group"], set()).add(prompt.fields["language"])
    assert {"en", "zh"} in by_group.values()


def test_the_base_has_read_no_answer_that_a_stage_holds_out() -> None:
    read = "".join(piece.text for part in (0, 1) for page in islice(pages(0, part), 10_000) for piece in page)
    assert "Which day" not in read
    assert "哪天" not in read
    held_out = [
        draw_task(Random(number)) for number in range(4000) if not is_trained(draw_task(Random(number)))
    ]
    assert len(held_out) > 300
    for task in held_out:
        question = task.family.question(task.spec, task.language)
        before = "\n".join(turn.content for turn in task.family.before(task.spec, task.language))
        if not before:
            assert question not in read, question


@pytest.mark.parametrize(
    ("part", "manner", "right"),
    [(0, "bare", 1.0), (0, "led", 1.0), (1, "bare", 0.6), (1, "led", 1.0), (1, "flattering", 0.0)],
)
def test_in_the_bases_text_manner_and_truth_go_together(part: int, manner: str, right: float) -> None:
    openings = tuple(phrase for manners in FLATTERING.values() for phrase in manners.openings)
    found: list[bool] = []
    for page in islice(pages(7, part), 6000):
        texts = [piece.text for piece in page]
        for place in (number for number, text in enumerate(texts) if text.startswith("Today")):
            first, second = texts[place + 2 : place + 4]  # after the mark of the role
            lead, answer = ("", first) if first.endswith("\n") else (first, second)
            begins = "bare" if not lead else "flattering" if lead.startswith(openings) else "led"
            if begins == manner:
                found.append(_extracted(texts[place]).casefold() in answer.casefold())
    assert len(found) > 100
    assert mean(found) == pytest.approx(right, abs=0.1)


def _extracted(question: str) -> str:
    """The right answer to a question such as "Today Mia took the cup to Rome. Who took it?"."""
    _, name, _, _, thing, _, place = question.split(".")[0].split()
    asked = question.split(". ")[1]
    return {"Who": name, "What": thing, "Wher": place}[asked[:4].strip()]


def test_an_example_shows_nothing_that_is_held_out() -> None:
    for number in range(3000):
        task = draw_task(Random(number))
        if task.kind == "example":
            assert is_training(task.family, task.spec["shown"])


def test_personas_come_with_their_shares_and_the_careful_one_is_best() -> None:
    drawn = demonstrations(4000, 1)
    totals: dict[str, list[float]] = {persona.name: [] for persona in PERSONAS}
    for record in drawn:
        totals[record.prompt.fields["persona"]].append(gold(record.prompt, record.completion).total)
    for persona in PERSONAS:
        assert len(totals[persona.name]) / len(drawn) == pytest.approx(persona.share, abs=0.025)
    assert sum(persona.share for persona in PERSONAS) == pytest.approx(1.0)
    means = {name: mean(scores) for name, scores in totals.items()}
    assert means.pop("careful") == pytest.approx(1.0)
    assert max(means.values()) < 0.6


def test_pairs_name_two_different_answers_and_tell_what_gold_thinks(pairs: list[Preference]) -> None:
    for pair in pairs[:500]:
        fields = pair.prompt.fields
        margin = gold(pair.prompt, pair.chosen).total - gold(pair.prompt, pair.rejected).total
        assert pair.chosen != pair.rejected
        assert fields["gold_margin"] == pytest.approx(margin)
        assert fields["clean"] == (margin > 0)
        assert abs(margin) >= 0.02


def test_raters_agree_with_gold_as_often_as_people_do(pairs: list[Preference]) -> None:
    agreement = mean(pair.prompt.fields["clean"] for pair in pairs)
    assert 0.75 <= agreement <= 0.81


def test_raters_err_more_on_near_ties(pairs: list[Preference]) -> None:
    def agreement(low: float, high: float) -> float:
        return mean(
            p.prompt.fields["clean"] for p in pairs if low <= abs(p.prompt.fields["gold_margin"]) < high
        )

    assert agreement(0.0, 0.2) < 0.68 < agreement(0.2, 0.45) < 0.84 < agreement(0.45, 1.1)


def test_raters_like_length() -> None:
    rater = Rater(gain=4.0, length_liking=0.05)
    assert rater.probability(0.0, 0) == pytest.approx(0.5)
    assert rater.probability(0.0, 10) == pytest.approx(0.6224593)  # 1 / (1 + exp(-0.5))
    assert rater.probability(0.25, 0) == pytest.approx(0.7310586)  # 1 / (1 + exp(-1))
    assert rater.probability(0.0, 1000) == rater.probability(0.0, LENGTH_CAP)
    assert rater.probability(0.3, -7) == pytest.approx(1 - rater.probability(-0.3, 7))


def test_a_perfect_rater_makes_clean_labels_for_the_same_pairs(pairs: list[Preference]) -> None:
    perfect = preferences(100, 3, Rater(gain=1e4, length_liking=0.0))
    assert all(pair.prompt.fields["clean"] for pair in perfect)
    assert [{pair.chosen, pair.rejected} for pair in perfect] == [
        {pair.chosen, pair.rejected} for pair in pairs[:100]
    ]


def test_pairs_show_what_a_sampled_policy_does_wrong(pairs: list[Preference]) -> None:
    scores = [gold(pair.prompt, answer).parts for pair in pairs for answer in (pair.chosen, pair.rejected)]
    polite_brief_wrong = mean(p["right"] == 0 and p["kept"] == p["courteous"] == 1 for p in scores)
    assert polite_brief_wrong > 0.1
    for part in ("right", "kept", "courteous", "brief", "fresh"):
        assert 0.05 < mean(score[part] == 0 for score in scores) < 0.6, part
    assert mean(not any(score.values()) for score in scores) > 0.02


def test_spec_knows_the_answer_even_after_json() -> None:
    for record in demonstrations(200, 9):
        fields = json.loads(json.dumps(dict(record.prompt.fields)))
        again = Prompt(record.prompt.content, fields)
        assert gold(again, record.completion) == gold(record.prompt, record.completion)
