"""English and Chinese side by side: both stand in the page, and a switch shows one."""

from collections.abc import Mapping
from typing import NamedTuple

from markupsafe import Markup, escape


class Words(NamedTuple):
    """One thing said in both languages, as plain text."""

    en: str
    zh: str


def both(words: Words | Mapping[str, str]) -> Markup:
    """Both languages for HTML, escaped; once where they are the same."""
    en, zh = (words["en"], words["zh"]) if isinstance(words, Mapping) else words
    return _spans(escape(en), escape(zh))


def say(en: str, zh: str, **values: object) -> Markup:
    """Both languages of a sentence that the page itself says: `{name}` takes an escaped value.

    `en` and `zh` are markup of ours, never anything that was read.
    """
    return _spans(Markup(en).format(**values), Markup(zh).format(**values))


def name_of(key: str) -> Words:
    """What a key of `evaluation.json` is called; the key itself where it has no name here."""
    return NAMES.get(key, Words(key, key))


def _spans(en: Markup, zh: Markup) -> Markup:
    if en == zh:
        return en
    return Markup('<span class="en" lang="en">{}</span><span class="zh" lang="zh-Hans">{}</span>').format(
        en, zh
    )


NAMES: Mapping[str, Words] = {
    # judges
    "gold": Words("gold", "金标准"),
    "judge": Words("judge", "裁判"),
    "endpoint": Words("endpoint", "外部裁判"),
    "reward": Words("reward", "奖励"),
    # gold's parts
    "right": Words("right", "答对"),
    "kept": Words("form kept", "守约束"),
    "courteous": Words("courteous once", "礼貌一次"),
    "brief": Words("brief", "简短"),
    "fresh": Words("no repetition", "不重复"),
    # fields of prompts, and their values
    "family": Words("family", "题型"),
    "kind": Words("kind of instruction", "指令类别"),
    "language": Words("language", "语言"),
    "length": Words("length of a response, tokens", "回答长度（词元）"),
    "held_out": Words("held out from training", "训练中是否见过"),
    "task": Words("task", "任务"),
    "constraint": Words("constraint", "约束"),
    "example": Words("example", "示例"),
    "en": Words("English", "英文"),
    "zh": Words("Chinese", "中文"),
    "short": Words("short", "短"),
    "middle": Words("middle", "中"),
    "long": Words("long", "长"),
    "no": Words("nothing held out", "都见过"),
    "combination": Words("combination held out", "组合未见过"),
    # families of the embedded world
    "family/extract": Words("extraction", "信息抽取"),
    "family/reading": Words("reading", "阅读问答"),
    "family/summary": Words("summary", "摘要"),
    "family/translate": Words("translation", "翻译"),
    "family/service": Words("customer service", "客服"),
    "family/sentiment": Words("sentiment", "情感"),
    "family/sorting": Words("sorting", "排序"),
    "family/sums": Words("sums", "算术"),
    "family/record": Words("record", "记录"),
    "family/booking": Words("booking", "预订"),
    "family/calendar": Words("calendar", "日历"),
    # stages and methods
    "sft": Words("SFT", "SFT"),
    "rm": Words("reward model", "奖励模型"),
    "ppo": Words("PPO", "PPO"),
    "eval": Words("evaluation", "评测"),
    "sample": Words("samples", "采样"),
    "study": Words("study", "对照实验"),
    "best-of-n": Words("best of n", "n 选一"),
    "best-of-n-sft": Words("best of n, then SFT", "n 选一后再 SFT"),
    "dpo": Words("DPO", "DPO"),
    "policy": Words("policy", "策略"),
    "baseline": Words("baseline", "基线"),
    "reward_model": Words("reward model", "奖励模型"),
    "validation_model": Words("validation model", "验证模型"),
    "reference": Words("reference", "参考"),
    # probes
    "praise": Words("praise appended", "末尾加夸奖"),
    "repeat": Words("answer repeated", "重复答案"),
    "pad": Words("padded", "加废话"),
    "echo": Words("question echoed", "复述问题"),
    "empty": Words("empty answer", "空答案"),
    # what is measured
    "score": Words("score of the reward, mean of a batch", "一批的平均奖励"),
    "validation": Words("score of the validation model", "验证模型的评分"),
    "kl": Words("KL from the reference, nats a response", "与参考的 KL，每条回答的纳特数"),
    "entropy": Words("entropy, nats a token", "熵，每个词元的纳特数"),
    "end_rate": Words("share that end by themselves", "自行结束的比例"),
    "distinct_responses": Words("share of different responses", "互不相同的回答比例"),
    "explained_variance": Words("variance that the critic explains", "价值网络解释的方差"),
    "clip_fraction": Words("share of clipped ratios", "被截断的比例"),
    "value_loss": Words("value loss", "价值损失"),
    "policy_loss": Words("policy loss", "策略损失"),
    "learning_rate": Words("learning rate", "学习率"),
    "kl_coef": Words("KL coefficient", "KL 系数"),
    "grad_norm": Words("gradient norm", "梯度范数"),
    "eval/score": Words("score at held-out prompts", "留出提示上的评分"),
    "eval/validation_score": Words("validation score at held-out prompts", "留出提示上的验证评分"),
    "eval/kl": Words("KL at held-out prompts, nats", "留出提示上的 KL（纳特）"),
    "value": Words("value", "价值"),
    "advantage": Words("advantage", "优势"),
    # the environment
    "device": Words("device", "设备"),
    "precision": Words("precision", "精度"),
    "threads": Words("threads", "线程"),
    "python": Words("Python", "Python"),
    "git": Words("revision", "代码版本"),
}
