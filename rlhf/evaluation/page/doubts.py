"""An expert's doubts, each with a verdict in a few words that follows from the figures shown beneath it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from rlhf.evaluation.page.numbers import Range, chance, number
from rlhf.evaluation.page.words import Words, name_of

SURE = 0.05  # a p-value below this is taken to be no chance
EVEN = 0.5


class Row(NamedTuple):
    """A win rate with its interval, and what it is of."""

    name: Words
    rate: Range


class Doubt(NamedTuple):
    """`kind` is "fine", "bad" or "open"; `figures` are null where the doubt cannot be answered here.

    `rows` are win rates to draw. `remedy` says what would answer a doubt that is open for want of figures.
    """

    key: str
    question: Words
    verdict: Words
    kind: str
    rows: list[Row]
    figures: Mapping[str, Any] | None
    remedy: Words | None = None


def doubts(evaluation: Mapping[str, Any]) -> Iterator[Doubt]:
    """The six doubts in the order in which an expert has them."""
    for key, (question, remedy) in QUESTIONS.items():
        figures = evaluation["doubts"][key]
        if figures is None:
            unknown = Words("It cannot be told here.", "此处无从判断。")
            yield Doubt(key, question, unknown, "open", [], None, remedy)
        else:
            kind, verdict, rows = ANSWERS[key](figures, evaluation)
            yield Doubt(key, question, verdict, kind, rows, figures)


Answer = tuple[str, Words, list[Row]]


def _length(figures: Mapping[str, Any], _: Mapping[str, Any]) -> Answer:
    controlled, same = figures["length_controlled"], figures["same_length"]
    rows = [
        Row(Words("as it is", "原样"), figures["win_rate"]),
        Row(Words("length held equal by a fit", "用拟合排除长度"), controlled),
    ]
    if same:
        count = same["prompts"]
        rows.append(
            Row(Words(f"answers of the same length ({count})", f"两答等长（{count} 个）"), same["win_rate"])
        )
    if figures["win_rate"]["low"] <= EVEN:
        return "open", Words("There is no win to explain.", "没有胜出，无可解释。"), rows
    if controlled["low"] > EVEN:
        return "fine", Words("No: at equal length it still wins.", "不是：等长时仍然胜出。"), rows
    if controlled["high"] < EVEN:
        return "bad", Words("Yes: at equal length it loses.", "是：等长时反而落败。"), rows
    return "bad", Words("Perhaps: at equal length no win is left.", "有可能：等长时看不出胜出。"), rows


def _own_grader(figures: Mapping[str, Any], _: Mapping[str, Any]) -> Answer:
    rows = [Row(name_of(name), rate) for name, rate in figures.items() if rate]
    others = [rate for name, rate in figures.items() if rate and name != "reward"]
    if not others:
        return "open", Words("It may be: nobody else judged.", "有可能：没有别的裁判。"), rows
    if any(rate["low"] > EVEN for rate in others) and not any(rate["high"] < EVEN for rate in others):
        return "fine", Words("No: who never trained it agrees.", "不是：未参与训练的裁判也认同。"), rows
    if any(rate["high"] < EVEN for rate in others):
        return "bad", Words("Yes: who never trained it disagrees.", "是：未参与训练的裁判不认同。"), rows
    return "bad", Words("Perhaps: others see no difference.", "有可能：别的裁判看不出差别。"), rows


def _noise(figures: Mapping[str, Any], _: Mapping[str, Any]) -> Answer:
    rows = [
        Row(Words("policy against baseline", "策略对基线"), figures["win_rate"]),
        Row(Words("baseline against itself", "基线对它自己"), figures["itself"]),
    ]
    p = chance(figures["p_value"])
    if figures["p_value"] < SURE:
        return "fine", Words(f"No: chance does this with {p}.", f"不是：偶然如此的概率 {p}。"), rows
    return "bad", Words(f"It may be: {p}.", f"有可能：{p}。"), rows


def _memory(figures: Mapping[str, Any], _: Mapping[str, Any]) -> Answer:
    rows = [
        Row(Words("prompts of PPO's training", "PPO 训练过的提示"), figures["seen"]["win_rate"]),
        Row(Words("prompts it never saw", "从未见过的提示"), figures["held_out"]["win_rate"]),
    ]
    if figures["difference"]["low"] <= 0:
        return "fine", Words("No: new prompts do as well.", "不是：新提示上同样好。"), rows
    if figures["held_out"]["win_rate"]["low"] > EVEN:
        return (
            "open",
            Words("In part: new prompts gain less, but gain.", "有一些：新提示上进步较小，但仍有。"),
            rows,
        )
    return "bad", Words("Yes: new prompts gain nothing.", "是：新提示上没有进步。"), rows


def _forgetting(figures: Mapping[str, Any], _: Mapping[str, Any]) -> Answer:
    worse = len(figures["worse"])
    if worse:
        return (
            "bad",
            Words(f"Yes: worse in {worse} group{'s' * (worse > 1)}.", f"是：有 {worse} 组变差。"),
            [],
        )
    now, before = figures["policy_loss"], figures["baseline_loss"]
    if now and before and now["low"] > before["high"]:
        said = Words(
            "No group got worse; demonstrations became less likely.", "没有哪组变差；但示范的概率降低了。"
        )
        return "open", said, []
    return "fine", Words("No: no group got worse.", "没有：没有哪组变差。"), []


def _cost(figures: Mapping[str, Any], evaluation: Mapping[str, Any]) -> Answer:
    spent, budget = number(figures["kl_nats"]["estimate"]), number(evaluation["kl_budget_nats"])
    if figures["kl_nats"]["estimate"] > evaluation["kl_budget_nats"]:
        said = Words(f"{spent} nats, beyond the budget of {budget}.", f"{spent} 纳特，超出预算 {budget}。")
        return "bad", said, []
    said = Words(f"{spent} nats, within the budget of {budget}.", f"{spent} 纳特，在预算 {budget} 之内。")
    return "fine", said, []


ANSWERS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Answer]] = {
    "length": _length,
    "own_grader": _own_grader,
    "noise": _noise,
    "memory": _memory,
    "forgetting": _forgetting,
    "cost": _cost,
}

QUESTIONS: Mapping[str, tuple[Words, Words]] = {
    "length": (
        Words("Is it length?", "是靠长度取胜吗？"),
        Words(
            "A judge's scores of answers of different lengths would tell.",
            "需要某位裁判对长短不同的回答评分。",
        ),
    ),
    "own_grader": (
        Words("Is it the reward model grading itself?", "是奖励模型给自己打分吗？"),
        Words(
            "A judge that did not train the policy would tell: inputs.judge, or an endpoint.",
            "需要未参与训练的裁判：inputs.judge，或外部裁判。",
        ),
    ),
    "noise": (
        Words("Is it noise?", "是偶然吗？"),
        Words("Judged answers to some hundred prompts would tell.", "需要几百个提示上的评判。"),
    ),
    "memory": (
        Words("Is it memory of the prompts?", "是记住了提示吗？"),
        Words(
            "Prompts that PPO was trained on, answered and judged beside the held-out ones, would tell.",
            "需要把 PPO 训练过的提示与留出的提示一同评判。",
        ),
    ),
    "forgetting": (
        Words("Did it forget anything?", "有没有遗忘？"),
        Words(
            "Held-out demonstrations would tell: data.demonstrations.",
            "需要留出的示范：data.demonstrations。",
        ),
    ),
    "cost": (
        Words("What did it cost in KL?", "付出了多少 KL？"),
        Words(
            "A policy with the baseline's tokens and template would tell.",
            "需要与基线同一分词器和模板的策略。",
        ),
    ),
}
