"""The ends that PPO runs into when something is wrong, each with a name and a remedy."""

from collections.abc import Iterator, Mapping

Figures = Mapping[str, float]
LEAST_END_RATE = 0.05


def diagnose(now: Figures, first: Figures, *, kl_budget: float) -> dict[str, str]:
    """Compares an iteration's figures with those of the first; returns warnings by name.

    Both hold `kl` (nats a response), `score`, `length` (tokens), `end_rate`, `entropy` (nats a token),
    `distinct_responses` (share) and `engine_gap` (mean |ratio - 1|). A figure that is not a number is left
    to the update, which stops there.
    """
    return dict(_warnings(now, first, kl_budget))


def degenerate_ends(found: Mapping[str, str], first: Figures) -> list[str]:
    """Which warnings are ends that the policy has run into, and does not come back from.

    Not those of the engine, nor that responses never end where they did not at first.
    """
    none_ended = first["end_rate"] < LEAST_END_RATE
    return [name for name in found if name != "engine-gap" and not (name == "never-ends" and none_ended)]


def _warnings(now: Figures, first: Figures, kl_budget: float) -> Iterator[tuple[str, str]]:
    if now["kl"] > kl_budget and now["score"] > first["score"]:
        yield (
            "over-optimisation",
            f"the score rises while KL is {now['kl']:.1f} nats, past kl.budget={kl_budget:g}: the reward "
            "is probably being gamed; raise kl.coef, use kl=adaptive, or lower stage.learning_rate",
        )
    if now["length"] < 2.0 and first["length"] > 4.0:
        yield (
            "end-token-collapse",
            f"responses are {now['length']:.1f} tokens long, the policy ends at once; look at what the "
            "reward gives an empty answer, raise kl.coef or lower stage.learning_rate",
        )
    if now["end_rate"] < LEAST_END_RATE:
        yield (
            "never-ends",
            f"{now['end_rate']:.0%} of the responses end before the limit; raise stage.response_length or "
            "stage.missing_end_score, and check that sft learnt the end token",
        )
    if now["entropy"] < 0.1 * first["entropy"]:
        yield (
            "entropy-collapse",
            f"entropy fell from {first['entropy']:.3f} to {now['entropy']:.3f} nats a token; raise kl.coef, "
            "or lower stage.learning_rate or stage.epochs",
        )
    if now["distinct_responses"] < 0.3 * first["distinct_responses"]:
        yield (
            "identical-responses",
            f"{now['distinct_responses']:.0%} of the responses differ from each other, at first "
            f"{first['distinct_responses']:.0%} did; raise kl.coef, and read samples.jsonl",
        )
    if now["engine_gap"] > 0.05:
        yield (
            "engine-gap",
            f"the engine's probabilities are {now['engine_gap']:.1%} off the trainer's on average; set "
            "precision=fp32",
        )
