"""What the loop's page calls things, in English and Chinese."""

from collections.abc import Mapping

from rlhf.evaluation.page.words import Words, name_of
from rlhf.runs.loop_record import Ending, Status

STEPS: Mapping[str, Words] = {
    "sampling": Words("sample", "采样"),
    "selecting": Words("select", "选题"),
    "waiting": Words("wait", "等待"),
    "learning": Words("learn", "学习"),
    "improving": Words("improve", "改进"),
    "judging": Words("judge", "评判"),
}
"""The steps of a round in their order."""

DOING: Mapping[Status, Words] = {
    "sampling": Words("{incumbent} answers prompts", "{incumbent} 正在回答提示"),
    "selecting": Words("choosing which pairs people are asked about", "正在选择请人判断的回答对"),
    "waiting": Words("waiting for judgements", "正在等待判断"),
    "learning": Words("the reward model learns from the judgements", "奖励模型正在从判断中学习"),
    "improving": Words(
        "PPO trains a candidate against the new reward model", "PPO 正在用新的奖励模型训练候选策略"
    ),
    "judging": Words("the candidate is judged against {incumbent}", "正在评判候选策略与 {incumbent} 孰优"),
    "done": Words("done; the next round has not begun", "已完成；下一轮尚未开始"),
}

ENDED: Mapping[Ending, Words] = {
    "target": Words("the target win rate is reached", "已达到目标胜率"),
    "budget": Words("the budget of judgements is spent", "判断的预算已用完"),
    "patience": Words("too many rounds in a row promoted nothing", "连续多轮没有晋升"),
    "rounds": Words("all rounds are done", "各轮均已完成"),
}

OUTCOMES: Mapping[str, Words] = {
    "promoted": Words("promoted", "已晋升"),
    "kept": Words("not promoted", "未晋升"),
    "broken": Words("not promoted: guard broken", "未晋升：突破护栏"),
    "open": Words("in progress", "进行中"),
}
"""By the kind of a round, which is also its class in the page."""

GUARDS: Mapping[str, Words] = {
    "longer": Words("length over the incumbent's", "长度与现任之比"),
    "shorter": Words("the incumbent's length over the candidate's", "现任与候选的长度之比"),
    "kl_nats": Words("KL from the reference in nats", "与参考策略的 KL（纳特）"),
    "unfinished": Words("answers that do not end", "未结束的回答"),
    "degenerate": Words("degenerate answers", "退化的回答"),
    "repetition": Words("repetition", "重复率"),
    "refusals": Words("refusals", "拒答"),
    "over_refusals": Words("refusals of harmless prompts", "对无害提示的拒答"),
    "flags": Words("answers that people flagged", "被人标记的回答"),
}
PLAIN_GUARDS = frozenset({"longer", "shorter", "kl_nats"})
"""Guards that are a ratio or nats; the others are shares."""

STRATEGIES: Mapping[str, Words] = {
    "random": Words("random", "随机"),
    "uncertainty": Words("uncertainty", "不确定性"),
    "disagreement": Words("disagreement", "分歧"),
    "information": Words("information", "信息量"),
}

PEOPLE = Words("people", "人")


def guard_name(name: str) -> Words:
    """What a guard is called; its key where it has no name here."""
    return GUARDS.get(name, Words(name, name))


def strategy_name(name: str) -> Words:
    """What a strategy is called; its key where it has no name here."""
    return STRATEGIES.get(name, Words(name, name))


def judge_name(name: str) -> Words:
    """Who judged: as in an evaluation, or people."""
    return PEOPLE if name == "people" else name_of(name)


def step_name(name: str) -> Words:
    """What a step or a stage of a round is called."""
    return STEPS.get(name) or name_of(name)
