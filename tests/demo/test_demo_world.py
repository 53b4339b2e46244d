"""Datasets of the embedded world: fixed by the seed, of the stated mixture, labelled as people do."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from statistics import mean
from typing import Any

import pytest

from rlhf.demo.families import FAMILIES
from rlhf.demo.gold import gold
from rlhf.demo.personas import PERSONAS
from rlhf.demo.raters import LENGTH_CAP, Rater
from rlhf.demo.world import demonstrations, preferences, prompts
from rlhf.records import Message, Preference, Prompt

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


def test_prompts_are_one_user_turn_whose_fields_survive_json() -> None:
    for prompt in prompts(300, 4):
        assert isinstance(prompt.content, tuple)
        assert prompt.content == (Message("user", prompt.text),)
        assert set(prompt.fields) == {"world", "family", "language", "spec"}
        assert prompt.fields["world"] == "embedded"
        assert json.loads(json.dumps(prompt.fields)) == prompt.fields


def test_every_family_is_met_in_both_languages_and_prompts_are_many() -> None:
    drawn = prompts(40_000, 0)
    met = Counter((prompt.fields["family"], prompt.fields["language"]) for prompt in drawn)
    assert set(met) == {(name, language) for name in FAMILIES for language in ("en", "zh")}
    assert min(met.values()) > 1000
    assert len({prompt.key for prompt in drawn}) > 20_000


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
