"""English and Chinese have the same words, each used, and none is missing."""

import json
import re
from pathlib import Path

import pytest

import feedback_ui
from feedback_ui.service.campaigns import QUESTIONS

ROOT = Path(feedback_ui.__file__).parent
WORDS = {
    language: json.loads((ROOT / "words" / f"{language}.json").read_text("utf-8"))
    for language in ("en", "zh")
}
SCRIPTS = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "static").rglob("*.js")))


def test_both_languages_have_the_same_keys_in_the_same_order() -> None:
    assert list(WORDS["en"]) == list(WORDS["zh"])
    assert all(said.strip() for words in WORDS.values() for said in words.values())


@pytest.mark.parametrize("key", WORDS["en"])
def test_both_say_the_same_values(key: str) -> None:
    names = [sorted(re.findall(r"\{\w+\}", WORDS[language][key])) for language in ("en", "zh")]
    assert names[0] == names[1]


def test_chinese_is_chinese() -> None:
    same = {key for key in WORDS["en"] if WORDS["en"][key] == WORDS["zh"][key]}
    assert same == set()
    foreign = {key: said for key, said in WORDS["zh"].items() if not re.search(r"[\u4e00-\u9fff]", said)}
    assert set(foreign) <= {"progress.of"}


def test_every_word_that_a_script_says_is_there_and_every_word_is_said() -> None:
    said = set(re.findall(r'"([a-z_]+\.[a-zA-Z0-9_.-]+)"', SCRIPTS))
    made = [re.escape(one).replace(r"\$\{", "${") for one in re.findall(r"`([a-z_]+\.[^`]*)`", SCRIPTS)]
    patterns = [re.compile(re.sub(r"\$\{.*?\}", r"[\\w.-]+", one)) for one in made]
    keys = set(WORDS["en"])
    prefixes = {key.split(".")[0] for key in keys}
    missing = {
        one for one in said if one.split(".")[0] in prefixes and not one.startswith("feedback.")
    } - keys
    assert missing == set()
    unsaid = {key for key in keys - said if not any(pattern.fullmatch(key) for pattern in patterns)}
    assert unsaid == set()


def test_the_usual_questions_are_those_of_the_service() -> None:
    script = (ROOT / "static" / "given.js").read_text("utf-8")
    listed = script.split("const USUAL = {")[1].split("};")[0]
    assert dict(re.findall(r'(\w+): "([^"]+)"', listed)) == QUESTIONS
    assert {kind: WORDS["en"][f"question.{kind}"] for kind in QUESTIONS} == QUESTIONS
