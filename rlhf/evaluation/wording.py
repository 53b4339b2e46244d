"""Sentences of an evaluation, in English and Chinese."""

from dataclasses import dataclass

from rlhf.algos.statistics import Interval
from rlhf.evaluation.win_rate import Comparison


@dataclass(frozen=True)
class Text:
    """The same in two languages."""

    en: str
    zh: str


@dataclass(frozen=True)
class Missing:
    """Something that could not be known in this run, and what would make it known."""

    id: str
    text: Text


@dataclass(frozen=True)
class Warning:
    """Something that a reader must know before believing the headline, and what helps."""

    id: str
    text: Text
    remedy: Text


SAYS = {
    "gold": Text("the gold rater of the embedded world", "内置世界的金标准评分员"),
    "judge": Text("a judge trained on other pairs", "用另一批偏好对训练的裁判模型"),
}


def says_reward(kind: str) -> Text:
    """What the reward of the configuration is as a judge."""
    return Text(f"the reward itself (reward={kind})", f"训练所用的奖励本身（reward={kind}）")


def headline(policy: str, baseline: str, judged: tuple[Text, Comparison] | None, kl: Interval | None) -> Text:
    """The result in a line, by the judge of most authority."""
    far = Text("", "")
    if kl:
        nats = f"{kl.estimate:.1f}"
        far = Text(f", {nats} nats away from it", f"，与其相距 {nats} 纳特")
    if judged is None:
        return Text(
            f"{policy} and {baseline} answered; nobody judged them{far.en}.",
            f"{policy} 与 {baseline} 都作了回答，但没有评判者{far.zh}。",
        )
    says, overall = judged
    rate = overall.win_rate
    better, worse = rate.low > 0.5, rate.high < 0.5
    verb = "beats" if better else "loses to" if worse else "cannot be told from"
    verdict = f"胜过 {baseline}" if better else f"不如 {baseline}" if worse else f"与 {baseline} 分不出高下"
    return Text(
        f"{policy} {verb} {baseline}: it wins {rate.estimate:.1%} of {overall.prompts} held-out prompts by "
        f"{says.en} (95 % interval {rate.low:.1%} to {rate.high:.1%}){far.en}.",
        f"{policy} {verdict}：按{says.zh}，它在 {overall.prompts} 个留出的提示中胜 {rate.estimate:.1%}"
        f"（95 % 区间 {rate.low:.1%} 至 {rate.high:.1%}）{far.zh}。",
    )


MISSING = {
    "gold": Text(
        "No truth is known for these prompts: only the embedded world has a gold rater. Have people compare "
        "some of the samples.",
        "这些提示没有已知的正确答案：只有内置世界才有金标准评分员。请让人比较一部分样本。",
    ),
    "judge": Text(
        "There is no judge apart from the reward: run stage=rm, or name one by inputs.judge.",
        "除奖励之外没有裁判：请运行 stage=rm，或用 inputs.judge 指定一个。",
    ),
    "reward": Text(
        "The reward cannot be computed here: run stage=rm, or name a reward model by inputs.reward_model.",
        "这里无法计算奖励：请运行 stage=rm，或用 inputs.reward_model 指定奖励模型。",
    ),
    "kl": Text(
        "The two have different tokens or templates: there is no KL between them. Compare with a baseline of "
        "the same tokenizer (inputs.baseline).",
        "两者的词表或模板不同，无法计算 KL。请与分词器相同的基线比较（inputs.baseline）。",
    ),
    "fields": Text(
        "The prompts carry no family, kind or language, so that groups go by length alone: add such columns "
        "to the prompts (family, kind, language, held_out).",
        "提示没有类别、种类或语言字段，因此只能按长度分组：请在提示数据中加上这些列（family、kind、language、held_out）。",
    ),
    "best-of-n": Text(
        "Best-of-n was not measured: it takes a reward and stage.best_of of 2 or more.",
        "没有测量 best-of-n：它需要奖励，且 stage.best_of 至少为 2。",
    ),
    "study": Text(
        "Best-of-n then SFT, DPO and the learning curves are not known: run stage=study, then stage=eval "
        "again.",
        "best-of-n 后再 SFT、DPO 以及学习曲线都未知：请运行 stage=study，然后再运行 stage=eval。",
    ),
    "training": Text(
        "Nothing is known of the policy's training: it is no run of stage=ppo.",
        "策略的训练过程未知：它不是 stage=ppo 的运行结果。",
    ),
    "looks": Text(
        "What the policy said during training was not kept (looks.jsonl), so that gold over training is not "
        "known: train it again with this version.",
        "训练期间策略的回答没有保存（looks.jsonl），因此训练过程中的金标准分未知：请用本版本重新训练。",
    ),
    "episodes": Text(
        "Single episodes cannot be inspected: the run of the policy holds no episodes.jsonl, which stage=ppo "
        "writes.",
        "无法逐词查看回合：策略的运行中没有 stage=ppo 写出的 episodes.jsonl。",
    ),
    "memory": Text(
        "Whether prompts were remembered is not known: it takes a policy of stage=ppo and the data.* options "
        "and the seed that it was trained with.",
        "无法判断是否记住了提示：需要 stage=ppo 的策略，以及与训练时相同的 data.* 选项和种子。",
    ),
    "forgetting": Text(
        "Whether demonstrations were forgotten is not known: give data.demonstrations, of which some fall "
        "into the test part.",
        "无法判断是否遗忘了示范：请给出 data.demonstrations，其中要有一部分落入测试集。",
    ),
    "reward_model": Text(
        "The reward model's own quality is not known: there is no run of stage=rm with held-out pairs.",
        "奖励模型自身的质量未知：没有带留出偏好对的 stage=rm 运行。",
    ),
}


def missing(name: str) -> Missing:
    """One of `MISSING`."""
    return Missing(name, MISSING[name])
