"""The score of a reward model, read from the very tokens that the policy sampled where that is possible.

One with another tokenizer, template or architecture than the policy is shown the text.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor
from transformers import BatchEncoding, PreTrainedModel, PreTrainedTokenizerBase

from rlhf.data.collation import collate, plan_microbatches
from rlhf.data.encoding import Encoded, Encoder, make_encoder
from rlhf.errors import ModelError, TrainingError
from rlhf.models.loading import context_length
from rlhf.models.offload import Presence
from rlhf.models.reward_model import sequence_scores
from rlhf.rewards.base import Scored, Scores, beginning

ScoreFunction = Callable[[PreTrainedModel, Tensor, Tensor], Tensor]


class ModelReward:
    """A reward over a loaded sequence-classification model.

    Where the policy's encoder makes the same tokens, the sampled ids are shown as they are: what the reward
    model was trained on is what PPO shows it. Otherwise the text is encoded anew by the reward model's own
    encoder, without the end token where the policy gave none. A model that pools by itself (BERT, DeBERTa and
    the like, whose head is called `classifier`) is shown prompt and response as a pair of texts.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        encoder: Encoder,
        *,
        policy_encoder: Encoder | None = None,
        token_budget: int = 16384,
        score: ScoreFunction = sequence_scores,
        dtype: torch.dtype = torch.float32,
        present: Presence = nullcontext,
    ) -> None:
        """The model stays in its precision, and on its device but for what `present` does.

        Args:
            model: the reward model.
            encoder: of the reward model's own tokenizer and template.
            policy_encoder: what made the ids in `Scored`; None: encode the text always.
            token_budget: tokens in one forward pass, padding included; one row is always let through.
            score: (model, ids [B, S], mask [B, S]) -> scores [B]; another one where trunks are shared.
            dtype: what matrices are multiplied in, by autocast where it is half a precision.
            present: entered around each use; brings a model that lies elsewhere to the device.
        """
        self.model = model
        self.encoder = encoder
        self._takes_pairs = pools_by_itself(model)
        self.shares_tokens = (
            not self._takes_pairs and policy_encoder is not None and same_tokens(encoder, policy_encoder)
        )
        self._token_budget = token_budget
        self._score = score
        self._dtype = dtype
        self._present = present
        self._longest = context_length(model)

    @torch.no_grad()
    def __call__(self, batch: Sequence[Scored]) -> Scores:
        """Scores of the batch.

        Raises:
            ModelError: a row is longer than the model's context.
            TrainingError: the model gives something that is not a number.
        """
        rows = [self.ids_of(scored) for scored in batch]
        with self._present():
            total_B = self._scores(batch, rows)
        for scored, score in zip(batch, total_B.tolist(), strict=True):
            if score != score:
                raise TrainingError(f"the reward model gives NaN for the prompt {beginning(scored.prompt)}")
        return Scores(total_B, {"model": total_B})

    def _scores(self, batch: Sequence[Scored], rows: Sequence[list[int]]) -> Tensor:
        total_B = torch.zeros(len(rows))
        device = next(self.model.parameters()).device
        half = self._dtype != torch.float32
        for indices in plan_microbatches([len(row) for row in rows], self._token_budget):
            with torch.autocast(device.type, self._dtype if half else None, enabled=half):
                if self._takes_pairs:
                    scores_B = self._of_pairs([batch[index] for index in indices], device)
                else:
                    encoded = [Encoded(rows[index], 0) for index in indices]
                    padded = collate(encoded, self.encoder.pad_id).to(device)
                    scores_B = self._score(self.model, padded.ids_BS, padded.attention_BS)
            total_B[indices] = scores_B.float().cpu()
        return total_B

    def ids_of(self, scored: Scored) -> list[int]:
        """The tokens that the reward model is shown.

        Raises ModelError where they are more than its context holds.
        """
        if self._takes_pairs:
            ids = self._pairs([scored])["input_ids"][0].tolist()
        elif self.shares_tokens:
            ids = [*scored.prompt_ids, *scored.response_ids]
            if scored.finish == "eos":
                ids[-1] = self.encoder.end_id  # of several stop tokens, the one that training put there
        else:
            ids = self.encoder.encode(scored.prompt, scored.response).ids
            if scored.finish == "length" and ids[-1] == self.encoder.end_id:
                ids = ids[:-1]
        if len(ids) > self._longest:
            raise ModelError(
                f"the prompt {beginning(scored.prompt)} and its response are {len(ids)} tokens; the reward "
                f"model takes {self._longest}; lower stage.response_length or data.max_length"
            )
        return list(ids)

    def _pairs(self, batch: Sequence[Scored]) -> BatchEncoding:
        texts = [scored.prompt.text for scored in batch], [scored.response for scored in batch]
        return self.encoder.tokenizer(*texts, padding=True, return_tensors="pt")

    def _of_pairs(self, batch: Sequence[Scored], device: torch.device) -> Tensor:
        logits_B1 = self.model(**self._pairs(batch).to(device)).logits
        return logits_B1.squeeze(-1) - float(getattr(self.model.config, "reward_shift", 0.0))


def pools_by_itself(model: PreTrainedModel) -> bool:
    """Whether a classifier reads its first token through a pooler of its own, not the last one."""
    return hasattr(model, "classifier") and not hasattr(model, "score")


def reward_encoder(tokenizer: PreTrainedTokenizerBase, max_length: int, template: str) -> Encoder:
    """The encoder of a reward model's own tokenizer, by its own chat template where it has one.

    `template` (see `data.template`) is for one that has none: what renders a conversation for the policy need
    not be what this model was trained on. A tokenizer without an end token (BERT's) ends with its separator.

    Raises:
        ModelError: the tokenizer has neither, or none to pad with.
    """
    if tokenizer.eos_token is None and tokenizer.sep_token is not None:
        tokenizer.eos_token = tokenizer.sep_token
    return make_encoder(tokenizer, max_length, "auto" if tokenizer.chat_template else template)


def same_tokens(one: Encoder, other: Encoder) -> bool:
    """Whether two encoders make the same tokens of every prompt and response.

    Compares template, end token, vocabulary and the rules by which text is cut (not padding or truncation).
    """
    return (
        one.template_sha256 == other.template_sha256
        and one.end_id == other.end_id
        and one.tokenizer.get_vocab() == other.tokenizer.get_vocab()
        and _cutting_rules(one.tokenizer) == _cutting_rules(other.tokenizer)
    )


def _cutting_rules(tokenizer: PreTrainedTokenizerBase) -> object:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return type(tokenizer).__name__
    rules = json.loads(backend.to_str())
    return {key: value for key, value in rules.items() if key not in ("padding", "truncation")}
