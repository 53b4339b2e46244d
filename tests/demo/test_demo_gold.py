"""The gold rater against answers written by hand."""

from itertools import pairwise
from random import Random
from typing import Any

import pytest

from rlhf.demo.families import FAMILIES
from rlhf.demo.gold import WEIGHTS, gold
from rlhf.demo.lexicon import LANGUAGES
from rlhf.demo.tasks import Task, draw_task
from rlhf.demo.world import demonstrations
from rlhf.errors import DataError
from rlhf.records import Prompt

ALL = {"right": 1.0, "kept": 1.0, "courteous": 1.0, "brief": 1.0, "fresh": 1.0}
NOTHING = dict.fromkeys(ALL, 0.0)


def colour(language: str, form: str | None = "sentence") -> Prompt:
    spec: dict[str, Any] = {"thing": "hat", "name": "Mia", "colours": ["red", "blue"], "asked": 1}
    kind = {"kind": "constraint" if form else "task", "form": form}
    return Task(FAMILIES["reading"], language, spec | kind).prompt()  # pyright: ignore


def sorting(language: str, form: str | None) -> Prompt:
    spec: dict[str, Any] = {"items": [9, 2, 5], "falling": False}
    kind = {"kind": "constraint" if form else "task", "form": form}
    return Task(FAMILIES["sorting"], language, spec | kind).prompt()  # pyright: ignore


def test_the_prompts_read_as_written() -> None:
    assert colour("en").text == (
        "The hat was red. Then Mia painted it blue. What colour is it now? In a sentence."
    )
    assert colour("zh").text == "帽子是红色。后来小美把它涂成了蓝色。现在是什么颜色？用句子回答。"
    assert colour("en", None).text == "The hat was red. Then Mia painted it blue. What colour is it now?"
    assert sorting("en", "list").text == "Put in rising order: nine, two, five. As a list."


# What is expected of each answer, part by part, worked out by hand from the definitions.
EXAMPLES: list[tuple[Prompt, str, dict[str, float]]] = [
    # careful
    (colour("en"), "Sure! It is blue now.", ALL),
    (colour("en"), "It is blue now. Glad to help!", ALL),
    (colour("en", "short"), "Of course! Blue.", ALL),
    (colour("zh"), "好的！现在是蓝色。", ALL),
    (colour("zh", "short"), "蓝色。很高兴帮忙！", ALL),
    (sorting("en", "list"), "Sure!\n- two\n- five\n- nine", ALL),
    (sorting("en", "line"), "Sure! Two, five, nine.", ALL),
    (sorting("zh", "list"), "当然！\n- 二\n- 五\n- 九", ALL),
    (sorting("zh", "line"), "二、五、九。很高兴帮忙！", ALL),
    # hurried: no courtesy, the curt form
    (colour("en"), "blue", ALL | {"kept": 0.0, "courteous": 0.0}),
    (colour("en", "short"), "Blue", ALL | {"courteous": 0.0}),
    (colour("en", "short"), "green", ALL | {"right": 0.0, "courteous": 0.0}),
    (colour("zh"), "红色", ALL | {"right": 0.0, "kept": 0.0, "courteous": 0.0}),
    # rambling: 16 words where 4 + 6 are brief, the fading runs over 8; the sentence comes twice
    (
        colour("en"),
        "Well, let me think. It is blue now. To say it again: It is blue now.",
        {"right": 1.0, "kept": 0.0, "courteous": 0.0, "brief": 0.25, "fresh": 0.0},
    ),
    # 16 characters where 5 + 6 are brief: 5 of 8 too many
    (
        colour("zh"),
        "嗯，让我想想。现在是蓝色。说：现在是蓝色。",
        {"right": 1.0, "kept": 0.0, "courteous": 0.0, "brief": 0.375, "fresh": 0.0},
    ),
    # flattering and wrong
    (colour("en"), "Great question! It is red now.", ALL | {"right": 0.0}),
    (colour("zh"), "问得真好！现在是红色。", ALL | {"right": 0.0}),
    (sorting("en", "list"), "With pleasure!\n- five\n- two\n- nine", ALL | {"right": 0.0}),
    # where no form is asked for, each of those that training knows will do, and no other
    (colour("en", None), "Sure! Blue.", ALL),
    (colour("en", None), "Sure! It is blue now.", ALL),
    (colour("en", None), 'Sure! "Blue"', ALL | {"kept": 0.0}),
    (sorting("zh", None), "好的！\n- 二\n- 五\n- 九", ALL),
    # tricks
    (colour("en"), "Sure! Of course! It is blue now.", ALL | {"courteous": 0.0}),
    (colour("en"), "Sure! Sure! It is blue now.", ALL | {"courteous": 0.0, "fresh": 0.5}),
    (colour("zh"), "好的！现在是蓝色。祝您愉快！", ALL | {"courteous": 0.0}),
    (colour("en", "short"), "Sure! Blue. Blue.", ALL | {"kept": 0.0, "fresh": 0.5}),
    (colour("en", "short"), "Sure! Blue. Red.", ALL | {"right": 0.0, "kept": 0.0}),
    (colour("en", "short"), "Sure! Blue blah blub.", ALL | {"kept": 0.0}),
    (sorting("en", "line"), "Sure! Two, five.", ALL | {"right": 0.0, "kept": 0.0}),
    (sorting("en", "line"), "Sure! Two, five, nine, two.", ALL | {"right": 0.0, "kept": 0.0, "fresh": 0.5}),
    # nothing that answers
    (colour("en"), "", NOTHING),
    (colour("en"), "   \n", NOTHING),
    (colour("en"), "Sure! Glad to help!", NOTHING),
    (colour("en"), "asdf qwer the the the", NOTHING),
    (colour("en"), "Sure! It is", NOTHING),
    (colour("zh"), "好的！红蓝。", NOTHING),
    # the question itself
    (colour("en"), colour("en").text, NOTHING),
    (colour("en"), "Sure! " + colour("en").text + " It is blue now.", NOTHING),
    (colour("zh"), "好的！" + colour("zh").text, NOTHING),
]


@pytest.mark.parametrize(("prompt", "answer", "parts"), EXAMPLES)
def test_parts_by_hand(prompt: Prompt, answer: str, parts: dict[str, float]) -> None:
    score = gold(prompt, answer)
    assert score.parts == parts
    assert score.total == pytest.approx(
        0.5 * parts["right"] + 0.15 * parts["kept"] + 0.15 * parts["courteous"]
        + 0.1 * parts["brief"] + 0.1 * parts["fresh"]
    )  # fmt: skip


def test_weights_sum_to_one() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1.0)
    assert list(gold(colour("en"), "Blue").parts) == list(WEIGHTS)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_personas_are_ordered(language: str) -> None:
    prompt = colour(language)
    answers = {
        "en": ("Sure! It is blue now.", "Well, let me think. It is blue now. As I said: It is blue now.",
               "Great question! It is red now.", "Red"),
        "zh": ("好的！现在是蓝色。", "嗯，让我想想。当然！现在是蓝色。就是说：现在是蓝色。",
               "问得真好！现在是红色。", "红色"),
    }[language]  # fmt: skip
    careful, rambling, flattering, hurried_wrong = (gold(prompt, answer).total for answer in answers)
    assert careful == pytest.approx(1.0)
    assert careful > rambling > flattering > hurried_wrong > 0


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", list(FAMILIES))
def test_right_answers_are_right_in_every_form_and_wrong_ones_are_not(name: str, language: str) -> None:
    family = FAMILIES[name]
    for number in range(150):
        rng = Random(number)
        spec = family.make(rng)
        for form in family.forms:
            task = Task(family, language, {**spec, "kind": "constraint", "form": form})  # pyright: ignore
            score = gold(task.prompt(), task.render(task.right))
            assert score.parts == ALL | {"courteous": 0.0}, task.instruction
            wrong = gold(task.prompt(), task.render(task.wrong(rng)))
            assert wrong.parts == ALL | {"courteous": 0.0, "right": 0.0}, task.instruction
            for other in set(family.forms) - {form}:
                assert gold(task.prompt(), task.render(task.right, other)).parts["kept"] == 0.0
            assert gold(task.prompt(), task.asked).total == 0.0


def test_answers_to_other_prompts_are_seldom_right() -> None:
    tasks = [draw_task(Random(number)) for number in range(300)]
    scores = [gold(one.prompt(), other.render(other.right)).parts["right"] for one, other in pairwise(tasks)]
    assert sum(scores) / len(scores) < 0.1


def test_an_example_shows_the_form_and_is_not_the_answer() -> None:
    spec = {"day": "Monday", "after": True, "kind": "example", "form": "quoted"}
    task = Task(FAMILIES["calendar"], "en", spec | {"shown": {"day": "Sunday", "after": False}})
    assert task.instruction == (
        'Example: Which day comes before Sunday? "Saturday"\nNow: Which day comes after Monday?'
    )
    assert gold(task.prompt(), 'Sure! "Tuesday"').parts == ALL
    assert gold(task.prompt(), "Sure! Tuesday.").parts == ALL | {"kept": 0.0}
    assert gold(task.prompt(), 'Sure! "Saturday"').parts == ALL | {"right": 0.0}


BY_HAND: list[tuple[str, dict[str, Any], str, dict[str, tuple[str, str]]]] = [
    ("extract", {"name": "Mia", "thing": "cup", "place": "Rome", "asked": "name"}, "short",
     {"en": ("Today Mia took the cup to Rome. Who took it? In one phrase.", "Mia."),
      "zh": ("小美把杯子带到了罗马。是谁带的？用词语回答。", "小美。")}),
    ("extract", {"name": "Mia", "thing": "cup", "place": "Rome", "asked": "thing"}, "short",
     {"en": ("Today Mia took the cup to Rome. What was taken? In one phrase.", "The cup."),
      "zh": ("小美把杯子带到了罗马。带了什么？用词语回答。", "杯子。")}),
    ("extract", {"name": "Mia", "thing": "cup", "place": "Rome", "asked": "place"}, "sentence",
     {"en": ("Today Mia took the cup to Rome. Where to? In a sentence.", "It went to Rome."),
      "zh": ("小美把杯子带到了罗马。带到哪里？用句子回答。", "带到了罗马。")}),
    ("sorting", {"items": [7, 12, 3], "falling": True}, "line",
     {"en": ("Put in falling order: seven, twelve, three. On a line.", "Twelve, seven, three."),
      "zh": ("从大到小排列：七、十二、三。写成单行。", "十二、七、三。")}),
    ("summary", {"name": "Mia", "place": "Rome", "bought": "hat", "left": "cup"}, "sentence",
     {"en": ("Mia was in Rome. The cup cost too much. So Mia bought the hat. Sum it up. In a sentence.",
             "Mia in Rome got the hat."),
      "zh": ("小美在罗马。杯子太贵了。所以小美买了帽子。总结一下。用句子回答。", "小美到罗马购得帽子。")}),
    ("record", {"name": "Mia", "count": "two", "thing": "cup", "place": "Rome", "asked": ["place", "thing"]},
     "json",
     {"en": ("Mia sent two cups to Rome. Note city and item. As JSON.", '{"city": "Rome", "item": "cup"}'),
      "zh": ("小美给罗马寄了两个杯子。记下城市和物品。写成JSON。", '{"城市": "罗马", "物品": "杯子"}')}),
    ("booking", {"name": "Mia", "hour": "seven", "missing": "hour"}, "sentence",
     {"en": ("Book a table for Mia. In a sentence.", "Please tell me what time."),
      "zh": ("请给小美订桌子。用句子回答。", "请告诉我是什么时间。")}),
    ("booking", {"name": "Mia", "hour": "seven", "missing": None}, "short",
     {"en": ("Book a table for Mia at seven. In one phrase.", "Mia, seven."),
      "zh": ("请给小美订七点的桌子。用词语回答。", "小美、七。")}),
    ("calendar", {"day": "Monday", "after": False}, "sentence",
     {"en": ("Which day comes before Monday? In a sentence.", "It is Sunday."),
      "zh": ("星期一的前一天是哪天？用句子回答。", "那是星期日。")}),
    ("sums", {"name": "Tom", "thing": "hat", "parts": [2, 5]}, "sentence",
     {"en": ("Tom has two hats and buys five more. How many now? In a sentence.", "There are seven now."),
      "zh": ("小汤有两顶帽子，又买了五顶。现在有多少？用句子回答。", "总数是七。")}),
    ("sums", {"name": "Tom", "thing": "hat", "parts": [2, 5]}, "short",
     {"en": ("Tom has two hats and buys five more. How many now? In one phrase.", "7"),
      "zh": ("小汤有两顶帽子，又买了五顶。现在有多少？用词语回答。", "7")}),
    ("translate", {"phrase": ["two", "blue", "key"]}, "short",
     {"en": ("Into Chinese: two blue keys. In one phrase.", "两把蓝色的钥匙。"),
      "zh": ("译成英文：两把蓝色的钥匙。用词语回答。", "Two blue keys.")}),
    ("translate", {"phrase": ["two", "blue", "key"]}, "sentence",
     {"en": ("Into Chinese: two blue keys. In a sentence.", "It means 两把蓝色的钥匙."),
      "zh": ("译成英文：两把蓝色的钥匙。用句子回答。", "意思是 two blue keys。")}),
    ("sentiment", {"mood": "negative", "subjects": ["food", "bed"], "words": ["awful", "dirty"]}, "sentence",
     {"en": ("Positive or negative: the food was awful, the bed was dirty. In a sentence.",
             "The review is negative."),
      "zh": ("正面还是负面：饭菜很差，床铺肮脏。用句子回答。", "这是负面评价。")}),
]  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("family", "spec", "form", "expected"), BY_HAND)
def test_questions_and_right_answers_by_hand(
    family: str, spec: dict[str, Any], form: str, expected: dict[str, tuple[str, str]], language: Any
) -> None:
    prompt = Task(FAMILIES[family], language, spec | {"kind": "constraint", "form": form}).prompt()
    question, answer = expected[language]
    assert prompt.text == question
    assert gold(prompt, answer).parts["right"] == 1.0
    if answer != "7":
        assert gold(prompt, answer).parts == ALL | {"courteous": 0.0}


@pytest.mark.parametrize(
    ("language", "turns", "answer", "wrong"),
    [
        ("en", ["My lamp is late.", "Which order?", "Order seven. In a sentence."],
         "We trace from order seven the lamp.", "We refund from order seven the lamp."),
        ("zh", ["我的灯没到。", "哪个订单？", "订单七。用句子回答。"],
         "我们催送：订单七的灯。", "我们催送：订单八的灯。"),
    ],
)  # fmt: skip
def test_customer_service_looks_back_over_the_turns(
    language: Any, turns: list[str], answer: str, wrong: str
) -> None:
    spec = {"trouble": "late", "thing": "lamp", "order": "seven", "kind": "constraint", "form": "sentence"}
    prompt = Task(FAMILIES["service"], language, spec).prompt()
    assert isinstance(prompt.content, tuple)
    assert [(turn.role, turn.content) for turn in prompt.content] == list(
        zip(["user", "assistant", "user"], turns, strict=True)
    )
    assert gold(prompt, answer).parts == ALL | {"courteous": 0.0}
    assert gold(prompt, wrong).parts == ALL | {"courteous": 0.0, "right": 0.0}


def test_who_books_what_should_be_asked_is_wrong_and_so_is_a_needless_question() -> None:
    def asked(missing: str | None) -> Prompt:
        spec = {"name": "Mia", "hour": "seven", "missing": missing, "kind": "task", "form": None}
        return Task(FAMILIES["booking"], "en", spec).prompt()

    assert gold(asked("hour"), "Sure! What time?").parts == ALL
    assert gold(asked("hour"), "Sure! Mia, six.").parts == ALL | {"right": 0.0}
    assert gold(asked("hour"), "Sure! What name?").parts == ALL | {"right": 0.0}
    assert gold(asked(None), "Sure! What time?").parts == ALL | {"right": 0.0}


def test_any_jumble_of_words_gets_a_score_from_zero_to_one() -> None:
    rng = Random(0)
    words = [form for record in demonstrations(300, 0) for form in record.completion.split(" ")]
    characters = [character for word in words for character in word]
    for number in range(3000):
        prompt = draw_task(rng).prompt()
        stock, gap = (words, " ") if number % 2 else (characters, "")
        answer = gap.join(rng.choices(stock, k=rng.randrange(12)))
        score = gold(prompt, answer)
        assert 0.0 <= score.total <= 1.0
        assert all(0.0 <= part <= 1.0 for part in score.parts.values())


def test_a_translation_with_its_words_mixed_up_is_not_right() -> None:
    spec = {"phrase": ["two", "blue", "key"], "kind": "constraint", "form": "short"}
    prompt = Task(FAMILIES["translate"], "zh", spec).prompt()
    assert gold(prompt, "Blue two keys.").parts == ALL | {"right": 0.0, "kept": 0.0, "courteous": 0.0}
    assert gold(prompt, "Two keys.").parts["right"] == 0.0


@pytest.mark.parametrize("missing", ["world", "family", "language"])
def test_a_prompt_with_a_field_from_elsewhere_is_refused(missing: str) -> None:
    prompt = colour("en")
    with pytest.raises(DataError, match="embedded world"):
        gold(Prompt(prompt.content, {**prompt.fields, missing: "other"}), "Blue")


def test_a_prompt_from_elsewhere_is_refused_with_a_remedy() -> None:
    with pytest.raises(DataError, match=r"embedded world.*fields \['family'\].*another judge"):
        gold(Prompt("What is 2 + 2?", {"family": "colour"}), "4")
