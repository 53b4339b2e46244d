"""The chat template: which one is used, where it is kept, and what identifies it.

The template in use is stored as `tokenizer.chat_template`, so that it is saved with the model and whatever
reads the model later renders conversations the same way.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from transformers import PreTrainedTokenizerBase

from rlhf.errors import ConfigError, DataError, ModelError
from rlhf.records import Message

PLAIN = """\
{%- for message in messages -%}
{%- if message['role'] == 'system' -%}
{{- message['content'] + '\\n\\n' -}}
{%- elif message['role'] == 'user' -%}
{{- 'User:\\n' + message['content'] + '\\n\\n' -}}
{%- else -%}
{{- 'Assistant:\\n' + message['content'] + '\\n\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'Assistant:\\n' -}}{%- endif -%}
"""

CHATML = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""

NAMED = {"plain": PLAIN, "chatml": CHATML}
_BOS = "{{- bos_token -}}"
_MARK = "\ue000"
_MARKED = re.compile(f"{_MARK}([0-9]+);")


def set_template(tokenizer: PreTrainedTokenizerBase, template: str = "auto") -> str:
    """Store the template that is asked for in the tokenizer and return it.

    "auto" is the tokenizer's own, or "plain" where it has none; "plain" and "chatml" are ours; anything else
    is the path of a Jinja file. Ours begin with the start token where the tokenizer adds one to plain text.
    Raises `ConfigError` for a file that cannot be read, `ModelError` where chatml's tokens are missing.
    """
    if template == "auto":
        own = _own(tokenizer)
        template, text = ("auto", own) if own is not None else ("plain", PLAIN)
    else:
        text = NAMED.get(template) or _read(template)
    if template == "chatml":
        _need_tokens(tokenizer, "<|im_start|>", "<|im_end|>")
    if template in NAMED and _adds_bos(tokenizer):
        text = _BOS + text
    tokenizer.chat_template = text
    return text


def template_sha256(template: str) -> str:
    """SHA-256 of the template's text, which goes into manifests."""
    return hashlib.sha256(template.encode()).hexdigest()


def render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, generate: bool = True) -> str:
    """The conversation as text, with the beginning of the assistant's turn where `generate` is set.

    Raises `DataError` where the template refuses the conversation (some take no system message).
    """
    turns = [{"role": message.role, "content": message.content} for message in messages]
    try:
        return cast(str, tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=generate))
    except Exception as error:  # templates raise what they like
        roles = ", ".join(message.role for message in messages)
        raise DataError(f"the chat template refuses a conversation of {roles}: {error}") from error


def render_pieces(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], special: Sequence[str]
) -> list[tuple[str, bool]]:
    """`render` in pieces (text, literal): literal is what a person wrote that spells a special token.

    Only the template itself may use special tokens; somebody who writes "<|im_end|>" must not end their turn.
    What would be taken for one is replaced by a mark, the template is rendered, and the marks are the pieces
    to be encoded as plain text.
    """
    wanted = re.compile(
        "|".join(re.escape(token) for token in [*sorted(special, key=len, reverse=True), _MARK])
    )
    if not any(wanted.search(message.content) for message in messages):
        return [(render(tokenizer, messages), False)]
    written: list[str] = []

    def mark(found: re.Match[str]) -> str:
        written.append(found.group())
        return f"{_MARK}{len(written) - 1};"

    marked = [Message(message.role, wanted.sub(mark, message.content)) for message in messages]
    pieces = _MARKED.split(render(tokenizer, marked))
    both = [(written[int(piece)], True) if at % 2 else (piece, False) for at, piece in enumerate(pieces)]
    return [(text, literal) for text, literal in both if text]


def space_before_answer(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the template puts a space between the beginning of the assistant's turn and what it says.

    Llama 2 and Mistral do: the prompt ends with "[/INST]", and " answer" follows.
    """
    asked, answer = Message("user", "a"), Message("assistant", "b")
    try:
        begun, whole = render(tokenizer, [asked]), render(tokenizer, [asked, answer], generate=False)
    except DataError:
        return False
    return whole.startswith(f"{begun} {answer.content}")


def _own(tokenizer: PreTrainedTokenizerBase) -> str | None:
    own = tokenizer.chat_template
    if not own:
        return None
    if isinstance(own, str):
        return own
    named = cast(dict[str, str], own)
    if "default" not in named:
        raise ModelError(
            f"the tokenizer has chat templates named {', '.join(sorted(named))} and none named default; "
            "write the one to use to a file and give it as data.template=FILE.jinja"
        )
    return named["default"]


def _read(template: str) -> str:
    path = Path(template).expanduser()
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"data.template={template}: cannot be read as a file ({error}); "
            f"it is auto, {', '.join(NAMED)}, or the path of a Jinja file"
        ) from error


def _need_tokens(tokenizer: PreTrainedTokenizerBase, *tokens: str) -> None:
    known = tokenizer.get_vocab()
    if missing := [token for token in tokens if token not in known]:
        raise ModelError(
            f"data.template=chatml: the tokenizer has no {' and no '.join(missing)}; use data.template=plain"
        )


def _adds_bos(tokenizer: PreTrainedTokenizerBase) -> bool:
    ids = cast(list[int], tokenizer("a")["input_ids"])
    return tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id]
