"""The charts of the loop's page: figures by round, what was promoted filled and what was not hollow."""

from collections.abc import Callable, Iterator

from rlhf.evaluation.page.charts import Frame, Point, Series, chart, thinned
from rlhf.evaluation.page.loop_rounds import Three, decider, deciding, gold, people
from rlhf.evaluation.page.plots import NO_NAME, Figure
from rlhf.evaluation.page.words import Words
from rlhf.runs.loop_record import LoopRecord, RoundRecord

ROUND, STEP = Words("round", "轮"), Words("step", "步")
PROMOTED, KEPT = Words("promoted", "已晋升"), Words("not promoted", "未晋升")
WIDE, HIGH = 300, 190

Of = Callable[[RoundRecord], Three]


def results(record: LoopRecord) -> list[Figure]:
    """Win rates of each round's candidate against the incumbent, by each who judged, then gold."""
    who = decider(record)
    by: list[tuple[Words, Of]] = [
        (Words(f"win rate by {who.en}", f"胜率：{who.zh}"), deciding),
        (Words("win rate by gold", "胜率：金标准"), gold),
        (Words("win rate by people", "胜率：人"), people),
    ]
    frame = Frame(ROUND, WIDE, HIGH, shares=True, even=0.5, ticks_x=_rounds(record))
    found = [Figure(title, chart(title, _candidates(record, of), frame)) for title, of in by]
    return [one for one in [*found, _gold(record)] if one.svg]


def measures(record: LoopRecord) -> list[Figure]:
    """KL, the reward model on its own round's slice and on the first, agreement of the raters."""
    kl = Words("KL from the SFT policy, nats", "与 SFT 策略的 KL（纳特）")
    accuracy = Words("reward model right, on random pairs", "奖励模型在随机对上的准确率")
    agreement = Words("agreement of raters, alpha", "评分者一致性 α")
    small = Frame(ROUND, WIDE, HIGH, ticks_x=_rounds(record))
    shares = Frame(ROUND, WIDE, HIGH, shares=True, ticks_x=_rounds(record))
    agreed = [Point(one.number, one.agreement) for one in record.rounds if one.agreement is not None]
    distances = _candidates(record, lambda one: (one.kl_nats, None, None))
    found = [
        Figure(accuracy, chart(accuracy, _accuracies(record), shares)),
        Figure(kl, chart(kl, distances, small)),
        Figure(agreement, chart(agreement, [Series(NO_NAME, agreed, "plain")], small)),
    ]
    return [one for one in found if one.svg]


def by_step(record: LoopRecord) -> list[Figure]:
    """Of a stream: the reward model on the random pairs of its round, and KL, after each step."""
    accuracy = Words("reward model right, on its round’s random pairs", "奖励模型在本轮随机对上的准确率")
    kl = Words("KL from the SFT policy after each step, nats", "每步之后与 SFT 策略的 KL（纳特）")
    right = [
        Point(one.number, found.accuracy, found.low, found.high)
        for one in record.steps
        if (found := one.rm_accuracy)
    ]
    away = [Point(one.number, one.kl_nats) for one in record.steps if one.kl_nats is not None]
    small, shares = Frame(STEP, WIDE, HIGH), Frame(STEP, WIDE, HIGH, shares=True)
    found = [
        Figure(accuracy, chart(accuracy, [Series(NO_NAME, thinned(right), "plain")], shares)),
        Figure(kl, chart(kl, [Series(NO_NAME, thinned(away), "plain")], small)),
    ]
    return [one for one in found if one.svg]


def _gold(record: LoopRecord) -> Figure:
    """Gold of each candidate, and of the policy that each round ended with."""
    title = Words("mean gold score", "平均金标准分")
    series = _candidates(record, lambda one: (one.gold_score, one.gold_score_low, one.gold_score_high))
    line = Series(Words("incumbent", "现任"), list(_incumbents(record)), "plain")
    ticks = [0.0, *_rounds(record)] if line.points else _rounds(record)
    return Figure(title, chart(title, [line, *series], Frame(ROUND, WIDE, HIGH, ticks_x=ticks)))


def _incumbents(record: LoopRecord) -> Iterator[Point]:
    """Gold of the policy before the first round, at 0, and of the one that each round ended with."""
    for one in record.rounds:
        if one.gold_score_incumbent is None or one.promoted is None:
            continue
        if one is record.rounds[0]:
            yield Point(one.number - 1, one.gold_score_incumbent)
        after = one.gold_score if one.promoted else one.gold_score_incumbent
        if after is not None:
            yield Point(one.number, after)


def _accuracies(record: LoopRecord) -> list[Series]:
    own, first = list[Point](), list[Point]()
    for one in record.rounds:
        if one.number in one.rm_accuracy:
            found = one.rm_accuracy[one.number]
            own.append(Point(one.number, found.accuracy, found.low, found.high))
        if 1 in one.rm_accuracy and one.number > 1:
            first.append(Point(one.number, one.rm_accuracy[1].accuracy))
    return [
        Series(Words("its own round’s", "本轮"), own),
        Series(Words("round 1’s", "第 1 轮"), first, "other"),
    ]


def _candidates(record: LoopRecord, of: Of) -> list[Series]:
    """Each round's figure, what was promoted apart from what was not."""
    promoted, kept = list[Point](), list[Point]()
    for one in record.rounds:
        estimate, low, high = of(one)
        if estimate is not None:
            whole = low is not None and high is not None
            point = Point(one.number, estimate, low if whole else None, high if whole else None)
            (promoted if one.promoted else kept).append(point)
    return [
        Series(PROMOTED, promoted, line=False, labelled=False),
        Series(KEPT, kept, "ahead", line=False, labelled=False),
    ]


def _rounds(record: LoopRecord) -> list[float]:
    return [float(one.number) for one in record.rounds]
