from pathlib import Path

import pytest
from small_tokenizer import byte_level
from tokenizers import processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from rlhf.data.encoding import Encoder, make_encoder
from rlhf.data.templates import PLAIN
from rlhf.errors import ConfigError, DataError, ModelError
from rlhf.records import Message, Prompt

TEXTS = [
    "Hello there.",
    " leading space",
    "  two spaces, trailing ",
    "line\n\nbreaks\r\n\ttabs",
    "你好，世界！",
    "emoji 😀👩‍👩‍👧 done",
    "\n",
    " ",
    "a </s> b <|end|> c <s>",
    "combining e\u0301",
]
ASK = Prompt((Message("user", "hi"),))


@pytest.fixture(params=["byte-level", "stories260K"])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    if request.param == "byte-level":
        return make_encoder(byte_level(pad_token="<|pad|>"), 64)
    return make_encoder(stories(request.getfixturevalue("shared_data")), 64)


def stories(shared_data: Path) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(shared_data / "stories260K")


@pytest.mark.parametrize("text", TEXTS)
def test_decoding_gives_back_the_response_exactly(encoder: Encoder, text: str):
    ids = encoder.response_ids(text)
    assert ids[-1] == encoder.end_id
    assert ids.count(encoder.end_id) == 1
    assert encoder.decode(ids) == text
    for prompt in (Prompt("Once upon a"), ASK):
        encoded = encoder.encode(prompt, text)
        assert encoded.ids[: encoded.prompt_length] == encoder.prompt_ids(prompt)
        assert encoder.decode(encoded.ids[encoded.prompt_length :], prompt) == text


def test_decoding_never_raises_and_stops_at_the_first_end(encoder: Encoder):
    for token in range(len(encoder.tokenizer)):
        assert isinstance(encoder.decode([token]), str)
    assert encoder.decode([10**6]) == ""
    broken = encoder.response_ids("你")[:1]
    assert encoder.decode(broken) == "\ufffd"
    assert encoder.decode([*encoder.response_ids("one"), *encoder.response_ids("two")]) == "one"


def test_ids_of_a_response_are_those_of_the_joined_text(shared_data: Path):
    encoder = make_encoder(stories(shared_data), 64)
    whole = encoder.tokenizer("Once upon a time there")["input_ids"]
    assert encoder.encode(Prompt("Once upon a time"), " there").ids == [*whole, encoder.end_id]
    # raw text begins as the tokenizer begins a text, and its space is not part of it
    begun = encoder.encode(Prompt(""), "Once upon a time there")
    assert begun.ids == [*whole, encoder.end_id]
    assert begun.prompt_length == 1
    assert encoder.decode(begun.ids[1:], Prompt("")) == "Once upon a time there"


def test_start_token_once_and_end_token_never_in_a_prompt(shared_data: Path):
    encoder = make_encoder(stories(shared_data), 64)
    for prompt in (Prompt("Once"), Prompt("<s>Once"), ASK, Prompt("")):
        ids = encoder.prompt_ids(prompt)
        assert (ids[0], ids.count(1), ids.count(2)) == (1, 1, 0)
    assert make_encoder(byte_level(pad_token="<|pad|>"), 9).prompt_ids(Prompt("")) == [0]


def test_plain_template_is_stored_with_the_tokenizer(tmp_path: Path):
    encoder = make_encoder(byte_level(pad_token="<|pad|>"), 64)
    prompt = Prompt(
        (Message("system", "be"), Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    )
    shown = encoder.tokenizer.decode(encoder.prompt_ids(prompt))
    assert shown == "be\n\nUser:\na\n\nAssistant:\nb\n\nUser:\nc\n\nAssistant:\n"
    encoder.tokenizer.save_pretrained(tmp_path)
    again = make_encoder(AutoTokenizer.from_pretrained(tmp_path), 64)
    assert again.tokenizer.chat_template == PLAIN
    assert again.template_sha256 == encoder.template_sha256
    assert again.prompt_ids(prompt) == encoder.prompt_ids(prompt)


def test_template_of_ones_own_from_the_tokenizer_or_a_file(tmp_path: Path):
    own = "{% for m in messages %}[{{ m['content'] }}]{% endfor %}"
    encoder = make_encoder(byte_level(pad_token="<|pad|>", chat_template=own), 64)
    assert encoder.tokenizer.decode(encoder.prompt_ids(ASK)) == "[hi]"
    (tmp_path / "x.jinja").write_text("<{{ messages[0]['content'] }}>")
    other = make_encoder(byte_level(pad_token="<|pad|>", chat_template=own), 64, str(tmp_path / "x.jinja"))
    assert other.tokenizer.decode(other.prompt_ids(ASK)) == "<hi>"
    assert other.template_sha256 != encoder.template_sha256
    with pytest.raises(ConfigError, match=r"data.template=none.jinja: .* auto, plain, chatml"):
        make_encoder(byte_level(pad_token="<|pad|>"), 64, "none.jinja")
    with pytest.raises(ModelError, match=r"no <\|im_start\|>"):
        make_encoder(byte_level(pad_token="<|pad|>"), 64, "chatml")


def test_a_template_that_refuses_is_a_data_error():
    refuse = "{{ raise_exception('System role not supported') }}"
    encoder = make_encoder(byte_level(pad_token="<|pad|>", chat_template=refuse), 64)
    with pytest.raises(DataError, match=r"conversation of user: System role not supported"):
        encoder.prompt_ids(ASK)


def test_words_of_a_conversation_never_become_special_tokens():
    tokenizer = byte_level(
        ("<|im_end|>", "<|im_start|>", "<|pad|>"), eos_token="<|im_end|>", pad_token="<|pad|>"
    )
    encoder = make_encoder(tokenizer, 64, "chatml")
    ids = encoder.prompt_ids(Prompt((Message("user", "x<|im_end|> \ue0000; <|im_start|>y"),)))
    assert (ids.count(0), ids.count(1)) == (1, 2)
    assert tokenizer.decode(ids) == (
        "<|im_start|>user\nx<|im_end|> \ue0000; <|im_start|>y<|im_end|>\n<|im_start|>assistant\n"
    )
    # plain text may have been through a template already
    assert encoder.prompt_ids(Prompt("<|im_start|>user")).count(1) == 1


def test_the_space_that_a_template_puts_before_the_answer_is_not_part_of_it(shared_data: Path):
    tokenizer = stories(shared_data)
    tokenizer.chat_template = (
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
        "{% else %} {{ m['content'] }} {{ eos_token }}{% endif %}{% endfor %}"
    )
    encoder = make_encoder(tokenizer, 64)
    for response in ("the end", " the end"):
        encoded = encoder.encode(ASK, response)
        response_ids = encoded.ids[encoded.prompt_length :]
        assert tokenizer.convert_ids_to_tokens(response_ids)[0] == "▁the"
        assert encoder.decode(response_ids, ASK) == "the end"
    assert encoder.response_ids("the end", Prompt("At")) == encoder.response_ids("the end")


@pytest.mark.parametrize(
    ("special", "options", "expected"),
    [
        (("<|end|>", "<|pad|>"), {"pad_token": "<|pad|>"}, "<|pad|>"),
        (("<|end|>", "<unk>", "<|fim_pad|>"), {"pad_token": "<|end|>", "unk_token": "<unk>"}, "<unk>"),
        (("<|end|>", "<|x|>", "<|reserved_0|>", "<|fim_pad|>"), {"unk_token": "<|end|>"}, "<|fim_pad|>"),
        (("<|end|>", "<|reserved_0|>", "<|reserved_1|>"), {"bos_token": "<|reserved_0|>"}, "<|reserved_1|>"),
    ],
)
def test_padding_is_an_unused_special_token(
    special: tuple[str, ...], options: dict[str, str], expected: str, caplog: pytest.LogCaptureFixture
):
    tokenizer = byte_level(special, **options)
    encoder = make_encoder(tokenizer, 64)
    assert (tokenizer.pad_token, encoder.pad_id) == (expected, special.index(expected))
    assert len(caplog.records) == (0 if options.get("pad_token") == expected else 1)
    assert make_encoder(tokenizer, 64).pad_id == encoder.pad_id
    assert len(caplog.records) <= 1


def test_no_token_to_pad_or_to_end_with_is_an_error_with_its_remedy():
    with pytest.raises(ModelError, match="add_special_tokens"):
        make_encoder(byte_level(("<|end|>", "<|tool|>"), pad_token="<|end|>"), 64)
    with pytest.raises(ModelError, match="no end token"):
        make_encoder(byte_level(eos_token=None), 64)


def test_stop_tokens_are_the_end_token_and_those_of_the_generation_configuration():
    tokenizer = byte_level(("<|end|>", "<|pad|>", "<|turn|>"), pad_token="<|pad|>")
    assert make_encoder(tokenizer, 64).stop_ids == {0}
    assert make_encoder(tokenizer, 64, stop_ids=2).stop_ids == {0, 2}
    encoder = make_encoder(tokenizer, 64, stop_ids=[2, 0])
    assert encoder.stop_ids == {0, 2}
    assert encoder.decode([*encoder.response_ids("one")[:-1], 2, 5]) == "one"


def test_an_end_token_that_the_tokenizer_adds_to_every_text_is_taken_off():
    tokenizer = byte_level(pad_token="<|pad|>")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <|end|>", special_tokens=[("<|end|>", 0)]
    )
    encoder = make_encoder(tokenizer, 64)
    assert tokenizer("hi")["input_ids"].count(0) == 1
    assert encoder.prompt_ids(Prompt("hi")).count(0) == 0
    assert encoder.encode(Prompt("hi"), "you").ids.count(0) == 1
