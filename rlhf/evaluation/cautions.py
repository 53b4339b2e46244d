"""What a reader must know before believing the headline: each rule with its sentence and its remedy."""

import re
from collections.abc import Iterator, Mapping

from rlhf.evaluation.summary import Evaluation
from rlhf.evaluation.wording import Missing, Text, Warning, missing

FEW_PROMPTS = 100
END_RATE_FALL = 0.1
LENGTH_GROWTH = 1.5
VARIETY_FALL = 0.6

_TRAINING_ZH = {  # what PPO warns of, its figures in their order, and the remedy
    "over-optimisation": (
        "KL 达到 {} 纳特，超出 kl.budget={}，而得分仍在上升：奖励可能被钻了空子",
        "请提高 kl.coef，使用 kl=adaptive，或降低 stage.learning_rate",
    ),
    "end-token-collapse": (
        "回答只有 {} 个词元，策略几乎立即结束",
        "请看奖励给空回答打多少分，提高 kl.coef 或降低 stage.learning_rate",
    ),
    "never-ends": (
        "只有 {} 的回答在长度上限之前自行结束",
        "请提高 stage.response_length 或 stage.missing_end_score，并确认 sft 学会了结束词元",
    ),
    "entropy-collapse": (
        "每个词元的熵从 {} 降到 {} 纳特",
        "请提高 kl.coef，或降低 stage.learning_rate 或 stage.epochs",
    ),
    "identical-responses": (
        "只有 {} 的回答彼此不同，开始时为 {}",
        "请提高 kl.coef，并阅读 samples.jsonl",
    ),
    "engine-gap": ("采样引擎的概率与训练时平均相差 {}", "请设 precision=fp32"),
    "no-improvement": (
        "没有任何检查点胜过 PPO 开始时的策略",
        "请提高 stage.total_episodes 或 stage.learning_rate，或降低 kl.coef",
    ),
    "over-budget": (
        "没有任何检查点在 kl.budget={} 纳特之内，取了最近的一个",
        "请提高 kl.coef，或降低 stage.eval_every",
    ),
    "over-limit": (
        "没有任何检查点守住 reward.limit，最近的超出 {}",
        "请提高 reward.limit 或 reward.max_multiplier，或增加回合数",
    ),
}
_FIGURE = re.compile(r"-?\d+(?:\.\d+)?(?:e-\d+)?%?")
_LESS_PRESSURE = Text(
    "Raise kl.coef, use kl=adaptive, or train for less (stage.total_episodes).",
    "请提高 kl.coef，使用 kl=adaptive，或减少训练（stage.total_episodes）。",
)


def cautions(evaluation: Evaluation, of_training: Mapping[str, str]) -> Iterator[Warning]:
    """Every warning that applies. `of_training` is what the policy's own run warned of, by name."""
    yield from _over_training(evaluation)
    yield from _hacking(evaluation)
    yield from _length(evaluation)
    yield from _few_prompts(evaluation)
    yield from _reward_model(evaluation)
    yield from _degenerate(evaluation)
    yield from _distance(evaluation)
    for name, said in of_training.items():
        what, _, remedy = said.rpartition(";")
        what, remedy = (what or said).strip(), remedy.strip()
        zh, remedy_zh = _TRAINING_ZH.get(name, (what, remedy))
        figures = _FIGURE.findall(what)
        fits = zh.count("{}") == len(figures)  # else another version said it
        zh = zh.format(*figures) if fits else what
        yield Warning(
            f"training-{name}",
            Text(f"While it was trained: {what}.", f"训练期间：{zh}。"),
            Text(f"{remedy}.", f"{remedy_zh}。"),
        )


def _over_training(evaluation: Evaluation) -> Iterator[Warning]:
    """Over training the reward rises on and what it stands for falls from its best look."""
    decline = evaluation.training.decline if evaluation.training else None
    if decline is None or decline.change.high >= 0 or decline.reward_change.low <= 0:
        return
    names = {
        "gold": Text("gold", "金标准分"),
        "validation": Text("the validation model's score", "验证模型的得分"),
    }
    by = names[decline.by]
    fall, rise = -decline.change.estimate, decline.reward_change.estimate
    yield Warning(
        "over-optimisation",
        Text(
            f"Over-optimisation: from iteration {decline.best} to {decline.last} the learnt reward rose by "
            f"{rise:.3g} while {by.en} fell by {fall:.3g}. The published checkpoint is the one that the "
            "validation model liked best for its KL, not the last.",
            f"过度优化：从第 {decline.best} 次迭代到第 {decline.last} 次，学得的奖励上升了 {rise:.3g}，"
            f"而{by.zh}下降了 {fall:.3g}。"
            "发布的检查点是计入 KL 代价后验证模型评价最高的那个，而不是最后一个。",
        ),
        _LESS_PRESSURE,
    )


def _hacking(evaluation: Evaluation) -> Iterator[Warning]:
    """The reward rises and what it stands for does not, from the baseline to the published policy."""
    reward = evaluation.judged_by("reward")
    for name in ("gold", "judge", "endpoint"):
        other = evaluation.judged_by(name)
        if reward is None or other is None or reward.overall.difference.low <= 0:
            continue
        if other.overall.difference.estimate < 0:
            rose, fell = reward.overall.difference.estimate, -other.overall.difference.estimate
            yield Warning(
                f"reward-hacking-{name}",
                Text(
                    f"Over-optimisation: the reward rose by {rose:.3g} while the mean score by {name} fell "
                    f"by {fell:.3g}.",
                    f"过度优化：奖励上升了 {rose:.3g}，而{other.says.zh}的平均分下降了 {fell:.3g}。",
                ),
                _LESS_PRESSURE,
            )


def _length(evaluation: Evaluation) -> Iterator[Warning]:
    first = evaluation.judgements[0] if evaluation.judgements else None
    if first is None or first.length_controlled is None:
        return
    plain, controlled = first.overall.win_rate, first.length_controlled
    if plain.low > 0.5 and controlled.low <= 0.5:
        yield Warning(
            "length-hacking",
            Text(
                f"It may be length: the win rate by {first.name} is {plain.estimate:.1%}, and at equal "
                f"length {controlled.estimate:.1%} ({controlled.low:.1%} to {controlled.high:.1%}), which "
                "may be chance.",
                f"可能只是长度：按{first.says.zh}胜率为 {plain.estimate:.1%}，而在长度相同时为 "
                f"{controlled.estimate:.1%}（{controlled.low:.1%} 至 {controlled.high:.1%}），可能出于偶然。",
            ),
            Text(
                "Look at the reward model's accuracy by length difference; collect pairs of like length, or "
                "add a rule on length to the reward (reward=weighted).",
                "请看奖励模型按长度差的准确率；收集长度相近的偏好对，或在奖励中加入长度规则（reward=weighted）。",
            ),
        )


def _few_prompts(evaluation: Evaluation) -> Iterator[Warning]:
    if evaluation.prompts < FEW_PROMPTS:
        yield Warning(
            "few-prompts",
            Text(
                f"Only {evaluation.prompts} prompts: intervals are wide.",
                f"只有 {evaluation.prompts} 个提示：区间很宽。",
            ),
            Text("Raise stage.num_prompts or data.limit.", "请提高 stage.num_prompts 或 data.limit。"),
        )


def _reward_model(evaluation: Evaluation) -> Iterator[Warning]:
    quality = evaluation.reward_model
    if quality and quality.accuracy.low <= quality.length.estimate:
        rule = {"longer": "较长", "shorter": "较短"}[quality.length_rule]
        yield Warning(
            "reward-model-length",
            Text(
                f"The reward model is right on {quality.accuracy.estimate:.1%} of held-out pairs, and taking "
                f"the {quality.length_rule} answer on {quality.length.estimate:.1%}: it may know little "
                "beyond length.",
                f"奖励模型在留出偏好对上的准确率为 {quality.accuracy.estimate:.1%}，而总选{rule}的回答为 "
                f"{quality.length.estimate:.1%}：它可能只懂长度。",
            ),
            Text("More or cleaner preferences help.", "更多或更干净的偏好数据会有帮助。"),
        )


def _distance(evaluation: Evaluation) -> Iterator[Warning]:
    kl = evaluation.kl_nats
    if kl and kl.estimate > evaluation.kl_budget_nats:
        yield Warning(
            "beyond-kl-budget",
            Text(
                f"The policy is {kl.estimate:.1f} nats from the baseline, beyond kl.budget="
                f"{evaluation.kl_budget_nats:g}: a reward model is rarely right so far from its data.",
                f"策略与基线相距 {kl.estimate:.1f} 纳特，超出 kl.budget={evaluation.kl_budget_nats:g}："
                "离数据这么远，奖励模型很少可靠。",
            ),
            _LESS_PRESSURE,
        )


def _degenerate(evaluation: Evaluation) -> Iterator[Warning]:
    """The tell-tales of a policy that has broken down."""
    now, before = evaluation.figures["policy"], evaluation.figures["baseline"]
    length, length_before = now.length_tokens.estimate, before.length_tokens.estimate
    if now.end_rate.estimate < before.end_rate.estimate - END_RATE_FALL:
        yield Warning(
            "ends-less",
            Text(
                f"Only {now.end_rate.estimate:.0%} of the policy's answers end by themselves; "
                f"the baseline's: {before.end_rate.estimate:.0%}.",
                f"策略的回答只有 {now.end_rate.estimate:.0%} 自行结束；"
                f"基线为 {before.end_rate.estimate:.0%}。",
            ),
            Text(
                "Raise stage.response_length or stage.missing_end_score in stage=ppo.",
                "请在 stage=ppo 中提高 stage.response_length 或 stage.missing_end_score。",
            ),
        )
    if length > LENGTH_GROWTH * length_before:
        yield Warning(
            "length-growth",
            Text(
                f"Answers grew from {length_before:.1f} tokens to {length:.1f}.",
                f"回答从 {length_before:.1f} 个词元增长到 {length:.1f} 个。",
            ),
            Text("Look whether the reward pays for length.", "请检查奖励是否偏爱长度。"),
        )
    if length <= 1.5:
        yield Warning(
            "ends-at-once",
            Text(
                "The policy ends at once: most answers are the end token alone.",
                "策略立即结束：多数回答只有结束符。",
            ),
            Text(
                "Look at what the reward gives an empty answer; raise kl.coef.",
                "请看奖励给空回答多少分；提高 kl.coef。",
            ),
        )
    if now.distinct_2 < VARIETY_FALL * before.distinct_2:
        yield Warning(
            "variety",
            Text(
                f"Variety fell: distinct-2 is {now.distinct_2:.2f}, the baseline's {before.distinct_2:.2f}. "
                "The answers may be much the same everywhere.",
                f"多样性下降：distinct-2 为 {now.distinct_2:.2f}，基线为 {before.distinct_2:.2f}。"
                "回答可能处处雷同。",
            ),
            _LESS_PRESSURE,
        )


def gaps(evaluation: Evaluation) -> Iterator[Missing]:
    """What could not be known here."""
    judges = {judgement.name for judgement in evaluation.judgements}
    training, doubts = evaluation.training, evaluation.doubts
    forgetting, first = doubts.forgetting, next(iter(evaluation.judgements), None)
    unknown = {
        "gold": "gold" not in judges,
        "judge": judges.isdisjoint({"judge", "endpoint"}),
        "reward": "reward" not in judges,
        "kl": evaluation.kl_nats is None,
        "fields": first is not None and first.groups.keys() <= {"length"},
        "best-of-n": not evaluation.best_of_n,
        "study": evaluation.learning is None,
        "training": training is None,
        "looks": training is not None
        and "gold" in judges
        and any(one.gold is None for one in training.looks),
        "episodes": training is not None and not evaluation.episodes,
        "memory": doubts.memory is None,
        "forgetting": forgetting is None or forgetting.policy_loss is None,
        "reward_model": evaluation.reward_model is None,
    }
    return (missing(name) for name, is_unknown in unknown.items() if is_unknown)
