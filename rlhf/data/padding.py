"""A padding token that is never the end token."""

import logging
from typing import cast

from transformers import PreTrainedTokenizerBase

from rlhf.errors import ModelError

_log = logging.getLogger(__name__)
_SPARE = ("pad", "reserved", "unused", "extra", "placeholder")


def set_padding(tokenizer: PreTrainedTokenizerBase, stop_ids: frozenset[int]) -> int:
    """The id of the padding token; where the tokenizer has none, an unused special token is stored as such.

    In this order: its own, if that is not the end token; the unknown token; a special token that is named as
    padding or as spare (<|fim_pad|>, <|reserved_special_token_0|>); none of them one that ends, begins or is
    written by the chat template. Raises `ModelError` where there is no such token.
    """
    end_id, start_id, own = _ids(tokenizer, "eos", "bos", "pad")
    if own is not None and own != end_id:
        return own
    taken = {*stop_ids, end_id, start_id}
    template = str(tokenizer.chat_template or "")
    free = {
        str(token): int(index)
        for index, token in sorted(tokenizer.added_tokens_decoder.items())
        if token.special and index not in taken and str(token) not in template
    }
    choices = [token for word in _SPARE for token in free if word in token.lower()]
    if tokenizer.unk_token is not None and _ids(tokenizer, "unk")[0] not in taken:
        choices.insert(0, str(tokenizer.unk_token))
    if not choices:
        raise ModelError(_NONE.format(end=tokenizer.eos_token))
    _log.warning(
        "the tokenizer pads with %s; padding is now its unused token %s, stored with it",
        "nothing" if own is None else f"its end token {tokenizer.eos_token}",
        choices[0],
    )
    tokenizer.pad_token = choices[0]
    return cast(int, _ids(tokenizer, "pad")[0])


def _ids(tokenizer: PreTrainedTokenizerBase, *names: str) -> list[int | None]:
    return [cast(int | None, getattr(tokenizer, f"{name}_token_id")) for name in names]


_NONE = """\
the tokenizer has no padding token besides its end token {end}, and no unused special token to take for it
Padding must not be the end token: the model could not learn where answers end. Add one, once:
  tokenizer.add_special_tokens({{"pad_token": "<|pad|>"}}); model.resize_token_embeddings(len(tokenizer))
then save both to one folder and name that folder as model.path."""
