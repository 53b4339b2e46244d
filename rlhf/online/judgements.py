"""What raters said of pairs, named by content alone: the same wherever it was kept.

The store names items, answers and raters at random. Here an item is named by its pair, an answer by its text
and a rater that is a program by name, and all is sorted by these: sums come out the same to the last bit.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rlhf.crowd import Comparison, Judgement, Label, dawid_skene, krippendorff_alpha
from rlhf.online.ai_rater import AI
from rlhf.online.pairs import prompt_of
from rlhf.online.raters import PREFIX
from rlhf.online.selection import pair_key

Outcome = Literal["first", "second", "tie"]
Place = tuple[str, str, bool]
"""A pair's item, a rater, and whether it settles."""
EVEN: Mapping[Label, float] = {"first": 0.5, "second": 0.5}
"""Of the classes of a pair: which answer is called the first, a hash decides."""


@dataclass(frozen=True)
class Judged:
    """What one rater said of a pair.

    `prompt` is its key, `first` and `second` are the answers in an order drawn by a hash, `policies` whose
    they are, `flagged` whether the rater flagged them. `outcome` is None where both were called bad and
    nothing else was said; `strength` is 0 to 3. `edit` is what the rater made of an answer's text.
    """

    item: str
    rater: str
    prompt: str
    first: str
    second: str
    policies: tuple[str, str]
    outcome: Outcome | None
    strength: int
    settles: bool
    """Whether it is a manager's verdict, after which the raters' own counts no more."""
    flagged: tuple[bool, bool] = (False, False)
    edit: tuple[str, str] | None = None
    """An answer's text, and what the rater made of it."""

    @property
    def place(self) -> Place:
        """Which judgement it is; one that corrects another has the same."""
        return self.item, self.rater, self.settles

    @property
    def label(self) -> Judgement | None:
        """For `rlhf.crowd`."""
        return Judgement(self.item, self.rater, self.outcome) if self.outcome else None

    @property
    def comparison(self) -> Comparison | None:
        """Of the two policies; None where both answers are of one."""
        left, right = self.policies
        if self.outcome is None or left == right:
            return None
        outcome = {"first": "left", "second": "right", "tie": "tie"}[self.outcome]
        return Comparison(left, right, outcome, self.rater, self.prompt)  # type: ignore[arg-type]

    def row(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def judged_of(row: Mapping[str, Any]) -> Judged:
    """What `row` gave."""
    values: dict[str, Any] = {name: tuple(row[name]) for name in ("policies", "flagged")}
    values["edit"] = tuple(row["edit"]) if row["edit"] else None
    return Judged(**{**row, **values})


def judged_rows(lines: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> list[Judged]:
    """The lines of a snapshot's `judgements.jsonl`, skips left out; `names` has a name for each pseudonym.

    People keep their pseudonyms; programs go by their names.
    """
    found = [_judged(line, names) for line in lines if line["action"] == "judge" and not line["gold"]]
    return sorted(found, key=lambda one: one.place)


def taken_back(lines: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> list[Place]:
    """Those of the lines that are no judgement: what was said before at their places counts no more."""
    left = (line for line in lines if line["action"] != "judge" and not line["gold"])
    return sorted(_judged({**line, "content": {}}, names).place for line in left)


def sha256(judged: Sequence[Judged]) -> str:
    """Of what was said, and of nothing else."""
    said = json.dumps([one.row() for one in judged], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def agreement(judged: Sequence[Judged]) -> float | None:
    """Krippendorff's alpha; None where no pair was judged twice, or there is nothing to disagree about."""
    alpha = krippendorff_alpha(_labels(judged), level="nominal", seed=0, draws=1).estimate
    return None if alpha != alpha else alpha


def skills(judged: Sequence[Judged]) -> dict[str, float]:
    """How probably each rater is right, by Dawid–Skene."""
    labels = _labels(judged)
    if not labels:
        return {}
    fit = dawid_skene(labels, class_prior=EVEN, tie="tie", ties="half")
    return {rater: interval.estimate for rater, interval in sorted(fit.skills.items())}


def _labels(judged: Sequence[Judged]) -> list[Judgement]:
    return [label for one in judged if not one.settles and (label := one.label)]


def _judged(line: Mapping[str, Any], names: Mapping[str, str]) -> Judged:
    content: Mapping[str, Any] = line["content"]
    answers: Mapping[str, Mapping[str, Any]] = line["answers"]
    ids = sorted(answers, key=lambda own: hashlib.sha256(answers[own]["text"].encode()).digest())
    first, second = (answers[own] for own in ids)
    outcome: Outcome | None = None
    if "strength" in content:
        outcome = "tie" if content["better"] is None else "first" if content["better"] == ids[0] else "second"
    name = names.get(line["rater"], "")
    prompt = prompt_of(line["prompt"]).key
    flags, edit = content.get("flags", {}), content.get("edit")
    return Judged(
        item=pair_key(prompt, first["text"], second["text"]),
        rater=name if name.startswith((PREFIX, AI)) else line["rater"],
        prompt=prompt,
        first=first["text"],
        second=second["text"],
        policies=(first["model"], second["model"]),
        outcome=outcome,
        strength=content.get("strength", 0),
        settles=line["adjudicates"],
        flagged=(bool(flags.get(ids[0])), bool(flags.get(ids[1]))),
        edit=(answers[edit["response"]]["text"], edit["text"]) if edit else None,
    )
