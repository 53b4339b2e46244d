"""The one way from a prompt and a response to token ids, for SFT, reward model and PPO alike.

Prompt and response are encoded apart and joined, so that the tokens of a response that was sampled and those
of the same response read from a file stand behind the same prompt tokens.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from transformers import PreTrainedTokenizerBase

from rlhf.data.continuation import Continuation, adds_space, continuation
from rlhf.data.padding import set_padding
from rlhf.data.templates import render_pieces, set_template, space_before_answer, template_sha256
from rlhf.errors import ModelError
from rlhf.records import Prompt


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of a prompt and its response; the first `prompt_length` are the prompt's."""

    ids: list[int]
    prompt_length: int


@dataclass(frozen=True)
class Encoder:
    """Encodes and decodes with one tokenizer; made by `make_encoder`.

    `max_length` counts the tokens of prompt and response together: nothing here cuts, cleaning drops and
    reports what is longer. `end_id` closes every response, at `stop_ids` (it among them) generation ends, and
    `pad_id` is never `end_id`.
    """

    tokenizer: PreTrainedTokenizerBase
    max_length: int
    end_id: int
    stop_ids: frozenset[int]
    pad_id: int
    template_sha256: str
    continuation: Continuation
    special: tuple[str, ...]
    space_after_nothing: bool
    space_after_template: bool

    def prompt_ids(self, prompt: Prompt) -> list[int]:
        """The ids of plain text exactly as written, or of a conversation through the chat template.

        Plain text begins with the start token where the tokenizer adds one, and is never without ids: empty
        text is the start token, or the end token where there is none. A conversation goes up to where the
        assistant speaks. Plain text may spell special tokens and they are taken as such (it may have been
        through a template); the words of a conversation may not. Raises `DataError` where the template
        refuses the conversation.
        """
        if isinstance(prompt.content, str):
            return self._text_ids(prompt.content)
        pieces = render_pieces(self.tokenizer, prompt.content, self.special)
        ids = self._call(pieces[0][0], split=pieces[0][1]) if pieces else []
        for text, literal in pieces[1:]:
            ids += self.continuation.ids(text, literal=literal)
        return ids

    def response_ids(self, response: str, prompt: Prompt | None = None) -> list[int]:
        """The response's ids and `end_id`; what spells a special token is plain text.

        With the prompt, and where a space of no meaning stands between it and the response (see `decode`),
        one is put there unless the response brings its own.
        """
        if self._space(prompt) and response[:1] != " ":
            response = " " + response
        return [*self.continuation.ids(response, literal=True), self.end_id]

    def encode(self, prompt: Prompt, response: str) -> Encoded:
        """Prompt and response as the model sees them, with the end token, however long."""
        ids = self.prompt_ids(prompt)
        return Encoded(ids + self.response_ids(response, prompt), len(ids))

    def decode(self, response_ids: Sequence[int], prompt: Prompt | None = None) -> str:
        """The text before the first stop token, special tokens left out; never raises.

        With the prompt, one leading space is taken off where it has no meaning: after an empty prompt, where
        a SentencePiece tokenizer begins every text with one, and after a chat template that puts one there.
        """
        ids = list(response_ids)
        stop = next((at for at, token in enumerate(ids) if token in self.stop_ids), len(ids))
        text = self.continuation.text(ids[:stop])
        return text.removeprefix(" ") if self._space(prompt) else text

    def _space(self, prompt: Prompt | None) -> bool:
        if prompt is None:
            return False
        return (
            self.space_after_template if isinstance(prompt.content, tuple) else self._starts(prompt.content)
        )

    def _starts(self, text: str) -> bool:
        return self.space_after_nothing and not text

    def _text_ids(self, text: str) -> list[int]:
        """Plain text as the tokenizer encodes it, without an end token and with one start token at most."""
        ids, start = self._call(text, add_special_tokens=True), cast(int | None, self.tokenizer.bos_token_id)
        if ids[-1:] == [self.end_id] and not text.endswith(str(self.tokenizer.eos_token)):
            ids.pop()
        if start is not None and ids[:2] == [start, start]:
            ids.pop(0)
        return ids or [self.end_id if start is None else start]

    def _call(self, text: str, *, add_special_tokens: bool = False, split: bool = False) -> list[int]:
        encoded = self.tokenizer(
            text, add_special_tokens=add_special_tokens, split_special_tokens=split, verbose=False
        )
        return list(cast(list[int], encoded["input_ids"]))


def make_encoder(
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    template: str = "auto",
    *,
    stop_ids: Iterable[int] | int | None = None,
) -> Encoder:
    """The encoder for a tokenizer, whose chat template and padding token are set as a consequence.

    `template` is "auto", "plain", "chatml" or the path of a Jinja file; `stop_ids` takes what a generation
    configuration's `eos_token_id` holds. Raises `ModelError` where the tokenizer has no end token or none to
    pad with, `ConfigError` for a template that cannot be read.
    """
    end_id = cast(int | None, tokenizer.eos_token_id)
    if end_id is None:
        raise ModelError(
            "the tokenizer has no end token, so that no answer could ever end; "
            'set one (tokenizer.eos_token = "</s>") and save it with the model'
        )
    more = [stop_ids] if isinstance(stop_ids, int) else (stop_ids or ())
    stops = frozenset({end_id, *more})
    text = set_template(tokenizer, template)
    return Encoder(
        tokenizer=tokenizer,
        max_length=max_length,
        end_id=end_id,
        stop_ids=stops,
        pad_id=set_padding(tokenizer, stops),
        template_sha256=template_sha256(text),
        continuation=continuation(tokenizer),
        special=tuple(str(token) for token in tokenizer.added_tokens_decoder.values() if token.special),
        space_after_nothing=adds_space(tokenizer),
        space_after_template=space_before_answer(tokenizer),
    )
