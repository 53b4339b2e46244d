"""One-coin Dawid-Skene: how good each rater is, and what is true of each item, from votes alone.

Dawid & Skene 1979, "Maximum likelihood estimation of observer error-rates using the EM algorithm"; with one
skill a rater as in Zhang et al. 2016, "Spectral methods meet EM", section 2. A rater r is right with
probability s_r whatever is true, and when wrong names any other class alike:

    P(votes, z of item i) = pi_z prod_r s_r^[l_ir = z] ((1 - s_r) / (K - 1))^[l_ir != z]
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse
from scipy.special import expit, logit, logsumexp, xlogy

from rlhf.crowd.intervals import Interval, normal_quantile
from rlhf.crowd.judgements import Floats, Judgement, Label, Table, tabulate
from rlhf.crowd.majority import Ties, votes
from rlhf.crowd.pooling import WEAK_PRIOR, pooled_prior

SkillPrior = tuple[float, float] | Literal["pooled"]
NEVER_SURE = 1e-10  # skills and class shares stay so far from 0 and 1
SMALLEST_INFORMATION = 1e-9


@dataclass(frozen=True)
class DawidSkene:
    """What the votes say. `posterior[item][label]` sums to 1 over the labels.

    `skills[rater]` is the probability of being right, with its interval; `skill_prior` the
    pseudo-judgements, right and wrong, that were used. `objective` is the log-likelihood plus the log priors
    of skills and class shares (without constants) at each iteration, in nats; it never falls.
    """

    labels: tuple[Label, ...]
    posterior: Mapping[str, Mapping[Label, float]]
    class_prior: Mapping[Label, float]
    skills: Mapping[str, Interval]
    skill_prior: tuple[float, float]
    objective: tuple[float, ...]
    converged: bool

    def most_probable(self, item: str) -> Label:
        """The label with the highest posterior; of equal ones the first in the order of `labels`."""
        return max(self.labels, key=self.posterior[item].__getitem__)


def dawid_skene(
    judgements: Iterable[Judgement],
    *,
    labels: Iterable[Label] = (),
    tie: Label | None = None,
    ties: Ties = "class",
    class_prior: Mapping[Label, float] | None = None,
    known: Mapping[str, Label] | None = None,
    class_pseudo: float = 5.0,
    skill_prior: SkillPrior = "pooled",
    level: float = 0.95,
    tolerance: float = 1e-9,
    max_iterations: int = 10_000,
) -> DawidSkene:
    """The mode of likelihood times prior, by EM from the vote shares, until no number moves by `tolerance`.

    Args:
        labels: classes that exist although nobody may have chosen them.
        tie: the label that says "as good as each other".
        ties: "class" makes it a third class. "half" makes it half a vote for each of the other two: it starts
            an item in the middle and afterwards speaks for neither, and is held against no rater's skill, for
            a near tie is the item's difficulty.
        class_prior: each class's share, where it is known (0.5 and 0.5 where chance decides which response
            stands first); estimated by default.
        class_pseudo: items of each class that are added in thought where class shares are estimated. Without
            any, a handful of items ends with all in one class, against the votes.
        known: what is true of some items (gold keys): their posterior is certain, and raters learn from it.
        skill_prior: pseudo-judgements, right and wrong. More right than wrong says that most raters mean
            well, without which "all are right" and "all are wrong" are the same data with the classes
            swapped, and keeps a rater of few votes from certainty. "pooled" fits with a weak one, (2, 1),
            and then again with what these raters have in common (pooling.py). (0, 0), with no class_pseudo,
            is maximum likelihood.
        level: of the skills' intervals: normal on the scale of log-odds, from the observed information
            (Louis 1982), which counts that the truth is not known.

    Three raters an item or more are wanted: of two who differ, nothing says who is right.

    Raises ValueError for a rater who judged an item twice, for fewer than two classes, and where `known` or
    `class_prior` does not fit the classes.
    """
    table = tabulate(judgements, (*labels, *(known or {}).values(), *(class_prior or {})))
    start_NK, classes = votes(table, tie, ties)
    if len(classes) < 2:
        raise ValueError(f"skills need two classes at least; these are {list(classes)}: name all by labels=")
    model = _Model(_decided(table, classes), class_prior, class_pseudo, known or {})
    prior = WEAK_PRIOR if skill_prior == "pooled" else skill_prior
    fit = _maximum(model, start_NK, prior, tolerance, max_iterations)
    if skill_prior == "pooled":
        prior = pooled_prior(fit.skill_R, model.deviation_of_log_odds(fit))
        fit = _maximum(model, start_NK, prior, tolerance, max_iterations)
    away_R = normal_quantile(level) * model.deviation_of_log_odds(fit)
    bounds_R2 = np.stack([expit(logit(fit.skill_R) - away_R), expit(logit(fit.skill_R) + away_R)], axis=1)
    return DawidSkene(
        labels=classes,
        posterior={
            item: dict(zip(classes, row_K, strict=True))
            for item, row_K in zip(table.items, fit.posterior_NK.tolist(), strict=True)
        },
        class_prior=dict(zip(classes, fit.share_K.tolist(), strict=True)),
        skills={
            rater: Interval(float(skill), float(low), float(high))
            for rater, skill, (low, high) in zip(table.raters, fit.skill_R, bounds_R2, strict=True)
        },
        skill_prior=prior,
        objective=fit.objective,
        converged=fit.converged,
    )


@dataclass(frozen=True)
class _Fit:
    posterior_NK: Floats
    skill_R: Floats
    share_K: Floats
    prior: tuple[float, float]
    objective: tuple[float, ...]
    converged: bool


def _maximum(
    model: "_Model", start_NK: Floats, prior: tuple[float, float], tolerance: float, max_iterations: int
) -> _Fit:
    """EM from the vote shares, or from what is known."""
    posterior_NK = np.where(model.possible_NK, start_NK + NEVER_SURE, 0.0)
    posterior_NK /= posterior_NK.sum(axis=1, keepdims=True)
    skill_R, share_K = model.maximise(posterior_NK, prior)
    objective: list[float] = []
    converged = False
    while not converged and len(objective) < max_iterations:
        before = (posterior_NK, skill_R, share_K)
        posterior_NK, value = model.expect(skill_R, share_K, prior)
        skill_R, share_K = model.maximise(posterior_NK, prior)
        objective.append(value)
        moved = zip((posterior_NK, skill_R, share_K), before, strict=True)
        converged = max(float(np.abs(new - old).max(initial=0.0)) for new, old in moved) < tolerance
    return _Fit(posterior_NK, skill_R, share_K, prior, tuple(objective), converged)


def _decided(table: Table, classes: tuple[Label, ...]) -> Table:
    """The table of those judgements that name one of the classes; items and raters stay."""
    at = {label: k for k, label in enumerate(classes)}
    class_of = np.array([at.get(label, -1) for label in table.labels], dtype=np.int64)
    class_J = class_of[table.label_J]
    kept_J = class_J >= 0
    return Table(
        table.items, table.raters, classes, table.item_J[kept_J], table.rater_J[kept_J], class_J[kept_J]
    )


class _Model:
    """The two steps of EM, and the information in the data at the end."""

    def __init__(
        self,
        table: Table,
        class_prior: Mapping[Label, float] | None,
        class_pseudo: float,
        known: Mapping[str, Label],
    ) -> None:
        self.table = table
        self.pseudo = 0.0 if class_prior is not None else class_pseudo
        self.num_classes = len(table.labels)
        self.share_K = None if class_prior is None else _shares(class_prior, table.labels)
        self.possible_NK = np.ones((len(table.items), len(table.labels)), dtype=bool)
        at = {item: n for n, item in enumerate(table.items)}
        for item, label in known.items():
            if label not in table.labels:
                raise ValueError(f"known[{item!r}]={label!r} is none of the classes {list(table.labels)}")
            if item in at:
                self.possible_NK[at[item]] = [label == other for other in table.labels]

    def expect(self, skill_R: Floats, share_K: Floats, prior: tuple[float, float]) -> tuple[Floats, float]:
        """Posterior [items, classes], and the objective at these skills and shares."""
        table, shape = self.table, self.possible_NK.shape
        right_R, wrong_R = np.log(skill_R), np.log1p(-skill_R)
        other_R = wrong_R - np.log(self.num_classes - 1)
        all_wrong_N = np.bincount(table.item_J, other_R[table.rater_J], minlength=shape[0])
        gain_NK = np.bincount(
            table.item_J * shape[1] + table.label_J,
            (right_R - other_R)[table.rater_J],
            minlength=shape[0] * shape[1],
        ).reshape(shape)
        joint_NK = np.log(share_K) + all_wrong_N[:, None] + gain_NK
        joint_NK = np.where(self.possible_NK, joint_NK, -np.inf)
        evidence_N: Floats = np.asarray(logsumexp(joint_NK, axis=1))
        prior_R = xlogy(prior[0], skill_R) + xlogy(prior[1], 1 - skill_R)
        value = evidence_N.sum() + prior_R.sum() + xlogy(self.pseudo, share_K).sum()
        return np.exp(joint_NK - evidence_N[:, None]), float(value)

    def maximise(self, posterior_NK: Floats, prior: tuple[float, float]) -> tuple[Floats, Floats]:
        """The skills [raters] and class shares [classes] that fit a posterior best."""
        table, num_raters = self.table, len(self.table.raters)
        agreed_J = posterior_NK[table.item_J, table.label_J]
        agreed_R = np.bincount(table.rater_J, agreed_J, minlength=num_raters) + prior[0]
        judged_R = np.bincount(table.rater_J, minlength=num_raters) + sum(prior)
        skill_R = np.divide(agreed_R, judged_R, out=np.full(num_raters, 0.5), where=judged_R > 0)
        share_K = self.share_K
        if share_K is None:
            share_K = posterior_NK.sum(axis=0) + self.pseudo
            share_K = share_K / share_K.sum()
        return _unsure(skill_R), _unsure(share_K)

    def deviation_of_log_odds(self, fit: _Fit) -> Floats:
        """Standard error of logit(s_r), from the inverse of the observed information, [raters].

        Louis 1982: I = E[complete information] - sum_i Var_z[complete score of i]. On the scale of log-odds
        a vote's score is [l = z] - s, a class's [z = c] - pi_c; only the brackets vary with z. Where nothing
        says what a skill is, the information is next to nothing and the interval is all of [0, 1].
        """
        table, num_items, num_raters = self.table, len(self.table.items), len(self.table.raters)
        if not num_raters:
            return np.zeros(0)
        posterior_NK, skill_R, share_K = fit.posterior_NK, fit.skill_R, fit.share_K
        free = slice(1, None) if self.share_K is None else slice(0, 0)
        variance_R = skill_R * (1 - skill_R)
        judged_R = np.bincount(table.rater_J, minlength=num_raters) + sum(fit.prior)
        num_pseudo = self.num_classes * self.pseudo
        covariance_KK = (num_items + num_pseudo) * (np.diag(share_K) - np.outer(share_K, share_K))
        information = sparse.block_diag(
            [np.diag(judged_R * variance_R), covariance_KK[free, free]], format="csr"
        ).toarray()
        for k in range(self.num_classes):
            match_J = (table.label_J == k).astype(np.float64)
            class_NK = np.tile(np.eye(self.num_classes)[k], (num_items, 1))
            scores = self._by_item(match_J, class_NK[:, free])
            information -= (scores.T @ scores.multiply(posterior_NK[:, [k]])).toarray()
        mean = self._by_item(posterior_NK[table.item_J, table.label_J], posterior_NK[:, free])
        information += (mean.T @ mean).toarray()
        values, vectors = np.linalg.eigh(information)
        covariance = (vectors / np.maximum(values, SMALLEST_INFORMATION)) @ vectors.T
        return np.sqrt(np.diag(covariance)[:num_raters])

    def _by_item(self, votes_J: Floats, shares_NF: Floats) -> sparse.csr_array:
        shape = (len(self.table.items), len(self.table.raters))
        by_rater = sparse.csr_array((votes_J, (self.table.item_J, self.table.rater_J)), shape=shape)
        return sparse.csr_array(sparse.hstack([by_rater, sparse.csr_array(shares_NF)], format="csr"))


def _shares(class_prior: Mapping[Label, float], classes: tuple[Label, ...]) -> Floats:
    missing = [label for label in classes if label not in class_prior]
    if missing or min(class_prior.values()) < 0 or not sum(class_prior.values()) > 0:
        raise ValueError(f"class_prior={dict(class_prior)} must give each of {list(classes)} a share")
    given = np.array([class_prior[label] for label in classes], dtype=np.float64)
    return given / given.sum()


def _unsure(probability: Floats) -> Floats:
    return np.clip(probability, NEVER_SURE, 1 - NEVER_SURE)
