"""What the templates are given beside `evaluation.json` itself: charts, rows, marked samples."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rlhf.evaluation.page import plots, tokens
from rlhf.evaluation.page.differences import Marked, mark
from rlhf.evaluation.page.doubts import doubts
from rlhf.evaluation.page.flow import flow
from rlhf.evaluation.page.numbers import Range, number, written
from rlhf.evaluation.page.tracks import side
from rlhf.evaluation.page.words import NAMES, Words, both, name_of

FIELDS = ("family", "kind", "language", "length", "held_out")
"""The fields of prompts that are shown, in this order; others of a judgement's groups come after them."""
PARTS: Mapping[str, Words] = {
    "generate_s": Words("sampling", "采样"),
    "score_s": Words("reward and log-probabilities", "奖励与对数概率"),
    "update_s": Words("update", "更新"),
    "other_s": Words("evaluation, saving, other", "评测、保存及其他"),
}
"""Of an iteration's profile."""
FEW = 12
"""Samples that are shown at first."""
ORDER: Mapping[str, Sequence[str]] = {
    "length": ("short", "middle", "long"),
    "held_out": ("no", "combination", "family"),
}


class Row(NamedTuple):
    """A line of a forest plot: name, interval, number of prompts or pairs, and a colour if not its side's."""

    name: object
    rate: Range
    cases: float | None = None
    kind: str = ""


class Part(NamedTuple):
    """What an iteration spends on one thing, and its share of the whole."""

    name: Words
    seconds: float
    share: float


class Sample(NamedTuple):
    """Two answers to one prompt, what changed marked; `winner` by the first judge."""

    prompt: Any
    fields: Mapping[str, Any]
    shown_fields: list[tuple[str, str]]
    policy: Mapping[str, Any]
    baseline: Mapping[str, Any]
    marked: Marked
    winner: str


def _parts(profile: Mapping[str, float]) -> Iterator[Part]:
    seconds = {name: profile[name] for name in PARTS if name in profile}
    for name, taken in seconds.items():
        yield Part(PARTS[name], taken, taken / max(sum(seconds.values()), 1e-9))


def context(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Names for the templates; charts that cannot be drawn are empty."""
    training, quality, learning = (evaluation[key] for key in ("training", "reward_model", "learning"))
    samples = [_sample(one) for one in evaluation["samples"]]
    full = tokens.scales(evaluation["episodes"])
    return {
        "doubts": list(doubts(evaluation)),
        "flow": flow(evaluation["lineage"]),
        "contender_rows": _contenders(evaluation),
        "frontier": plots.frontier(evaluation),
        "looks": [figures for figures in plots.looks(training) if figures] if training else [],
        "curves": list(plots.curves(training)) if training else [],
        "parts": list(_parts(training.get("profile") or {})) if training else [],
        "chosen": next((look for look in training["looks"] if look["chosen"]), None) if training else None,
        "group_rows": group_rows,
        "quality_rows": _quality(quality) if quality else [],
        "quality_groups": list(_quality_groups(quality)) if quality else [],
        "calibration": plots.calibration(quality) if quality else None,
        "margins": plots.margins(quality) if quality else None,
        "learning": plots.learning(learning["reward_model"], learning["forecast"])
        if learning and learning["reward_model"]
        else None,
        "demonstrations": plots.demonstrations(learning["sft"]) if learning and learning["sft"] else [],
        "probe_kind": probe_kind,
        "field_name": field_name,
        "value_name": value_name,
        "samples": samples,
        "few": FEW,
        "filters": list(_filters(samples, evaluation)),
        "episodes": tokens.looks(evaluation["episodes"]),
        "measures": [(name, _measure(name), full[name]) for name in tokens.MEASURES],
    }


def group_rows(judgement: Mapping[str, Any]) -> Iterator[tuple[Words, list[Row]]]:
    """The win rates of each field's groups, with the number of prompts."""
    groups: Mapping[str, Mapping[str, Any]] = judgement["groups"]
    for field in [*(one for one in FIELDS if one in groups), *(one for one in groups if one not in FIELDS)]:
        yield (
            field_name(field),
            [
                Row(both(value_name(field, value)), compared["win_rate"], compared["prompts"])
                for value, compared in _ordered(field, groups[field])
            ],
        )


def turns(prompt: str | Sequence[Mapping[str, str]]) -> list[tuple[str, str]]:
    """Role and content of each message; a plain prompt has no role."""
    if isinstance(prompt, str):
        return [("", prompt)]
    return [(message["role"], message["content"]) for message in prompt]


def _ordered(field: str, groups: Mapping[str, Any]) -> list[tuple[str, Any]]:
    order = ORDER.get(field, ())
    return sorted(groups.items(), key=lambda one: order.index(one[0]) if one[0] in order else len(order))


def field_name(field: str) -> Words:
    """What prompts are grouped by."""
    return Words("length of the prompt", "提示的长度") if field == "length" else name_of(field)


def value_name(field: str, value: str) -> Words:
    """A group's name, as written where it has none; "family" of held_out means a whole family held out."""
    if field == "held_out" and value == "family":
        return Words("family held out", "题型未见过")
    plain = Words(written(value), written(value))
    return NAMES.get(f"family/{value}", plain) if field == "family" else NAMES.get(value, plain)


def _contenders(evaluation: Mapping[str, Any]) -> list[Row]:
    if not evaluation["judgements"]:
        return []
    judge = evaluation["judgements"][0]["name"]
    return [
        Row(written(row["name"]), row["win_rates"][judge])
        for row in evaluation["contenders"]
        if row["win_rates"].get(judge) and row["method"] != "sft"
    ]


def _quality(quality: Mapping[str, Any]) -> list[Row]:
    longer = quality["length_rule"] == "longer"
    rule = Words(
        "the longer answer" if longer else "the shorter answer", "取较长的回答" if longer else "取较短的回答"
    )
    rows = [
        Row(both(Words("reward model, by labels", "奖励模型，对标签")), quality["accuracy"]),
        Row(both(rule), quality["length"], kind="before"),
    ]
    if quality["truth"]:
        rows.append(Row(both(Words("reward model, by the truth", "奖励模型，对真值")), quality["truth"]))
    return rows


def _quality_groups(quality: Mapping[str, Any]) -> Iterator[tuple[Words, list[Row], list[Row]]]:
    """By labels and, where it is known, by the truth: difference in length, then the prompts' fields."""
    by_length = [
        (Words(*2 * (f"{number(row['low'])} … {number(row['high'])}",)), row)
        for row in quality["by_length_difference"]
    ]
    title = Words("characters that the chosen answer is longer", "胜出的回答长出的字符数")
    groups = [(title, by_length)] if by_length else []
    for field, values in quality["by_group"].items():
        groups.append(
            (name_of(field), [(value_name(field, value), row) for value, row in _ordered(field, values)])
        )
    for name, rows in groups:
        yield (
            name,
            [Row(both(value), row["accuracy"], row["pairs"]) for value, row in rows],
            [Row(both(value), row["truth"], row["pairs"]) for value, row in rows if row["truth"]],
        )


def probe_kind(probe: Mapping[str, Any]) -> str:
    """A change that makes nothing better should not raise the reward: above a half is bad."""
    return {"up": "down", "down": "up", "open": "open"}[side(probe["preferred"], 0.5)]


def _sample(row: Mapping[str, Any]) -> Sample:
    mine, other = (next(iter(row[side]["scores"].values()), 0.0) for side in ("policy", "baseline"))
    fields = row["fields"]
    return Sample(
        prompt=row["prompt"],
        fields=fields,
        shown_fields=[
            (name, str(fields[name])) for name in FIELDS if fields.get(name) not in (None, "no")
        ],  # that nothing is held out goes without saying
        policy=row["policy"],
        baseline=row["baseline"],
        marked=mark(row["baseline"]["response"], row["policy"]["response"]),
        winner="policy" if mine > other else "baseline" if mine < other else "tie",
    )


def _filters(
    samples: Sequence[Sample], evaluation: Mapping[str, Any]
) -> Iterator[tuple[str, Words, list[tuple[str, Words]]]]:
    for field in ("family", "language"):
        values = sorted({str(sample.fields[field]) for sample in samples if field in sample.fields})
        if len(values) > 1:
            yield field, name_of(field), [(value, value_name(field, value)) for value in values]
    if evaluation["judgements"]:
        policy, baseline = (Words(evaluation[side], evaluation[side]) for side in ("policy", "baseline"))
        winners = [("policy", policy), ("baseline", baseline), ("tie", Words("a tie", "平局"))]
        yield "winner", Words("who won", "谁胜"), winners


def _measure(name: str) -> Words:
    return Words("KL, nats", "KL，纳特") if name == "kl" else name_of(name)
