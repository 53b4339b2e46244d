"""Which charts the report shows: picked from `evaluation.json`, drawn by `charts`."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from rlhf.evaluation.page.charts import Frame, Point, Series, chart, thinned
from rlhf.evaluation.page.words import Words, name_of

NO_NAME = Words("", "")
STEP = Words("step", "步")
SQRT_KL = Words("√KL, nats", "√KL（纳特）")
LEARNT = Words("learnt reward", "学得的奖励")
SCORES = (
    ("reward", LEARNT),
    ("validation", Words("validation score", "验证评分")),
    ("gold", name_of("gold")),
)


class Figure(NamedTuple):
    """A chart and its caption."""

    title: Words
    svg: Markup


def frontier(evaluation: Mapping[str, Any]) -> list[Figure]:
    """What each way of improving gets for its distance: the first judge and the reward against sqrt KL.

    The distance of best-of-n is its bound log n - (n-1)/n.
    """
    judges = [judgement["name"] for judgement in evaluation["judgements"]]
    shown = list(dict.fromkeys([judge for judge in (*judges[:1], "reward") if judge in judges]))
    found = [Figure(_by(judge), _frontier(judge, evaluation)) for judge in shown]
    return [one for one in found if one.svg]


def looks(training: Mapping[str, Any]) -> tuple[list[Figure], list[Figure]]:
    """Learnt reward, validation score and gold, as far as known: over steps, and against sqrt KL."""
    steps, distances = list[Figure](), list[Figure]()
    for key, name in SCORES:
        known = [look for look in training["looks"] if look[key] is not None]
        if not known:
            continue
        over_steps = [Point(look["step"], look[key], chosen=look["chosen"]) for look in known]
        against_kl = [Point(_root(look["kl"]), look[key], chosen=look["chosen"]) for look in known]
        kind = "other" if key == "reward" else "main"
        steps.append(_figure(name, [Series(NO_NAME, over_steps, kind)], Frame(STEP, 300, 180)))
        distances.append(_figure(name, [Series(NO_NAME, against_kl, kind)], Frame(SQRT_KL, 300, 180)))
    return steps, distances


def curves(training: Mapping[str, Any]) -> Iterator[Figure]:
    """Everything else that training logged, as small multiples; looks are drawn by themselves."""
    for key, values in training["curves"].items():
        if key.startswith("eval/") and training["looks"]:
            continue
        points = thinned([Point(x, y) for x, y in values if math.isfinite(y)])
        if len(points) > 1:
            yield _figure(name_of(key), [Series(NO_NAME, points, "plain")], Frame(STEP, 200, 130))


def calibration(quality: Mapping[str, Any]) -> Figure:
    """Confidence against how often it was right; on the diagonal it is honest."""
    points = [Point(one["predicted"], one["observed"]) for one in quality["bins"]]
    frame = Frame(Words("confidence of the model", "模型的把握"), shares=True, shares_x=True, diagonal=True)
    return _figure(
        Words("calibration: how often it is right", "校准：实际判对的比例"), [Series(NO_NAME, points)], frame
    )


def margins(quality: Mapping[str, Any]) -> Figure:
    """How often model and labels agree with gold or with each other, by how far apart gold puts the two."""
    rows = quality["by_gold_margin"] or []
    middle = [(row["low"] + row["high"]) / 2 for row in rows]
    model = [
        Point(x, row["accuracy"]["estimate"], row["accuracy"]["low"], row["accuracy"]["high"])
        for x, row in zip(middle, rows, strict=True)
    ]
    labels = [Point(x, row["labels"]) for x, row in zip(middle, rows, strict=True)]
    series = [Series(Words("model", "模型"), model), Series(Words("labels", "标签"), labels, "other")]
    frame = Frame(Words("difference in gold", "金标准之差"), shares=True, even=0.5)
    return _figure(Words("right, by how clear the case is", "按差别大小的判对比例"), series, frame)


def learning(rows: Sequence[Mapping[str, Any]], forecast: Mapping[str, Any] | None) -> Figure:
    """Accuracy of reward models trained on more and more pairs; `forecast` is for twice as many."""
    noisy = [_interval(row["pairs"], row["accuracy"]) for row in rows]
    truth = [_interval(row["pairs"], row["truth"]) for row in rows if row["truth"]]
    series = [Series(Words("labels", "标签"), noisy), Series(Words("truth", "真值"), truth, "plain")]
    ticks = [row["pairs"] for row in rows]
    if forecast:
        ahead = Point(forecast["pairs"], forecast["accuracy"], name=Words("forecast", "预测"))
        series.append(Series(Words("forecast", "预测"), [ahead], "ahead", line=False))
        ticks.append(forecast["pairs"])
    frame = Frame(Words("pairs", "偏好对数"), shares=True, logarithmic=True, ticks_x=ticks)
    return _figure(Words("accuracy by number of judgements", "准确率随判断数量的变化"), series, frame)


def demonstrations(rows: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """What more demonstrations bring to SFT: the first judge's score, and the loss."""
    ticks = [row["demonstrations"] for row in rows]
    frame = Frame(Words("demonstrations", "示范数量"), logarithmic=True, ticks_x=ticks)
    judge = next((name for name in ("gold", "judge") if all(row[name] for row in rows)), None)
    found: list[Figure] = []
    if judge:
        points = [_interval(row["demonstrations"], row[judge]) for row in rows]
        found.append(_figure(_by(judge), [Series(NO_NAME, points)], frame))
    losses = [Point(row["demonstrations"], row["loss"]) for row in rows]
    title = Words("loss of SFT, nats a token", "SFT 损失（纳特／词元）")
    return [*found, _figure(title, [Series(NO_NAME, losses, "plain")], frame)]


def _frontier(judge: str, evaluation: Mapping[str, Any]) -> Markup:
    drawn = [
        Point(_root(row["kl_nats"]), row["scores"][judge])
        for row in evaluation["best_of_n"]
        if row["scores"].get(judge) is not None
    ]
    series, on_a_line = [Series(name_of("best-of-n"), drawn, "other")], {"sft", "best-of-n"}
    if evaluation["training"] and judge in ("gold", "reward"):
        looks = [look for look in evaluation["training"]["looks"] if look[judge] is not None]
        points = [Point(_root(look["kl"]), look[judge], chosen=look["chosen"]) for look in looks]
        series.append(Series(Words("PPO's looks", "PPO 各次查看"), points))
        on_a_line.add("ppo")
    apart = [
        Point(_root(row["kl_nats"]["estimate"]), *_three(row["scores"][judge]), name=name_of(row["method"]))
        for row in evaluation["contenders"]
        if row["kl_nats"] and row["scores"].get(judge) and row["method"] not in on_a_line
    ]
    series.append(Series(NO_NAME, apart, "plain", line=False))
    return chart(_by(judge), series, Frame(SQRT_KL, 400, 280, from_zero_x=True))


def _by(judge: str) -> Words:
    name = name_of(judge)
    return Words(f"mean score by {name.en}", f"{name.zh}的平均评分")


def _figure(title: Words, series: Sequence[Series], frame: Frame) -> Figure:
    return Figure(title, chart(title, series, frame))


def _interval(x: float, value: Mapping[str, float]) -> Point:
    return Point(x, *_three(value))


def _three(value: Mapping[str, float]) -> tuple[float, float, float]:
    return value["estimate"], value["low"], value["high"]


def _root(nats: float) -> float:
    """sqrt KL; an estimate may fall a little below nought where there is none."""
    return math.sqrt(max(nats, 0.0))
