"""What the loop asks models on this machine: what answers are worth, and where they stand among others."""

from collections.abc import Sequence

from rlhf.demo.gold import gold
from rlhf.demo.tasks import WORLD
from rlhf.errors import InputError
from rlhf.online.embedding import embeddings
from rlhf.online.pairs import Pair
from rlhf.online.raters import Worth
from rlhf.online.selection import Candidate
from rlhf.records import Prompt
from rlhf.rewards import Scored
from rlhf.rewards.ensemble import member_folders
from rlhf.runs.loop_record import PolicyEntry
from stages.datasets import gold_weights
from stages.judges import model_reward
from stages.loop_setup import Loop
from stages.policies import load_speaker
from stages.shared import experiment_of


def is_embedded(pairs: Sequence[Pair]) -> bool:
    """Whether the embedded world's gold rater knows all the prompts."""
    return all(pair.prompt.fields.get("world") == WORLD for pair in pairs)


def worth_of(loop: Loop, pairs: Sequence[Pair]) -> Worth:
    """What each answer is worth to the simulated raters: by gold, or by the reward model that is named.

    Raises:
        InputError: there is neither.
    """
    texts = [(pair.prompt, side.text) for pair in pairs for side in (pair.first, pair.second)]
    named = loop.stage.simulated.reward_model
    if named is not None:
        model = experiment_of(loop.cfg).resolve("reward_model", named, stage="loop").model
        scores = _scores(loop, model, texts)
    elif is_embedded(pairs):
        weights = gold_weights(loop.cfg)
        scores = [gold(prompt, text, weights).total for prompt, text in texts]
    else:
        raise InputError(
            "simulated raters know the embedded world alone, and these prompts are others; name a reward "
            "model whose scores they go by, stage.simulated.reward_model=FOLDER, or take stage.raters=people"
        )
    return {(prompt.key, text): score for (prompt, text), score in zip(texts, scores, strict=True)}


def candidates(
    loop: Loop, pairs: Sequence[Pair], strategy: str, *, reward_model: str | None, policy: PolicyEntry
) -> list[Candidate]:
    """The pairs with what a strategy reads of them, by the newest reward models before them.

    Args:
        reward_model: the run that holds these; None where there are none, and chance chooses.
        policy: the one that is sampled from, by whose hidden states pairs are spread out.

    Raises:
        InputError: the strategy compares several reward models, and that run made one.
    """
    plain = [Candidate(pair.key, pair.prompt.key) for pair in pairs]
    if strategy == "random" or not pairs:
        return plain
    assert reward_model is not None
    run = loop.folder(reward_model)
    folders = member_folders(str(run), str(run / "model"))
    if len(folders) < 2 and strategy != "uncertainty":
        raise InputError(
            f"stage.strategy={strategy} compares several reward models, and {run} holds one; take "
            "stage.strategy=uncertainty for a round, with stage.rm.ensemble=4 for those that follow"
        )
    texts = [(pair.prompt, side.text) for pair in pairs for side in (pair.first, pair.second)]
    scores_KN = [_scores(loop, folder, texts) for folder in folders]
    places = _places(loop, policy, pairs) if strategy == "information" else [()] * len(pairs)
    return [
        Candidate(
            one.key,
            one.prompt,
            tuple(scores[2 * number] - scores[2 * number + 1] for scores in scores_KN),
            places[number],
        )
        for number, one in enumerate(plain)
    ]


def _places(loop: Loop, policy: PolicyEntry, pairs: Sequence[Pair]) -> list[tuple[float, ...]]:
    """The mean of both answers' embeddings, by the policy that is sampled from."""
    artifact = experiment_of(loop.cfg).resolve("policy", policy.run, stage="loop")
    speaker = load_speaker(loop.cfg, artifact, loop.machine)
    encoder = speaker.encoder
    rows = [encoder.encode(pair.prompt, side.text) for pair in pairs for side in (pair.first, pair.second)]
    found_ND = embeddings(speaker.model, rows, encoder.pad_id)
    return [tuple(row) for row in ((found_ND[0::2] + found_ND[1::2]) / 2).tolist()]


def _scores(loop: Loop, folder: str, texts: Sequence[tuple[Prompt, str]]) -> list[float]:
    batch = [Scored(prompt, text, (), (), "eos") for prompt, text in texts]
    return model_reward(loop.session, folder, None)(batch).total.tolist()
