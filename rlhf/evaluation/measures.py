"""From answers and marks to an evaluation: everything that takes no model any more."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlhf.algos.statistics import Interval, bootstrap_mean
from rlhf.evaluation.answers import Answer, answer_row
from rlhf.evaluation.best_of_n import BestOf, best_of_curve, best_places, kl_bound_nats
from rlhf.evaluation.contenders import Contender, Trained, contender
from rlhf.evaluation.disagreements import disagreements
from rlhf.evaluation.doubts import (
    Doubts,
    Draws,
    Forgetting,
    Memory,
    OwnGrader,
    cost_doubt,
    length_doubt,
    memory_doubt,
    noise_doubt,
    ratio_interval,
    worse_groups,
)
from rlhf.evaluation.forgetting import Losses
from rlhf.evaluation.groups import groups_of
from rlhf.evaluation.length_control import length_controlled
from rlhf.evaluation.panel import Marks, Sets, Verdicts
from rlhf.evaluation.probes import Changed, Probe, probe
from rlhf.evaluation.summary import Judgement, Part
from rlhf.evaluation.win_rate import compare, compare_by, outcomes
from rlhf.evaluation.wording import Text

REWARD = "reward"
GOLD = "gold"


@dataclass(frozen=True)
class Findings:
    """What was asked, answered and scored.

    `sets` holds answers by who gave them: "policy", "baseline" and "itself" (the baseline once more) to the
    held-out prompts, "pool" (`pool_size` answers of the baseline to each), "trained/NAME" of a study's
    policies, "seen/policy" and "seen/baseline" to prompts of the training, "probe/NAME" after a change.
    `says` are the judges in words, `kl_nats` the distance of each answer from the baseline by set. `losses`
    are the policy's and the baseline's on held-out demonstrations of the persona `losses_by`.
    """

    sets: Sets
    pool_size: int
    says: Mapping[str, Text]
    verdicts: Verdicts
    kl_nats: Mapping[str, Sequence[float]]
    probes: Mapping[str, Changed]
    losses: tuple[Losses, Losses] | None
    losses_by: str | None
    trained: Sequence[Trained]
    draws: Draws

    def marks(self, judge: str, name: str) -> Marks:
        """One judge's marks of one set."""
        return self.verdicts[judge][name]

    def both(self, judge: str, before: str = "") -> tuple[Marks, Marks]:
        """One judge's marks of the policy's and the baseline's answers; "seen/" for those to seen prompts."""
        return self.marks(judge, f"{before}policy"), self.marks(judge, f"{before}baseline")

    def tokens(self, name: str) -> list[int]:
        """The length of each answer of a set."""
        return [len(answer.response_ids) for answer in self.sets[name]]

    def mean(self, values: Sequence[float]) -> Interval:
        """A mean with its interval."""
        return bootstrap_mean(values, seed=self.draws.seed, n=self.draws.resamples)

    @property
    def kl(self) -> Interval | None:
        """The policy's distance from the baseline."""
        return self.mean(self.kl_nats["policy"]) if "policy" in self.kl_nats else None


def judgements(found: Findings) -> tuple[Judgement, ...]:
    """Every judge's comparison: over all prompts, at equal length, and by group."""
    groups = groups_of(found.sets["policy"])
    return tuple(_judgement(found, name, groups) for name in found.verdicts)


def _judgement(found: Findings, name: str, groups: Mapping[str, Sequence[str]]) -> Judgement:
    mine, other = (marks.total for marks in found.both(name))
    return Judgement(
        name=name,
        says=found.says[name],
        overall=compare(mine, other, **found.draws.named),
        length_controlled=length_controlled(
            outcomes(mine, other), found.tokens("policy"), found.tokens("baseline"), **found.draws.named
        ),
        groups={field: compare_by(of, mine, other, **found.draws.named) for field, of in groups.items()},
    )


def gold_parts(found: Findings) -> dict[str, Part] | None:
    """What gold's score is made of, each part by itself; None without gold."""
    if GOLD not in found.verdicts:
        return None
    mine, other = found.both(GOLD)
    return {
        name: Part(
            found.mean(values),
            found.mean(other.parts[name]),
            found.mean([a - b for a, b in zip(values, other.parts[name], strict=True)]),
        )
        for name, values in mine.parts.items()
    }


def contenders(found: Findings, policy: Trained, baseline: Trained) -> tuple[Contender, ...]:
    """Baseline, policy, best-of-n by the reward, and the policies of a study, judged by everybody."""
    reference = {judge: marks["baseline"] for judge, marks in found.verdicts.items()}

    def one(who: Trained, name: str, kl: Interval | None) -> Contender:
        marks = {judge: given[name] for judge, given in found.verdicts.items()}
        return contender(
            who.name,
            who.method,
            found.sets[name],
            marks,
            reference,
            found.draws,
            kl=kl,
            n=who.n,
            seconds=who.seconds,
        )

    made = [one(baseline, "baseline", Interval(0.0, 0.0, 0.0)), one(policy, "policy", found.kl)]
    if found.pool_size > 1 and REWARD in found.verdicts:
        made.append(_best_of(found, reference))
    for trained in found.trained:
        name = f"trained/{trained.name}"
        kl = found.mean(found.kl_nats[name]) if name in found.kl_nats else None
        made.append(one(trained, name, kl))
    return tuple(made)


def _best_of(found: Findings, reference: Mapping[str, Marks]) -> Contender:
    n = found.pool_size
    places = best_places(found.marks(REWARD, "pool").total, n)
    return contender(
        f"best-of-{n}",
        "best-of-n",
        [found.sets["pool"][place] for place in places],
        {judge: marks["pool"].at(places) for judge, marks in found.verdicts.items()},
        reference,
        found.draws,
        n=n,
        kl_bound_nats=kl_bound_nats(n),
    )


def best_of_n(found: Findings) -> tuple[BestOf, ...]:
    """The curve over n; empty where no pool was drawn or no reward chooses."""
    if found.pool_size < 2 or REWARD not in found.verdicts:
        return ()
    by_judge = {judge: _rows(marks["pool"].total, found.pool_size) for judge, marks in found.verdicts.items()}
    return best_of_curve(by_judge[REWARD], by_judge)


def _rows(values: Sequence[float], width: int) -> list[list[float]]:
    return [list(values[start : start + width]) for start in range(0, len(values), width)]


def doubts(found: Findings, judged: Sequence[Judgement]) -> Doubts:
    """Each of the six, by the judge of most authority among those who mark answers one by one."""
    first = next((judgement for judgement in judged if judgement.name in found.verdicts), None)
    rates = {judgement.name: judgement.overall.win_rate for judgement in judged}
    kl = found.kl
    length = noise = None
    if first and first.length_controlled:
        tokens = found.tokens("policy"), found.tokens("baseline")
        marks = found.both(first.name)
        length = length_doubt(first.name, first.overall, first.length_controlled, marks, tokens, found.draws)
        itself = found.marks(first.name, "itself"), found.marks(first.name, "baseline")
        noise = noise_doubt(first.name, first.overall, itself, found.draws)
    return Doubts(
        length=length,
        own_grader=OwnGrader(rates.get(REWARD), rates.get("judge"), rates.get(GOLD)) if rates else None,
        noise=noise,
        memory=_memory(found, first),
        forgetting=_forgetting(found, first),
        cost=cost_doubt(kl, found.tokens("policy"), first.overall.difference if first else None)
        if kl
        else None,
    )


def _memory(found: Findings, first: Judgement | None) -> Memory | None:
    if first is None or not found.sets.get("seen/policy"):
        return None
    alike = [  # prompts of a kind that no training meets are another question than memory
        place
        for place, answer in enumerate(found.sets["policy"])
        if answer.prompt.fields.get("held_out", "no") == "no"
    ]
    mine, other = found.both(first.name)
    held_out = mine.at(alike), other.at(alike)
    return memory_doubt(first.name, found.both(first.name, "seen/"), held_out, found.draws) if alike else None


def _forgetting(found: Findings, first: Judgement | None) -> Forgetting | None:
    worse = worse_groups(first.groups) if first else ()
    if found.losses is None:
        return Forgetting(None, None, 0, None, worse) if first else None
    mine, other = (ratio_interval(one.nats, one.tokens, found.draws) for one in found.losses)
    return Forgetting(mine, other, len(found.losses[0].nats), found.losses_by, worse)


def probes(found: Findings) -> tuple[Probe, ...]:
    """What each change did to the reward; none where there is no reward."""
    if REWARD not in found.verdicts:
        return ()

    def made() -> Iterator[Probe | None]:
        for name, changed in found.probes.items():
            by_reward, by_gold = (
                (found.marks(judge, "baseline"), found.marks(judge, f"probe/{name}"))
                if judge in found.verdicts
                else None
                for judge in (REWARD, GOLD)
            )
            assert by_reward
            before = found.sets["baseline"]
            yield probe(name, before, changed, by_reward, by_gold, **found.draws.named)

    return tuple(one for one in made() if one)


def worst_disagreements(found: Findings) -> tuple[dict[str, Any], ...]:
    """Where the reward and the judge of most authority differ most; none where the reward is alone."""
    others = [name for name in found.verdicts if name != REWARD]
    if REWARD not in found.verdicts or not others:
        return ()
    sides = found.sets["policy"], found.sets["baseline"]
    return tuple(disagreements(*sides, found.verdicts, others[0], REWARD))


def sample_rows(found: Findings) -> Iterator[dict[str, Any]]:
    """Every prompt with both answers and every judge's scores: the lines of `samples.jsonl`."""
    for place, mine in enumerate(found.sets["policy"]):
        row = answer_row(mine)
        yield {key: row[key] for key in ("prompt", "key", "fields", "seed")} | {
            name: _side(found, name, place) for name in ("policy", "baseline")
        }


def _side(found: Findings, name: str, place: int) -> dict[str, Any]:
    answer: Answer = found.sets[name][place]
    return {
        "response": answer.text,
        "tokens": len(answer.response_ids),
        "finish": answer.finish,
        "scores": {judge: marks[name].total[place] for judge, marks in found.verdicts.items()},
    }
