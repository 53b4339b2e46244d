"""A judge behind an endpoint as part of an evaluation: its judgement, and how far to trust it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rlhf.algos.statistics import Interval
from rlhf.config import JudgeConfig
from rlhf.evaluation.chat_client import check_endpoint
from rlhf.evaluation.contenders import Contender
from rlhf.evaluation.doubts import Draws
from rlhf.evaluation.endpoint import EndpointVerdicts, Pair, judge_pairs
from rlhf.evaluation.groups import groups_of
from rlhf.evaluation.length_control import length_controlled
from rlhf.evaluation.panel import Sets
from rlhf.evaluation.rubric import load_rubrics
from rlhf.evaluation.summary import Judgement
from rlhf.evaluation.win_rate import compare, compare_by
from rlhf.evaluation.wording import Text, Warning
from rlhf.metrics import Progress

ENDPOINT = "endpoint"
VERDICTS = "verdicts.jsonl"
LEAST_AUTHORITY = "reward"
MUCH_DISAGREEMENT = 0.3


@dataclass(frozen=True)
class Outside:
    """What a judge outside of this project said of the policy's answers and the baseline's.

    `verdicts` are None where nobody was asked, `judgement` as well where not one pair could be read.
    """

    judge: JudgeConfig
    verdicts: EndpointVerdicts | None = None
    judgement: Judgement | None = None

    def facts(self) -> dict[str, Any] | None:
        """Who was asked, and what is to be known of the verdicts beside their outcomes."""
        if self.verdicts is None:
            return None
        known = {key: value for key, value in asdict(self.verdicts).items() if key != "outcomes"}
        return {"model": self.judge.model, "url": self.judge.url, **known}

    def among(self, judged: Sequence[Judgement]) -> tuple[Judgement, ...]:
        """The judgement in its place by authority: after gold and the judge, before the reward."""
        own = (self.judgement,) if self.judgement else ()
        others = [one for one in judged if one.name != LEAST_AUTHORITY]
        return (*others, *own, *(one for one in judged if one.name == LEAST_AUTHORITY))

    def scored(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Lines of `samples.jsonl` with this judge's scores added where it could be read."""
        if self.verdicts is None:
            yield from rows
            return
        for row, outcome in zip(rows, self.verdicts.outcomes, strict=True):
            scores = {} if outcome is None else {"policy": outcome, "baseline": 1.0 - outcome}
            yield row | {
                side: row[side] | {"scores": _placed(row[side]["scores"], score)}
                for side, score in scores.items()
            }

    def of(self, contenders: Sequence[Contender]) -> tuple[Contender, ...]:
        """The contenders, of which baseline and policy, the first two, were judged here as well."""
        baseline, policy, *others = contenders
        if self.judgement is None:
            return tuple(contenders)
        overall, even = self.judgement.overall, Interval(0.5, 0.5, 0.5)
        return (
            _judged(baseline, overall.baseline, even),
            _judged(policy, overall.policy, overall.win_rate),
            *others,
        )

    def warnings(self) -> Iterator[Warning]:
        """What speaks against trusting the verdicts."""
        if self.verdicts is None:
            return
        model, disagreement, first = self.judge.model, self.verdicts.disagreement, self.verdicts.first_shown
        if disagreement and first and disagreement.estimate > MUCH_DISAGREEMENT:
            share, to_first = f"{disagreement.estimate:.0%}", f"{first.estimate:.0%}"
            yield Warning(
                "endpoint-order",
                Text(
                    f"{model} judged {share} of the pairs otherwise when their order was exchanged (they "
                    f"count as ties), and gave {to_first} of its verdicts to the answer shown first.",
                    f"交换两个回答的先后之后，{model} 对 {share} 的回答对改变了判断（按平局计），"
                    f"并把 {to_first} 的胜出判给了先出现的回答。",
                ),
                Text(
                    "Ask a more capable model (stage.judge.model), or mend the rubric (stage.judge.rubric).",
                    "请换用更强的模型（stage.judge.model），或改进评判标准（stage.judge.rubric）。",
                ),
            )
        if unread := self.verdicts.unparsable:
            count = len(self.verdicts.outcomes)
            yield Warning(
                "endpoint-unparsable",
                Text(
                    f"{model} gave no readable verdict on {unread} of {count} prompts; they are left out.",
                    f"{model} 对 {count} 个提示中的 {unread} 个没有给出可读的判断，这些提示不计入。",
                ),
                Text(
                    "Read its replies in verdicts.jsonl; where they are cut off, raise "
                    "stage.judge.max_tokens.",
                    "请查看 verdicts.jsonl 中的回复；如果回复被截断，请提高 stage.judge.max_tokens。",
                ),
            )


def rubric_files(judge: JudgeConfig) -> tuple[Path, ...]:
    """The file of a rubric of one's own: what it says decides the verdicts."""
    return (Path(judge.rubric),) if judge.rubric else ()


def check_judge(judge: JudgeConfig) -> None:
    """What can be wrong with the judge, looked at before anything else is computed; nothing without a url.

    Raises:
        ConfigError: the rubric is not fit, or the key is not in the environment.
        InputError: the endpoint cannot be reached.
    """
    if judge.url is not None:
        load_rubrics(judge.rubric)
        check_endpoint(judge)


def ask_outside(judge: JudgeConfig, sets: Sets, folder: Path, draws: Draws) -> Outside:
    """Asks about the policy's and the baseline's answer to each held-out prompt; nobody without a url.

    The verdicts are kept in the folder's `verdicts.jsonl` as they come; see `judge_pairs` for the errors.
    """
    if judge.url is None:
        return Outside(judge)
    both = zip(sets["policy"], sets["baseline"], strict=True)
    pairs = [Pair(mine.prompt, mine.text, other.text) for mine, other in both]
    with Progress(f"verdicts by {judge.model}", 2 * len(pairs)) as progress:
        verdicts = judge_pairs(pairs, judge, folder / VERDICTS, advance=lambda done, _: progress.update(done))
    return Outside(judge, verdicts, _judgement(judge, verdicts, sets, draws))


def _judgement(judge: JudgeConfig, verdicts: EndpointVerdicts, sets: Sets, draws: Draws) -> Judgement | None:
    """Over all prompts that were read, at equal length, by group; None where none was.

    A prompt's scores are its outcome, 1, 0.5 or 0, and for the baseline one minus that.
    """
    places = [place for place, outcome in enumerate(verdicts.outcomes) if outcome is not None]
    if not places:
        return None
    won = [outcome for outcome in verdicts.outcomes if outcome is not None]
    lost = [1.0 - outcome for outcome in won]
    mine, other = ([sets[side][place] for place in places] for side in ("policy", "baseline"))
    tokens = [[float(len(answer.response_ids)) for answer in answers] for answers in (mine, other)]
    groups = groups_of(mine)
    return Judgement(
        name=ENDPOINT,
        says=_says(judge, verdicts),
        overall=compare(won, lost, **draws.named),
        length_controlled=length_controlled(won, *tokens, **draws.named),
        groups={field: compare_by(of, won, lost, **draws.named) for field, of in groups.items()},
    )


def _judged(one: Contender, score: Interval, win_rate: Interval) -> Contender:
    return replace(
        one,
        scores={**one.scores, ENDPOINT: score},
        win_rates={**one.win_rates, ENDPOINT: win_rate},
    )


def _placed(scores: Mapping[str, float], score: float) -> dict[str, float]:
    """One answer's scores with this judge's among them, in the order of authority."""
    last = {LEAST_AUTHORITY: scores[LEAST_AUTHORITY]} if LEAST_AUTHORITY in scores else {}
    others = {judge: value for judge, value in scores.items() if judge != LEAST_AUTHORITY}
    return {**others, ENDPOINT: score, **last}


def _says(judge: JudgeConfig, verdicts: EndpointVerdicts) -> Text:
    share = Text("", "")
    if turned := verdicts.disagreement:
        share = Text(
            f" (on {turned.estimate:.0%} of the pairs the two verdicts differed)",
            f"（两次判断在 {turned.estimate:.0%} 的回答对上不同）",
        )
    return Text(
        f"{judge.model}, asked in both orders{share.en}", f"以两种先后顺序询问的 {judge.model}{share.zh}"
    )
